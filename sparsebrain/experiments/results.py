"""Finished runs on disk: ``results.csv``, one row a run, and ``curves.csv``, one row an epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import MISSING, astuple, fields
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from sparsebrain.experiments.tables import write_csv
from sparsebrain.experiments.training import Epoch, Outcome, Run

Parsed = TypeVar("Parsed")

_LATER = {
    field.name for cls in (Run, Outcome) for field in fields(cls) if field.default is not MISSING
}


class Results:
    """The runs that an output folder holds.

    A run is either there with all its epochs or not there at all: files are written aside and then
    renamed, the curves before the result that vouches for them. Several processes may add to one
    folder; each takes a lock, reads what the others have added, and writes all of it.

    Raises:
        ValueError: the folder is none, or a file in it was not written by a comparison, or only
            half of it is there.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file; choose a folder as --out.")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.outcomes: dict[Run, Outcome] = {}
        self.curves: dict[Run, list[Epoch]] = {}
        with self._lock():
            self._read()

    def add(self, run: Run, outcome: Outcome, curve: list[Epoch]) -> None:
        """Keep a finished run, on disk before this returns."""
        with self._lock():
            self._read()
            self.outcomes[run], self.curves[run] = outcome, curve
            # Runs finish in any order; the files are to be the same each time.
            runs = sorted(self.outcomes, key=_order)
            write_csv(
                self.folder / "curves.csv",
                [*_columns(Run), *Epoch._fields],
                ([*astuple(run), *epoch] for run in runs for epoch in self.curves[run]),
            )
            write_csv(
                self.folder / "results.csv",
                _columns(Run, Outcome),
                ([*astuple(run), *astuple(self.outcomes[run])] for run in runs),
            )

    def _lock(self) -> FileLock:
        return FileLock(self.folder / ".lock")

    def _read(self) -> None:
        curves: dict[Run, list[Epoch]] = {}
        for row in _read(self.folder / "curves.csv", [*_columns(Run), *Epoch._fields], _epoch):
            curves.setdefault(row[0], []).append(row[1])
        outcomes = dict(_read(self.folder / "results.csv", _columns(Run, Outcome), _outcome))
        self.outcomes = {
            run: outcome
            for run, outcome in outcomes.items()
            if len(curves.get(run, [])) == run.epochs
        }
        self.curves = {run: curves[run] for run in self.outcomes}


def _columns(*classes: Any) -> list[str]:
    return [field.name for cls in classes for field in fields(cls)]


def _order(run: Run) -> list[tuple[bool, Any]]:
    # Loops are numbers or texts, which do not compare; numbers come first.
    return [(isinstance(value, str), value) for value in astuple(run)]


def _parse(cls: Any, row: dict[str, str]) -> Any:
    readers: dict[str, Callable[[str], Any]] = {
        "int": int,
        "float": float,
        "str": str,
        "int | str": lambda text: int(text) if text.isdecimal() else text,
    }
    return cls(
        **{
            field.name: readers[str(field.type)](row[field.name])
            for field in fields(cls)
            if field.name in row
        }
    )


def _outcome(row: dict[str, str]) -> tuple[Run, Outcome]:
    outcome = _parse(Outcome, row)
    _check_share(outcome.test_accuracy)
    return _parse(Run, row), outcome


def _epoch(row: dict[str, str]) -> tuple[Run, Epoch]:
    epoch = Epoch(int(row["epoch"]), float(row["loss"]), float(row["test_accuracy"]))
    _check_share(epoch.test_accuracy)
    return _parse(Run, row), epoch


def _check_share(accuracy: float) -> None:
    if not 0 <= accuracy <= 1:
        raise ValueError(f"a test_accuracy of {accuracy} is not in 0..1")


def _read(
    path: Path, columns: list[str], parse: Callable[[dict[str, str]], Parsed]
) -> list[Parsed]:
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = list(reader)
        # Tables of older versions lack columns whose value for them is the default.
        found = reader.fieldnames or []
        if found != [each for each in columns if each in found or each not in _LATER]:
            raise ValueError("its columns are not those of a comparison")
        if not text.endswith("\n") or any(None in row or None in row.values() for row in rows):
            raise ValueError("a row is cut short or too long")
        return [parse(row) for row in rows]
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); move it away or choose another --out."
        ) from None
