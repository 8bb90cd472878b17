"""Many trainings, side by side in processes here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import joblib
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sparsebrain.experiments.datasets import load_once
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.training import Run, Trained, train
from sparsebrain.options import check_count

Finish = Callable[[Run, Trained], None]


def train_missing(
    labels: Mapping[Run, str],
    results: Results,
    *,
    data_dir: Path | None = None,
    jobs: int = -1,
    console: Console | None = None,
    finish: Finish | None = None,
) -> None:
    """Train the runs that ``results`` does not hold, and add each as soon as it is finished.

    They go through joblib: to processes of this machine, or to the cluster of a
    ``joblib.parallel_config(backend=...)`` around the call. Processes load the images themselves,
    so that on a cluster ``data_dir`` must be a folder that every machine sees.

    Args:
        labels: the runs that are wanted, and what progress calls them.
        results: those that are there already.
        data_dir: where the images lie, as for :func:`~sparsebrain.experiments.datasets.load`.
        jobs: out of :func:`check_jobs`: trainings side by side, each on one thread; -1 is one
            for each core.
        console: shows progress; none without one.
        finish: is called with a training before its result is kept.
    """
    missing = [run for run in labels if run not in results.outcomes]
    if not missing:
        return
    if console is not None and len(missing) < len(labels):
        console.print(
            f"{len(labels) - len(missing)} of {len(labels)} runs are already in {results.folder}."
        )
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=console is None,
        transient=True,
    )
    with progress:
        task = progress.add_task("training", total=len(missing))
        tasks = (joblib.delayed(_train)(run, data_dir) for run in missing)
        for run, trained in _parallel(jobs, len(missing))(tasks):
            if finish is not None:
                finish(run, trained)
            results.add(run, trained.outcome, trained.curve)
            progress.advance(task)
            if console is not None and not console.is_terminal:
                console.print(f"{labels[run]}: {trained.outcome.test_accuracy:.2%}")


def check_jobs(jobs: object) -> int:
    """``jobs`` as an int: ValueError or TypeError if it is neither 1 or more nor -1."""
    if jobs == -1:
        return -1
    try:
        return check_count("jobs", jobs)
    except ValueError:
        raise ValueError(
            f"jobs must be a number of trainings side by side, or -1 for one a core, got {jobs}."
        ) from None


def _parallel(jobs: int, most: int) -> joblib.Parallel:
    # More processes than trainings would only be started and stopped.
    jobs = min(joblib.effective_n_jobs(jobs), most)
    try:
        return joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    except ValueError:
        # Ray's backend, like all of multiprocessing, returns everything at the end.
        return joblib.Parallel(n_jobs=jobs)


def _train(run: Run, data_dir: Path | None) -> tuple[Run, Trained]:
    return run, train(run, load_once(run.data, data_dir))
