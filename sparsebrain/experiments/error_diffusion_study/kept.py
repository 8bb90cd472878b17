"""Finished trainings of the study on disk, and the training of the missing ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from rich.console import Console

from sparsebrain.experiments.error_diffusion_study.settings import BASE, CHECKSUMS, Setting
from sparsebrain.experiments.error_diffusion_study.training import Score, train
from sparsebrain.experiments.runner import tell_torn, train_unclaimed
from sparsebrain.experiments.shared_folder import SharedFolder
from sparsebrain.experiments.tables import check_share, columns_of, parse_row, read_csv

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
        """Keep a finished training, on disk before this returns, and end the claim on it.

        The time does not depend on the number of trainings in the folder.
        """
        with self._lock():
            self._append(setting, [[*astuple(setting), *astuple(score)]])
            self.scores[setting] = score

    @property
    def _tables(self) -> dict[Path, list[str]]:
        return {self._path: _COLUMNS}

    def _read(self) -> None:
        table = read_csv(self._path, _COLUMNS, _parse, later={*CHECKSUMS, "diverged"})
        self.scores = dict(table.rows)
        self.torn = [self._path.name] if table.torn else []

    def _rows(self) -> Iterator[Iterable[Sequence[object]]]:
        yield (
            (*astuple(each), *astuple(self.scores[each]))
            for each in sorted(self.scores, key=astuple)
        )


def train_missing(
    wanted: Iterable[Setting],
    kept: Scores,
    *,
    data_dir: Path | None,
    jobs: int,
    console: Console | None,
) -> None:
    """Train what the folder does not hold, and add each training as soon as it is finished."""
    if console is not None:
        tell_torn(kept, console)
    missing = [setting for setting in dict.fromkeys(wanted) if setting not in kept]

    def arguments_of(setting: Setting) -> tuple[Any, ...]:
        return setting, data_dir

    trainings = train_unclaimed(missing, kept, _train, arguments_of, jobs, console)
    with contextlib.closing(trainings):
        for setting, score in trainings:
            kept.add(setting, score)
            if console is not None:
                number = sum(each in kept for each in missing)
                console.print(f"{number} of {len(missing)}: {_tell(setting)} {_tell_score(score)}")


def _train(setting: Setting, data_dir: Path | None) -> tuple[Setting, Score]:
    return setting, train(setting, data_dir)


def _parse(row: dict[str, str]) -> tuple[Setting, Score]:
    score = parse_row(Score, row)
    if not score.diverged:
        check_share(score.test_accuracy)
    return parse_row(Setting, row), score


def _tell(setting: Setting) -> dict[str, object]:
    """Return what differs from the setting of the articles."""
    return {
        name: value
        for name, value in asdict(setting).items()
        if value != getattr(BASE, name) and name not in CHECKSUMS
    }


def _tell_score(score: Score) -> str:
    return f"diverged in epoch {score.diverged}" if score.diverged else f"{score.test_accuracy:.2%}"
