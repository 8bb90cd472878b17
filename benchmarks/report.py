"""How results are shown and kept."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.timing import Timing


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, its first column to the left and numbers to the right."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    # A log passes for 80 columns wide, and a table squeezed into those cannot be read.
    Console(width=1000).print(made)


def cell(times: Mapping[str, Any]) -> str:
    """What :func:`entry` made, as text: the median, and the minimum in parentheses."""
    return f"{digits(times['median_ms'])} ({digits(times['min_ms'])})"


def entry(timing: Timing) -> dict[str, Any]:
    """A timing as JSON keeps it."""
    return {"median_ms": timing.median, "min_ms": timing.minimum, "all_ms": list(timing.times)}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Everything that is known."""
    _write(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], context: Mapping[str, Any]) -> None:
    """One line a row under the names of the first, and in each the context: where it was measured.

    A file can then be read without another one beside it. What a row says itself wins.
    """
    lines = [{**row, **context, **row} for row in rows]
    written = io.StringIO()
    table = csv.DictWriter(written, list(lines[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(lines)
    _write(path, written.getvalue())


def _write(path: Path, text: str) -> None:
    """Write aside, then rename: a killed run leaves no half-written file."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text)
    aside.replace(path)


def digits(number: float) -> str:
    """Three digits that count; an exponent below 0.0001 alone."""
    # From 99.95 on three digits leave no room behind the point.
    return f"{number:.0f}" if abs(number) >= 99.95 else f"{number:#.3g}"
