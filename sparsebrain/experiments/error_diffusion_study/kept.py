"""Storage of the study's finished trainings, and training of the missing ones."""

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
    """Read the trainings of a results.csv; an empty dict if there is no file.

    Raises:
        OptionError: The file cannot be read.
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
    """Train the settings that a file lacks, and add each as soon as it is finished.

    Args:
        wanted: Settings to train.
        path: The results.csv.
        data_dir: Folder of the image files.
        jobs: Number of simultaneous trainings; -1 for one per core.
        console: Console that shows progress; None for silence.

    Returns:
        All trainings in the file.
    """
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
    """Return the options that differ from the articles' setting."""
    return {
        name: value
        for name, value in asdict(setting).items()
        if value != getattr(BASE, name) and name not in CHECKSUMS
    }


def _tell_score(score: Score) -> str:
    return f"diverged in epoch {score.diverged}" if score.diverged else f"{score.test_accuracy:.2%}"
