"""Files that are either whole or not there."""

import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, and put it in its place once it is whole.

    A symbolic link stays, and the file that it points to is replaced.
    """
    write_together([path], write)


def write_together(paths: Sequence[Path], write: Callable[..., object]) -> None:
    """Let `write` fill a file beside each path, and replace all once they are whole.

    The first path is replaced last. A reader who opens them in this order therefore either opens
    files of one call, or also the newest of the last path.
    """
    targets = [_target(path) for path in paths]
    asides = [target.with_name(f".{uuid.uuid4().hex}-{target.name}") for target in targets]
    try:
        write(*asides)
        # The name must not reach the disk before the bytes do: a power cut would leave half a file.
        for aside in asides:
            with aside.open("r+b") as file:
                os.fsync(file.fileno())
        # Nothing slow comes in between, so that a reader rarely meets files of two calls.
        for aside, target in reversed(list(zip(asides, targets, strict=True))):
            aside.replace(target)
        for folder in {target.parent for target in targets}:
            _sync_folder(folder)
    finally:
        for aside in asides:
            aside.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """Return the file that a path stands for, through all symbolic links."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, "the symbolic links lead in a circle; remove one", str(path))
    return target


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, where the file system can."""
    # Windows opens no folders, and some network file systems refuse to sync them; the files
    # themselves are whole in any case.
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
