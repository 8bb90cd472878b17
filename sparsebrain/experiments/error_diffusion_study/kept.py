"""Finished trainings of the study on disk, and the training of the missing ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from sparsebrain.experiments import scored_training
from sparsebrain.experiments.error_diffusion_study.settings import BASE, CHECKSUMS, LATER, Setting
from sparsebrain.experiments.error_diffusion_study.training import Score, train
from sparsebrain.experiments.scored_folder import ScoredFolder
from sparsebrain.experiments.tables import check_share, parse_row


class Scores(ScoredFolder[Setting, Score]):
    """The trainings of the study in the ``results.csv`` of a folder, one row each."""

    classes = Setting, Score
    later = LATER | {"diverged", "recall_of_4", "recall_of_9", "ranking"}

    @staticmethod
    def parse(row: dict[str, str]) -> tuple[Setting, Score]:
        """Return the setting and the score of a row."""
        score = parse_row(Score, row)
        if not score.diverged:
            check_share(score.test_accuracy)
        return parse_row(Setting, row), score


def train_missing(
    wanted: Iterable[Setting],
    kept: Scores,
    *,
    data_dir: Path | None,
    jobs: int,
    console: Console | None,
) -> None:
    """Train what the folder does not hold, and add each training as soon as it is finished."""
    scored_training.train_missing(
        wanted,
        kept,
        _train,
        lambda setting: (setting, data_dir),
        jobs,
        console,
        lambda setting, score: f"{_tell(setting)} {_tell_score(score)}",
    )


def _train(setting: Setting, data_dir: Path | None) -> tuple[Setting, Score]:
    return setting, train(setting, data_dir)


def _tell(setting: Setting) -> dict[str, object]:
    """Return what differs from the setting of the articles."""
    return {
        name: value
        for name, value in asdict(setting).items()
        if value != getattr(BASE, name) and name not in CHECKSUMS
    }


def _tell_score(score: Score) -> str:
    return f"diverged in epoch {score.diverged}" if score.diverged else f"{score.test_accuracy:.2%}"
