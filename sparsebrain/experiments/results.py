"""Finished runs on disk: ``results.csv``, one row a run, and ``curves.csv``, one row an epoch."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sparsebrain.experiments.training import Epoch, Outcome, Run


class Results:
    """The runs that an output folder holds.

    A run is either there with all its epochs or not there at all: files are written aside and then
    renamed, the curves before the result that vouches for them.

    Raises:
        ValueError: a file is there that no comparison has written, or only half of it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.outcomes: dict[Run, Outcome] = {}
        for row in _read(folder / "results.csv", _columns(Run, Outcome)):
            run = _parse(Run, row)
            self.outcomes[run] = _parse(Outcome, row)
        self.curves: dict[Run, list[Epoch]] = {run: [] for run in self.outcomes}
        for row in _read(folder / "curves.csv", [*_columns(Run), *Epoch._fields]):
            run = _parse(Run, row)
            if run in self.curves:
                epoch = Epoch(int(row["epoch"]), float(row["loss"]), float(row["test_accuracy"]))
                self.curves[run].append(epoch)

    def add(self, run: Run, outcome: Outcome, curve: list[Epoch]) -> None:
        """Keep a finished run, on disk before this returns."""
        self.outcomes[run], self.curves[run] = outcome, curve
        epochs = (
            {**asdict(run), **epoch._asdict()}
            for run, curve in self.curves.items()
            for epoch in curve
        )
        _write(self.folder / "curves.csv", [*_columns(Run), *Epoch._fields], epochs)
        rows = ({**asdict(run), **asdict(outcome)} for run, outcome in self.outcomes.items())
        _write(self.folder / "results.csv", _columns(Run, Outcome), rows)


def write_aside(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path`` and put it in its place once it is whole."""
    aside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        write(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _columns(*classes: Any) -> list[str]:
    return [field.name for cls in classes for field in fields(cls)]


def _parse(cls: Any, row: dict[str, str]) -> Any:
    readers = {"int": int, "float": float, "str": str}
    return cls(**{field.name: readers[str(field.type)](row[field.name]) for field in fields(cls)})


def _read(path: Path, columns: list[str]) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            uneven = any(None in row or None in row.values() for row in rows)
            if reader.fieldnames != columns or uneven:
                raise ValueError("its columns are not those of a comparison")
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); move it away or choose another --out."
        ) from None
    return rows


def _write(path: Path, columns: list[str], rows: Iterable[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_aside(path, lambda aside: aside.write_text(text.getvalue(), encoding="utf-8"))
