"""Plain text: lists of synapses, with or without a header, and matrices of numbers."""

import contextlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from torch_geometric.data import Data

from graphs.io import edge_list
from graphs.io.duplicates import Duplicates
from graphs.io.limits import check_bytes
from graphs.io.numpy import from_numpy
from graphs.io.synapse_table import SYNAPSE_COLUMNS
from graphs.io.tables import is_number

_COMMENTS = (b"#", b"%", b"//")
_BLANKS = re.compile(rb"[ \t]+")
_LONGEST_ROW = 2**20
_ENDS = ("source", "target")


def read(
    file: BinaryIO,
    max_bytes: int,
    *,
    neurons: str | None = None,
    num_nodes: int | None = None,
    columns: Mapping[str, str | int | None] | None = None,
    neuron_columns: Mapping[str, str | int | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
    duplicates: Duplicates = "error",
    delimiter: str | None = None,
) -> Data:
    """Read a list of synapses or a matrix; the arguments are those of `edge_list.read`.

    Lines that begin with ``#``, ``%`` or ``//`` are comments. Values are separated by tabs,
    commas, semicolons, or blanks. A first row of numbers, or of two names and a number, is not a
    header. More than three columns of numbers, and as many rows, are a matrix.

    Raises:
        ValueError: The file is damaged, or it is not clear which columns are the ends of synapses.
    """
    first = _first_row(file)
    found = delimiter or _delimiter(first)
    with contextlib.ExitStack() as stack:
        plain = _without_comments(file, found, stack)
        between = "\t" if found == " " else found
        text = (_BLANKS.sub(b"\t", first) if found == " " else first).decode("utf-8", "replace")
        cells = [cell.strip() for cell in text.split(between)]
        numbers = bool(first) and all(map(is_number, cells))
        if numbers and len(cells) > 3 and not columns:
            return _matrix(plain, between, len(cells), max_bytes)
        if not columns and (numbers or _is_row(cells)):
            columns = {"source": 0, "target": 1, **({"weight": 2} if len(cells) > 2 else {})}
        return edge_list.read(
            plain,
            max_bytes,
            neurons=neurons,
            num_nodes=num_nodes,
            columns=columns,
            neuron_columns=neuron_columns,
            transmitter_signs=transmitter_signs,
            duplicates=duplicates,
            delimiter=between,
        )


def _first_row(file: BinaryIO) -> bytes:
    """Return the first line that is neither empty nor a comment, and rewind the file."""
    for line in iter(lambda: file.readline(_LONGEST_ROW), b""):
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if text and not text.startswith(_COMMENTS):
            file.seek(0)
            return text
    file.seek(0)
    return b""


def _delimiter(row: bytes) -> str:
    """Return the character between the values of a row; a blank stands for any blanks."""
    return next((each for each in ("\t", ",", ";", "|") if each.encode() in row), " ")


def _is_row(cells: list[str]) -> bool:
    """Return whether a first row is a synapse and not a header: two names and a number."""
    known = {*SYNAPSE_COLUMNS["source"], *SYNAPSE_COLUMNS["target"], *_ENDS}
    named = any(cell.lower().replace(" ", "_") in known for cell in cells)
    return len(cells) == 3 and not named and is_number(cells[2])


def _without_comments(file: BinaryIO, delimiter: str, stack: contextlib.ExitStack) -> BinaryIO:
    """Return the text without comments, and with one tab in place of blanks between values."""
    made: Any = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    made.raw.name = str(Path(file.name))
    for line in iter(lambda: file.readline(_LONGEST_ROW), b""):
        if len(line) == _LONGEST_ROW:
            raise ValueError(
                f"it has a row of {_LONGEST_ROW} characters or more; write one synapse per line"
            )
        text = line.removeprefix(b"\xef\xbb\xbf").strip(b" \r\n")
        if text and not text.startswith(_COMMENTS):
            made.write((_BLANKS.sub(b"\t", text) if delimiter == " " else text) + b"\n")
    made.seek(0)
    return cast(BinaryIO, made)


def _matrix(file: BinaryIO, delimiter: str, width: int, max_bytes: int) -> Data:
    """Return the connectome of a matrix of numbers."""
    check_bytes("its matrix takes", 8 * width * width, max_bytes)
    values = np.loadtxt(file, delimiter=delimiter, ndmin=2, max_rows=width + 1)
    if values.shape != (width, width):
        raise ValueError(
            f"it has rows of {width} numbers without a header, as a matrix [{width}, {width}] has, "
            f"but not {width} rows; pass columns={{'source': 0, 'target': 1}} with the positions "
            "of the columns if its rows are synapses"
        )
    return from_numpy(values)
