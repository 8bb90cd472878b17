"""Files packed by gzip, which are unpacked at bounded memory."""

import contextlib
import gzip
import tempfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from graphs.io.limits import check_bytes

MAGIC = b"\x1f\x8b"
_PIECE = 2**20


def is_packed(path: Path) -> bool:
    """Return whether a file is packed, by its name."""
    return path.suffix.lower() == ".gz"


def plain_name(path: Path) -> Path:
    """Return the path of a file without the suffix of gzip."""
    return path.with_suffix("") if is_packed(path) else path


def unpack(file: BinaryIO, max_bytes: int, stack: contextlib.ExitStack) -> BinaryIO:
    """Return the content of a packed file as a temporary file of the same name.

    Args:
        file: The open file.
        max_bytes: The largest size of the content.
        stack: Closes the temporary file.

    Raises:
        ValueError: The file is not packed by gzip, damaged, or larger than `max_bytes`.
    """
    if file.read(2) != MAGIC:
        raise ValueError(
            "it is not packed by gzip; rename it to end without '.gz', or take a whole copy"
        )
    file.seek(0)
    made: Any = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    made.raw.name = file.name
    size = 0
    try:
        with gzip.GzipFile(fileobj=file) as packed:
            while piece := packed.read(_PIECE):
                size += len(piece)
                check_bytes("it unpacks to at least", size, max_bytes)
                made.write(piece)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"it is damaged ({error}); take a whole copy of the .gz file") from error
    made.seek(0)
    return cast(BinaryIO, made)
