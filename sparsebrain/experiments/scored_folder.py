"""Folders with one table of trainings, each a setting and its score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from sparsebrain.experiments.shared_folder import SharedFolder
from sparsebrain.experiments.tables import columns_of, read_csv

Setting = TypeVar("Setting")
Score = TypeVar("Score")


class ScoredFolder(SharedFolder[Setting], Generic[Setting, Score]):
    """The trainings in the ``results.csv`` of a folder, one row each.

    A subclass names the dataclasses of a setting and of a score, and parses a row.

    Args:
        folder: Is created if it does not exist.

    Attributes:
        scores: The score of every finished training.

    Raises:
        ValueError: ``folder`` is a file, or its ``results.csv`` cannot be read.
    """

    classes: ClassVar[tuple[Any, Any]]
    """The dataclasses of a setting and of a score, whose fields are the columns."""
    later: ClassVar[frozenset[str]] = frozenset()
    """Columns that older tables do not have."""

    def __init__(self, folder: Path) -> None:
        self.scores: dict[Setting, Score] = {}
        self._path = folder / "results.csv"
        super().__init__(folder)

    @staticmethod
    @abstractmethod
    def parse(row: dict[str, str]) -> tuple[Any, Any]:
        """Return the setting and the score of a row; ValueError if they contradict each other."""

    def __contains__(self, setting: Setting) -> bool:
        """Return whether a training is finished."""
        return setting in self.scores

    def add(self, setting: Setting, score: Score) -> None:
        """Keep a finished training, on disk before this returns, and end the claim on it.

        The time does not depend on the number of trainings in the folder.
        """
        with self._lock():
            self._append(setting, [[*_values(setting), *_values(score)]])
            self.scores[setting] = score

    @property
    def _tables(self) -> dict[Path, list[str]]:
        return {self._path: columns_of(*self.classes)}

    def _read(self) -> None:
        table = read_csv(self._path, columns_of(*self.classes), self.parse, later=self.later)
        self.scores = dict(table.rows)
        self.torn = [self._path.name] if table.torn else []

    def _rows(self) -> Iterator[Iterable[Sequence[object]]]:
        yield (
            (*_values(each), *_values(self.scores[each]))
            for each in sorted(self.scores, key=_values)
        )


def _values(of: Any) -> tuple[Any, ...]:
    return astuple(of)
