"""Finished runs on disk: ``results.csv``, one row a run, and ``curves.csv``, one row an epoch."""

from __future__ import annotations

import functools
import math
from dataclasses import MISSING, asdict, astuple, fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from sparsebrain.experiments.fingerprint import CHECKSUMS
from sparsebrain.experiments.tables import (
    check_share,
    columns_of,
    make_folder,
    parse_row,
    read_csv,
    write_csv,
)
from sparsebrain.experiments.training import Epoch, Outcome, Run

_LATER = {
    field.name for cls in (Run, Outcome) for field in fields(cls) if field.default is not MISSING
} | Epoch._field_defaults.keys()
_RENAMED = {"reading": "variant"}


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
        make_folder(folder)
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
                [*columns_of(Run), *Epoch._fields],
                ([*astuple(run), *epoch] for run in runs for epoch in self.curves[run]),
            )
            write_csv(
                self.folder / "results.csv",
                columns_of(Run, Outcome),
                ([*astuple(run), *astuple(self.outcomes[run])] for run in runs),
            )

    def stale(self, run: Run) -> list[str]:
        """Why none of the runs kept with the same options is the one that is asked for.

        Empty where it is there, and where there is none with its options.
        """
        wanted = asdict(run)
        alike = [
            kept
            for kept in map(asdict, self.outcomes)
            if all(kept[name] == wanted[name] for name in wanted.keys() - CHECKSUMS.keys())
        ]
        if run in self.outcomes or not alike:
            return []
        if not any(kept["code_checksum"] for kept in alike):
            return ["what they were made of is not known"]
        # The one that is nearest, where several versions are kept.
        differing = [[n for n in CHECKSUMS if kept[n] != wanted[n]] for kept in alike]
        return [f"they were made with {CHECKSUMS[name]}" for name in min(differing, key=len)]

    def _lock(self) -> FileLock:
        return FileLock(self.folder / ".lock")

    def _read(self) -> None:
        curves: dict[Run, list[Epoch]] = {}
        columns = [*columns_of(Run), *Epoch._fields]
        read = functools.partial(read_csv, later=_LATER, renamed=_RENAMED)
        for run, epoch in read(self.folder / "curves.csv", columns, _epoch):
            curves.setdefault(run, []).append(epoch)
        outcomes = dict(read(self.folder / "results.csv", columns_of(Run, Outcome), _outcome))
        self.outcomes = {
            run: outcome
            for run, outcome in outcomes.items()
            if len(curves.get(run, [])) == (outcome.diverged or run.epochs)
        }
        self.curves = {run: curves[run] for run in self.outcomes}


def _order(run: Run) -> list[tuple[bool, Any]]:
    # Loops are numbers or texts, which do not compare; numbers come first.
    return [(isinstance(value, str), value) for value in astuple(run)]


def _outcome(row: dict[str, str]) -> tuple[Run, Outcome]:
    run, outcome = parse_row(Run, row), parse_row(Outcome, row)
    if not 0 <= outcome.diverged <= run.epochs:
        raise ValueError(f"diverged is {outcome.diverged}, and not one of {run.epochs} epochs or 0")
    if not outcome.diverged:
        check_share(outcome.test_accuracy)
    elif not math.isnan(outcome.test_accuracy):
        raise ValueError(f"a run that diverged has a test_accuracy of {outcome.test_accuracy}")
    return run, outcome


def _epoch(row: dict[str, str]) -> tuple[Run, Epoch]:
    measured = {name: float(row[name]) for name in Epoch._fields[1:] if name in row}
    epoch = Epoch(int(row["epoch"]), **measured)
    # That of the epoch in which a run diverged is not known.
    if not math.isnan(epoch.test_accuracy):
        check_share(epoch.test_accuracy)
    return parse_row(Run, row), epoch
