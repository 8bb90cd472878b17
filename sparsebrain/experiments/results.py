"""Finished runs on disk: ``results.csv``, one row per run, and ``curves.csv``, one per epoch."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, asdict, astuple, fields
from pathlib import Path
from typing import Any

from sparsebrain.experiments.fingerprint import CHECKSUMS
from sparsebrain.experiments.shared_folder import SharedFolder
from sparsebrain.experiments.tables import check_share, columns_of, parse_row, read_csv
from sparsebrain.experiments.training import Epoch, Outcome, Run

_LATER = {
    field.name for cls in (Run, Outcome) for field in fields(cls) if field.default is not MISSING
} | Epoch._field_defaults.keys()
_RENAMED = {"reading": "variant"}
_COLUMNS = columns_of(Run, Outcome)
_CURVE_COLUMNS = [*columns_of(Run), *Epoch._fields]


class Results(SharedFolder[Run]):
    """The runs in an output folder.

    A finished run is appended to both files, first its epochs and then its result. A run without a
    result, or whose epochs are incomplete, counts as missing and is trained again.

    Args:
        folder: Is created if it does not exist.

    Attributes:
        outcomes: The outcome of every finished run.
        curves: The epochs of every finished run, in order.

    Raises:
        ValueError: ``folder`` is a file, or a file in it was not written by a comparison or is
            damaged.
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.outcomes: dict[Run, Outcome] = {}
        self.curves: dict[Run, list[Epoch]] = {}
        self._path, self._curves_path = folder / "results.csv", folder / "curves.csv"
        super().__init__(folder)

    def __contains__(self, run: Run) -> bool:
        """Return whether a run is finished."""
        return run in self.outcomes

    def add(self, run: Run, outcome: Outcome, curve: list[Epoch]) -> None:
        """Keep a finished run, on disk before this returns, and end the claim on it.

        The time does not depend on the number of runs in the folder.

        Args:
            run: The run.
            outcome: Its outcome.
            curve: All its epochs, in order.

        Raises:
            OSError: The files cannot be written; the error names the one that is not, and what was
                in them is unchanged.
        """
        with self._lock():
            result = [*astuple(run), *astuple(outcome)]
            self._append(run, _curve_rows(run, curve), [result])
            self.outcomes[run], self.curves[run] = outcome, curve

    def stale(self, run: Run) -> list[str]:
        """Return why none of the runs with the same options can be used for this one.

        Args:
            run: The run that is wanted.

        Returns:
            The reasons; none if the run is finished, or if no run has its options.
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
        # If several versions are kept, the most similar one.
        differing = [[n for n in CHECKSUMS if kept[n] != wanted[n]] for kept in alike]
        return [f"they were made with {CHECKSUMS[name]}" for name in min(differing, key=len)]

    @property
    def _tables(self) -> dict[Path, list[str]]:
        # The epochs first: the result confirms that they are complete.
        return {self._curves_path: _CURVE_COLUMNS, self._path: _COLUMNS}

    def _read(self) -> None:
        read = functools.partial(read_csv, later=_LATER, renamed=_RENAMED)
        epochs = read(self._curves_path, _CURVE_COLUMNS, _epoch)
        results = read(self._path, _COLUMNS, _outcome)
        # A command that was killed between the two files has left epochs without a result, and
        # those of the repeated run follow.
        attempts: dict[Run, list[list[Epoch]]] = {}
        for run, epoch in epochs.rows:
            if epoch.epoch == 1:
                attempts.setdefault(run, []).append([])
            if run in attempts:
                attempts[run][-1].append(epoch)
        self.outcomes, self.curves = {}, {}
        for run, outcome in results.rows:
            length = outcome.diverged or run.epochs
            complete = [each for each in attempts.get(run, []) if _is_complete(each, length)]
            if complete:
                self.outcomes[run], self.curves[run] = outcome, complete[-1]
        self.torn = [
            path.name
            for path, is_torn in zip(self._tables, (epochs.torn, results.torn), strict=True)
            if is_torn
        ]

    def _rows(self) -> Iterator[Iterable[Sequence[object]]]:
        runs = sorted(self.outcomes, key=_order)
        yield (row for run in runs for row in _curve_rows(run, self.curves[run]))
        yield ([*astuple(run), *astuple(self.outcomes[run])] for run in runs)


def _curve_rows(run: Run, curve: list[Epoch]) -> Iterator[list[Any]]:
    return ([*astuple(run), *epoch] for epoch in curve)


def _is_complete(curve: list[Epoch], length: int) -> bool:
    return [epoch.epoch for epoch in curve] == list(range(1, length + 1))


def _order(run: Run) -> list[tuple[bool, Any]]:
    # Loops are numbers or texts, which cannot be compared; numbers come first.
    return [(isinstance(value, str), value) for value in astuple(run)]


def _outcome(row: dict[str, str]) -> tuple[Run, Outcome]:
    run, outcome = parse_row(Run, row), parse_row(Outcome, row)
    if not 0 <= outcome.diverged <= run.epochs:
        raise ValueError(f"diverged is {outcome.diverged}, not one of {run.epochs} epochs or 0")
    if not outcome.diverged:
        check_share(outcome.test_accuracy)
    elif not math.isnan(outcome.test_accuracy):
        raise ValueError(f"a run that diverged has a test_accuracy of {outcome.test_accuracy}")
    return run, outcome


def _epoch(row: dict[str, str]) -> tuple[Run, Epoch]:
    measured = {name: float(row[name]) for name in Epoch._fields[1:] if name in row}
    epoch = Epoch(int(row["epoch"]), **measured)
    # The accuracy of the epoch in which a run diverged is not known.
    if not math.isnan(epoch.test_accuracy):
        check_share(epoch.test_accuracy)
    return parse_row(Run, row), epoch
