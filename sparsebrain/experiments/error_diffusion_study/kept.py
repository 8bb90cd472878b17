"""Finished trainings of the study on disk, and those that are missing there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, astuple
from pathlib import Path

import joblib
from filelock import FileLock
from rich.console import Console

from sparsebrain.experiments.error_diffusion_study.settings import BASE, CHECKSUMS, Setting
from sparsebrain.experiments.error_diffusion_study.training import Score, train
from sparsebrain.experiments.tables import (
    check_share,
    columns_of,
    parse_row,
    read_csv,
    write_csv,
)


def read_scores(path: Path) -> dict[Setting, Score]:
    """The trainings of a results.csv; none where there is no file.

    Raises:
        ValueError: it cannot be read.
    """
    columns = columns_of(Setting, Score)
    return dict(read_csv(path, columns, _parse, later={*CHECKSUMS, "diverged"}))


def train_missing(
    wanted: Iterable[Setting],
    path: Path,
    *,
    data_dir: Path | None,
    jobs: int,
    console: Console | None,
) -> dict[Setting, Score]:
    """Train what the file does not hold, add each as soon as it is finished, and return all."""
    scores = read_scores(path)
    missing = [setting for setting in dict.fromkeys(wanted) if setting not in scores]
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    tasks = (joblib.delayed(_train)(setting, data_dir) for setting in missing)
    for number, (setting, score) in enumerate(parallel(tasks), 1):
        with FileLock(path.with_name(".lock")):
            scores = {**read_scores(path), setting: score}
            rows = (
                (*astuple(each), *astuple(scores[each])) for each in sorted(scores, key=astuple)
            )
            write_csv(path, columns_of(Setting, Score), rows)
        if console is not None:
            console.print(f"{number} of {len(missing)}: {_tell(setting)} {_tell_score(score)}")
    return scores


def _train(setting: Setting, data_dir: Path | None) -> tuple[Setting, Score]:
    return setting, train(setting, data_dir)


def _parse(row: dict[str, str]) -> tuple[Setting, Score]:
    score = parse_row(Score, row)
    if not score.diverged:
        check_share(score.test_accuracy)
    return parse_row(Setting, row), score


def _tell(setting: Setting) -> dict[str, object]:
    """What differs from the setting of the articles."""
    return {
        name: value
        for name, value in asdict(setting).items()
        if value != getattr(BASE, name) and name not in CHECKSUMS
    }


def _tell_score(score: Score) -> str:
    return f"diverged in epoch {score.diverged}" if score.diverged else f"{score.test_accuracy:.2%}"
