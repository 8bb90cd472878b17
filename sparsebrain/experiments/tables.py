"""CSV tables whose rows are the fields of frozen dataclasses."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from graphs.io.atomic import named, write_atomically
from sparsebrain.experiments.options import OptionError

Parsed = TypeVar("Parsed")

_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "int | str": lambda text: int(text) if text.isdecimal() else text,
}


def make_folder(path: Path) -> None:
    """Create an output folder if it does not exist.

    Raises:
        ValueError: ``path`` is a file.
    """
    if path.exists() and not path.is_dir():
        raise OptionError("out", f"{path} is a file; pass the path of a folder")
    path.mkdir(parents=True, exist_ok=True)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a complete table, or leave the file as it is if that fails.

    Args:
        path: The file.
        columns: The names for the first line.
        rows: The values, in the order of the columns.

    Raises:
        OSError: The file cannot be written; the error names it.
    """
    content = _encode([columns, *rows])
    write_atomically(path, lambda aside: aside.write_bytes(content))


def append_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Append rows to a table, on disk before this returns; all of them or none.

    The time does not depend on the length of the table. Only one process may append at a time. A
    process that is killed while it appends can leave an incomplete last row, which
    :func:`read_csv` reports.

    Args:
        path: A table for which :func:`is_appendable` is true.
        rows: The values, in the order of its columns.

    Raises:
        OSError: The rows cannot be written; the error names the file.
    """
    content = _encode(rows)
    try:
        with path.open("ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                while content:
                    content = content[file.write(content) :]
                os.fsync(file.fileno())
            except BaseException:
                # A full disk or an interrupt may leave a part of the rows.
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
    except OSError as error:
        raise named(error, {str(path): path}) from error


def is_appendable(path: Path, columns: Sequence[str]) -> bool:
    """Return whether a file has exactly these columns and ends in a complete line."""
    try:
        with path.open("rb") as file:
            if file.readline() != _encode([columns]):
                return False
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"
    except FileNotFoundError:
        return False


class Table(NamedTuple, Generic[Parsed]):
    """The rows of a file.

    Attributes:
        rows: All complete rows, parsed.
        torn: Whether an incomplete row at the end was left out.
    """

    rows: list[Parsed]
    torn: bool


def read_csv(
    path: Path,
    columns: Sequence[str],
    parse: Callable[[dict[str, str]], Parsed],
    *,
    later: Container[str] = (),
    renamed: Mapping[str, str] | None = None,
) -> Table[Parsed]:
    """Read what :func:`write_csv` and :func:`append_csv` wrote.

    Args:
        path: The file; a missing one has no rows.
        columns: Its columns, in order.
        parse: Converts a row; may raise ValueError.
        later: Columns that tables of older versions lack; they then have their default values.
        renamed: The current names of columns, by their names in tables of older versions.

    Returns:
        The rows, and whether an incomplete last row was left out.

    Raises:
        ValueError: The file has other columns, or a row is damaged or cannot be parsed.
    """
    try:
        lines, torn = _lines(path)
        found = lines[0] if lines else []
        for old, new in (renamed or {}).items():
            if old in found and new not in found:
                raise ValueError(
                    f"its column {old} is now called {new}; rename it in the first line to keep "
                    "these results"
                )
        if lines and found != [each for each in columns if each in found or each not in later]:
            raise ValueError("its columns are not those of this command's tables")
        if any(len(line) != len(found) for line in lines):
            raise ValueError("a row is cut short or too long")
        rows = [parse(dict(zip(found, line, strict=True))) for line in lines[1:]]
    except (ValueError, csv.Error) as error:
        raise OptionError(
            "out", f"{path} cannot be read ({error}); move it away or pass another folder"
        ) from None
    return Table(rows, torn)


def columns_of(*classes: Any) -> list[str]:
    """Return the names of the fields of dataclasses, in order."""
    return [field.name for cls in classes for field in fields(cls)]


def parse_row(cls: Any, row: dict[str, str]) -> Any:
    """Make an instance of a dataclass from those of its fields that the row has."""
    return cls(
        **{
            field.name: _READERS[str(field.type)](row[field.name])
            for field in fields(cls)
            if field.name in row
        }
    )


def check_share(accuracy: float) -> None:
    """Raise ValueError unless a test accuracy that was read is between 0 and 1."""
    if not 0 <= accuracy <= 1:
        raise ValueError(f"a test_accuracy of {accuracy} is not in 0..1")


def _encode(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _lines(path: Path) -> tuple[list[list[str]], bool]:
    """Return the complete lines of a file, blank ones left out, and whether one is torn.

    A process that was killed while it appended, or a power failure, leaves a last line that has no
    end, ends inside quotes, or consists of zero bytes.
    """
    if not path.exists():
        return [], False
    content = path.read_bytes()
    whole = content.rstrip(b"\0")
    # The file may also be cut within a character.
    ended = whole[: whole.rfind(b"\n") + 1]
    text = io.StringIO(ended.decode(), newline="")
    lines: list[list[str]] = []
    torn = len(ended) < len(content)
    try:
        # If the iterator raises, extend keeps the items before.
        lines.extend(line for line in csv.reader(text, strict=True) if line)
    except csv.Error:
        if text.read():
            raise
        torn = True
    if not ended and content:
        raise ValueError("its first line is not complete")
    return lines, torn
