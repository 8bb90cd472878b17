"""Write files that are either complete or absent."""

import contextlib
import errno
import os
import stat
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Create a file beside ``path`` with ``write``, then rename it to ``path``.

    A symbolic link is kept, and the file that it points to is replaced.

    Args:
        path: The file to create or to replace.
        write: Receives the path of the file beside it, which has the same suffix.

    Raises:
        OSError: The file cannot be written; the error names ``path``, whose old content is
            unchanged, and the file beside it is removed.
    """
    write_together([path], write)


def write_together(paths: Sequence[Path], write: Callable[..., object]) -> None:
    """Create a file beside each path with ``write``, then rename all of them.

    The first path is replaced last. A reader that opens the paths in order therefore gets either
    files of one call, or files of which the later ones are newer.

    A process that is killed while it writes leaves at most one hidden file per path, such as
    ``.part-graph.npz``. The next write of the same path overwrites that file.

    Args:
        paths: The files to create or to replace.
        write: Receives one path beside each of them, in the same order.

    Raises:
        OSError: A file cannot be written; see :func:`write_atomically`.
    """
    targets = [_target(path) for path in paths]
    with contextlib.ExitStack() as stack:
        asides = [stack.enter_context(_beside(target)) for target in targets]
        try:
            write(*asides)
            # A rename that reaches the disk before the content would leave half a file after a
            # power failure.
            for aside in asides:
                with aside.open("r+b") as file:
                    os.fsync(file.fileno())
        except Exception as error:
            failure = _failure_of(error)
            if failure is None:
                raise
            raise named(failure, dict(zip(map(str, asides), paths, strict=True))) from error
        # Nothing slow happens in between, so that a reader rarely meets files of two calls.
        for aside, target in reversed(list(zip(asides, targets, strict=True))):
            aside.replace(target)
        for folder in {target.parent for target in targets}:
            _sync_folder(folder)


def named(error: OSError, paths: dict[str, Path]) -> OSError:
    """Return an error that names the file that the caller requested.

    Args:
        error: What was raised while a file was written. It often names no file, or a temporary
            one.
        paths: The requested files, by the names of the files that were written.
    """
    first = next(iter(paths.values()))
    path = first if error.filename is None else paths.get(str(error.filename))
    if path is None or error.errno is None:
        return error
    reason = error.strerror
    if error.errno in _FULL:
        reason = f"{reason}; free some space and try again; the previous file is unchanged"
    return OSError(error.errno, reason, str(path))


def _failure_of(error: BaseException | None) -> OSError | None:
    """Return the error of the file system behind an error, if there is one."""
    # Torch hides it behind a RuntimeError of its archive.
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield the path of a file for new content; remove the file if it was not renamed."""
    aside = target.with_name(f".part-{target.name}")
    held = _take(aside)
    if held is None:
        # Another process writes the same target, or the file system has no locks.
        aside = target.with_name(f".{uuid.uuid4().hex}-{target.name}")
    try:
        yield aside
    finally:
        if held is None:
            aside.unlink(missing_ok=True)
        else:
            # After the rename another process may have created a file of this name.
            if _is_open_as(held, aside):
                aside.unlink()
            os.close(held)


def _take(aside: Path) -> int | None:
    """Open and lock the file that every writer of a target tries first; None if it is in use.

    The lock belongs to the open file, so that the file of a killed process is free again.
    """
    if sys.platform == "win32":
        return None
    try:
        held = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError:
        # The write itself reports what is wrong.
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The process that had it may have renamed it in the meantime.
        if _is_open_as(held, aside):
            return held
    except OSError:
        pass
    os.close(held)
    return None


def _is_open_as(held: int, path: Path) -> bool:
    """Return whether a path is the open file, a regular one with no second name."""
    opened = os.fstat(held)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return (
        stat.S_ISREG(opened.st_mode)
        and opened.st_nlink == 1
        and (opened.st_dev, opened.st_ino) == (found.st_dev, found.st_ino)
    )


def _target(path: Path) -> Path:
    """Return the file that a path refers to, following all symbolic links."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, "the symbolic links lead in a circle; remove one", str(path))
    return target


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, if the file system can."""
    # Windows cannot open folders, and some network file systems refuse to sync them; the files
    # themselves are complete in any case.
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
