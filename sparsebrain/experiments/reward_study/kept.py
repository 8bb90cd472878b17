"""Finished trainings on tasks with rewards on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

from sparsebrain.experiments.reward_study.training import Score, Setting
from sparsebrain.experiments.shared_folder import SharedFolder
from sparsebrain.experiments.tables import columns_of, parse_row, read_csv

_COLUMNS = columns_of(Setting, Score)


class Scores(SharedFolder[Setting]):
    """The trainings in the ``results.csv`` of a folder, one row each.

    Args:
        folder: Is created if it does not exist.

    Attributes:
        scores: The score of every finished training.

    Raises:
        ValueError: ``folder`` is a file, or its ``results.csv`` cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.scores: dict[Setting, Score] = {}
        self._path = folder / "results.csv"
        super().__init__(folder)

    def __contains__(self, setting: Setting) -> bool:
        """Return whether a training is finished."""
        return setting in self.scores

    def add(self, setting: Setting, score: Score) -> None:
        """Keep a finished training, on disk before this returns, and end the claim on it."""
        with self._lock():
            self._append(setting, [[*astuple(setting), *astuple(score)]])
            self.scores[setting] = score

    @property
    def _tables(self) -> dict[Path, list[str]]:
        return {self._path: _COLUMNS}

    def _read(self) -> None:
        table = read_csv(self._path, _COLUMNS, _parse)
        self.scores = dict(table.rows)
        self.torn = [self._path.name] if table.torn else []

    def _rows(self) -> Iterator[Iterable[Sequence[object]]]:
        yield (
            (*astuple(each), *astuple(self.scores[each]))
            for each in sorted(self.scores, key=astuple)
        )


def _parse(row: dict[str, str]) -> tuple[Setting, Score]:
    score = parse_row(Score, row)
    if not score.points and not score.diverged:
        raise ValueError("a training without a curve has not diverged")
    return parse_row(Setting, row), score
