"""Many trainings, side by side in processes here or on a cluster."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import (
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
)
from pathlib import Path
from typing import Any

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

from sparsebrain.experiments.checksums import is_of_a_package
from sparsebrain.experiments.datasets import DATASETS, load_once
from sparsebrain.experiments.fingerprint import check
from sparsebrain.experiments.kinds import KINDS, Kind
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.topology import parse
from sparsebrain.experiments.training import Outcome, Run, Trained, connectome_of, train
from sparsebrain.learning import RULES

Finish = Callable[[Run, Trained], None]

# Processes that are forked have it as well, and with it the tables.
_PROCESS = uuid.uuid4().hex


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
    so that on a cluster ``data_dir`` must be a folder that every machine sees. Rules, topologies
    and data sets that are not the package's own go with the runs that use them, so that they may be
    entered into their tables anywhere.

    Where the runs are sealed (:func:`~sparsebrain.experiments.fingerprint.seal`), kept runs of
    other images, connectomes or code are told and trained again; they stay in the folder as well.

    Args:
        labels: the runs that are wanted, and what progress calls them.
        results: those that are there already.
        data_dir: where the images lie, as for :func:`~sparsebrain.experiments.datasets.load`.
        jobs: trainings side by side, each on one thread; -1 is one for each core.
        console: shows progress; none without one.
        finish: is called with a training before its result is kept.

    Raises:
        ValueError: a training finds images, a connectome or code that its run was not sealed with.
    """
    missing = [run for run in labels if run not in results.outcomes]
    if not missing:
        return
    if console is not None and len(missing) < len(labels):
        console.print(
            f"{len(labels) - len(missing)} of {len(labels)} runs are already in {results.folder}."
        )
    if console is not None:
        _tell_stale(missing, results, console)
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
        tasks = (joblib.delayed(_train)(run, data_dir, _users_own(run)) for run in missing)
        for run, trained in _results_of(_parallel(jobs, len(missing))(tasks)):
            if finish is not None:
                finish(run, trained)
            results.add(run, trained.outcome, trained.curve)
            progress.advance(task)
            if console is not None and not console.is_terminal:
                console.print(f"{labels[run]}: {_tell(trained.outcome)}")


def _parallel(jobs: int, most: int) -> joblib.Parallel:
    # More processes than trainings would only be started and stopped.
    jobs = min(joblib.effective_n_jobs(jobs), most)
    try:
        return joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    except ValueError:
        # Ray's backend, like all of multiprocessing, returns everything at the end.
        return joblib.Parallel(n_jobs=jobs)


def _results_of(found: Iterable[tuple[Run, Trained]]) -> Iterator[tuple[Run, Trained]]:
    """What joblib returns; trainings that an interrupt gives up are no reason to warn."""
    try:
        # Not "yield from", which would close the other generator before what follows.
        for each in found:  # noqa: UP028
            yield each
    finally:
        if isinstance(found, Generator):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", r"\d+ tasks ", UserWarning)
                found.close()


def _tell(outcome: Outcome) -> str:
    if outcome.diverged:
        return f"diverged in epoch {outcome.diverged}"
    return f"{outcome.test_accuracy:.2%}"


def _tell_stale(missing: list[Run], results: Results, console: Console) -> None:
    """Say which of the missing runs were kept as something else under the same options."""
    counts: dict[str, int] = {}
    for run in missing:
        if told := " and ".join(results.stale(run)):
            counts[told] = counts.get(told, 0) + 1
    for told, count in counts.items():
        console.print(
            f"{count} of the runs kept in {results.folder} with the same options do not count: "
            f"{told}. They are trained again; the old ones stay in the folder as well."
        )


def _users_own(run: Run) -> tuple[str, Any]:
    """Of the sender its name, and what the run needs of tables that is not the package's own."""
    kind = parse(run.topology).kind
    used = {
        ("rule", run.rule): RULES[run.rule],
        ("topology", kind): KINDS[kind],
        ("data", run.data): DATASETS[run.data],
    }
    own = {key: each for key, each in used.items() if not all(map(is_of_a_package, _code_of(each)))}
    # With their code, which another process cannot import where it comes from a script.
    return _PROCESS, joblib.wrap_non_picklable_objects(own, keep_wrapper=False)


def _code_of(entry: Any) -> tuple[Any, ...]:
    return (entry.make, entry.fit) if isinstance(entry, Kind) else (entry,)


def _train(run: Run, data_dir: Path | None, users_own: tuple[str, Any]) -> tuple[Run, Trained]:
    process, own = users_own
    # What comes back from a pickle is a copy, which must not take the place of the original.
    if process != _PROCESS:
        tables: dict[str, MutableMapping[str, Any]] = {
            "rule": RULES,
            "topology": KINDS,
            "data": DATASETS,
        }
        for (table, name), entry in own.items():
            tables[table][name] = entry
    images = load_once(run.data, data_dir, checksum=run.images_checksum)
    check(run, images, connectome_of(run, images.sheet))
    return run, train(run, images)
