"""CSV tables whose rows are frozen dataclasses of numbers and strings."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from graphs.io.atomic import write_atomically
from sparsebrain.experiments.options import OptionError

Parsed = TypeVar("Parsed")

_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "int | str": lambda text: int(text) if text.isdecimal() else text,
}


def make_folder(path: Path) -> None:
    """Make a folder if it is missing; OptionError if a file has its path."""
    if path.exists() and not path.is_dir():
        raise OptionError("out", f"{path} is a file; pass the path of a folder")
    path.mkdir(parents=True, exist_ok=True)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_atomically(path, lambda aside: aside.write_text(text.getvalue(), encoding="utf-8"))


def read_csv(
    path: Path,
    columns: Sequence[str],
    parse: Callable[[dict[str, str]], Parsed],
    *,
    later: Container[str] = (),
    renamed: Mapping[str, str] | None = None,
) -> list[Parsed]:
    """Read a table that :func:`write_csv` wrote; an empty list if there is no file.

    Args:
        path: The file.
        columns: Its columns, in order.
        parse: Converts a row; may raise ValueError.
        later: Columns that tables of older versions may lack.
        renamed: Former names of columns, and their present names.

    Raises:
        OptionError: The columns differ, the file is cut short, or a row cannot be parsed.
    """
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = list(reader)
        found = reader.fieldnames or []
        for old, new in (renamed or {}).items():
            if old in found and new not in found:
                raise ValueError(
                    f"its column {old} is now called {new}; rename it in the first line to keep "
                    "these results"
                )
        if found != [each for each in columns if each in found or each not in later]:
            raise ValueError("its columns are not those that this command writes")
        if not text.endswith("\n") or any(None in row or None in row.values() for row in rows):
            raise ValueError("a row is cut short or too long")
        return [parse(row) for row in rows]
    except (ValueError, csv.Error) as error:
        raise OptionError(
            "out", f"{path} cannot be read ({error}); move it away or pass another folder"
        ) from None


def columns_of(*classes: Any) -> list[str]:
    """Return the names of the fields of dataclasses, in order."""
    return [field.name for cls in classes for field in fields(cls)]


def parse_row(cls: Any, row: dict[str, str]) -> Any:
    """Make an instance of a dataclass from the fields that the row has."""
    return cls(
        **{
            field.name: _READERS[str(field.type)](row[field.name])
            for field in fields(cls)
            if field.name in row
        }
    )


def check_share(accuracy: float) -> None:
    """Raise ValueError unless a test accuracy is between 0 and 1."""
    if not 0 <= accuracy <= 1:
        raise ValueError(f"a test_accuracy of {accuracy} is not between 0 and 1")
