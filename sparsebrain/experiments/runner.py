"""Many trainings, side by side in processes here or on a cluster."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
import time
import uuid
import warnings
from collections.abc import (
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from pathlib import Path
from typing import Any, TypeVar

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

from sparsebrain.experiments.callbacks import Callback
from sparsebrain.experiments.checksums import is_of_a_package
from sparsebrain.experiments.datasets import DATASETS, load_once
from sparsebrain.experiments.fingerprint import check
from sparsebrain.experiments.kinds import KINDS, Kind
from sparsebrain.experiments.notebook_progress import NotebookProgress
from sparsebrain.experiments.nulls import NULLS
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.shared_folder import SharedFolder
from sparsebrain.experiments.topology import parse
from sparsebrain.experiments.training import Outcome, Run, Trained, connectome_of, train
from sparsebrain.learning import RULES

Finish = Callable[[Run, Trained], None]
Key = TypeVar("Key")
Made = TypeVar("Made")

# Forked processes share this name, and the entries of the tables.
_PROCESS = uuid.uuid4().hex
_PAUSE = 0.5


def train_missing(
    labels: Mapping[Run, str],
    results: Results,
    *,
    data_dir: Path | None = None,
    jobs: int = -1,
    console: Console | None = None,
    finish: Finish | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train the runs that ``results`` does not hold, and add each as soon as it is finished.

    Runs that another command trains in the same folder at the same time are not repeated; this one
    waits for them, and trains them if that command stops.

    Trainings go through joblib: to processes of this machine, or to the cluster of a
    ``joblib.parallel_config(backend=...)`` around the call. Processes load the images themselves,
    so on a cluster ``data_dir`` must be a folder that every machine sees. Rules, topologies and
    data sets that are not the package's own are sent along with the runs that use them.

    If the runs are sealed (:func:`~sparsebrain.experiments.fingerprint.seal`), finished runs of
    other images, connectomes or code are reported and trained again; the old results stay in the
    folder.

    Args:
        labels: The runs that are wanted, and their names for the progress display.
        results: The finished runs.
        data_dir: Where the images are, as for :func:`~sparsebrain.experiments.datasets.load`.
        jobs: The number of trainings side by side, each on one thread; -1 is one per core.
        console: Shows progress; None shows a bar in notebooks and nothing elsewhere.
        finish: Is called with a training before its result is kept.
        callbacks: Observe the trainings, in the processes that run them.

    Raises:
        ValueError: A training finds images, a connectome or code that its run was not sealed with.
        OSError: A result cannot be written; the finished ones are kept.
    """
    missing = [run for run in labels if run not in results]
    if console is not None:
        tell_torn(results, console)
        if missing and len(missing) < len(labels):
            console.print(
                f"{len(labels) - len(missing)} of {len(labels)} runs are already in "
                f"{results.folder}."
            )
        _tell_stale(missing, results, console)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=console is None or not missing,
        transient=True,
    )
    # A console has a bar of its own.
    notebook = NotebookProgress(len(missing), disable=console is not None)
    with progress, notebook:
        task = progress.add_task("training", total=len(missing))

        def arguments_of(run: Run) -> tuple[Any, ...]:
            return run, data_dir, _users_own(run), _sent(dict(enumerate(callbacks)))

        trainings = train_unclaimed(missing, results, _train, arguments_of, jobs, console)
        with contextlib.closing(trainings):
            for run, trained in trainings:
                if finish is not None:
                    finish(run, trained)
                results.add(run, trained.outcome, trained.curve)
                completed = sum(each in results for each in missing)
                progress.update(task, completed=completed)
                notebook.update(completed)
                if console is not None and not console.is_terminal:
                    console.print(f"{labels[run]}: {_tell(trained.outcome)}")


def train_again(
    runs: Sequence[Run],
    *,
    data_dir: Path | None = None,
    jobs: int = -1,
    callbacks: Sequence[Callback] = (),
) -> Iterator[tuple[Run, Trained]]:
    """Train finished runs again, for what the folder does not keep of them.

    Args:
        runs: The runs.
        data_dir: As for :func:`train_missing`, like the next two.
        jobs: The number of trainings side by side.
        callbacks: Observe the trainings.

    Yields:
        Each run with its training, in any order.
    """
    sent = _sent(dict(enumerate(callbacks)))
    run = joblib.delayed(_run_in_worker)
    tasks = (run(os.getpid(), _train, (each, data_dir, _users_own(each), sent)) for each in runs)
    yield from _results_of(_parallel(jobs, max(len(runs), 1))(tasks))


def train_unclaimed(
    wanted: Sequence[Key],
    finished: SharedFolder[Key],
    function: Callable[..., Any],
    arguments_of: Callable[[Key], tuple[Any, ...]],
    jobs: int,
    console: Console | None = None,
) -> Generator[Any]:
    """Run the trainings that no other command has finished or is running in the same folder.

    Then wait for those that other commands are running, and run those that they abandon.

    Args:
        wanted: The trainings.
        finished: Where they are kept; the caller adds each result before it takes the next.
        function: Runs a training, in another process.
        arguments_of: Returns the arguments of ``function`` for a training.
        jobs: The number of trainings side by side; -1 is one per core.
        console: Shows one message while other commands are waited for.

    Yields:
        What ``function`` returns, as soon as it does, in any order.
    """
    missing = [key for key in wanted if key not in finished]
    is_told = False
    try:
        while missing:
            claims = _Claims(missing, finished, arguments_of)
            first = next(claims, None)
            if first is not None:
                run = joblib.delayed(_run_in_worker)
                tasks = (
                    run(os.getpid(), function, each) for each in itertools.chain([first], claims)
                )
                yield from _results_of(_parallel(jobs, len(missing))(tasks))
            if claims.error is not None:
                raise claims.error
            missing = [key for key in claims.elsewhere if key not in finished]
            if missing and console is not None and not is_told:
                is_told = True
                console.print(
                    f"Another command is training {len(missing)} of these runs in "
                    f"{finished.folder}; waiting for it instead of repeating them."
                )
            if missing and first is None:
                time.sleep(_PAUSE)
    finally:
        finished.release_all()
    if finished.is_untidy:
        finished.tidy()


class _Claims(Iterator[tuple[Any, ...]]):
    """Claims trainings one by one, as joblib asks for them, and yields their arguments."""

    def __init__(
        self,
        wanted: Sequence[Key],
        finished: SharedFolder[Key],
        arguments_of: Callable[[Key], tuple[Any, ...]],
    ) -> None:
        self.elsewhere: list[Any] = []
        """The trainings that others have claimed, or have finished by now."""
        self.error: Exception | None = None
        """An error in a thread of joblib, which would discard it."""
        self._wanted = iter(wanted)
        self._finished = finished
        self._arguments_of = arguments_of

    def __next__(self) -> tuple[Any, ...]:
        for key in self._wanted:
            try:
                if self._finished.claim(key):
                    return self._arguments_of(key)
            except Exception as error:
                self.error = error
                break
            self.elsewhere.append(key)
        raise StopIteration


def _run_in_worker(
    parent: int, function: Callable[..., Any], its_arguments: tuple[Any, ...]
) -> Any:
    _end_with(parent, os.getpid())
    return function(*its_arguments)


@functools.cache
def _end_with(parent: int, process: int) -> None:
    """End this worker process when the command that it works for ends, even by a kill.

    Otherwise joblib's processes finish what they train, and then wait for minutes.
    """
    if os.getppid() == parent and process == os.getpid():
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PAUSE)
    os._exit(1)


def tell_torn(finished: SharedFolder[Any], console: Console) -> None:
    """Print which tables end in an incomplete row."""
    for name in finished.torn:
        console.print(
            f"{finished.folder / name} ended in an incomplete row, as a killed command leaves it. "
            "The row is left out, and its training is run again if it is wanted."
        )


def _parallel(jobs: int, most: int) -> joblib.Parallel:
    # More processes than trainings would be useless.
    jobs = min(joblib.effective_n_jobs(jobs), most)
    try:
        return joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    except ValueError:
        # Some backends, such as multiprocessing, return all results at the end.
        return joblib.Parallel(n_jobs=jobs)


def _results_of(found: Iterable[Made]) -> Iterator[Made]:
    """Yield what joblib returns, and give up the rest without a warning if that is interrupted."""
    try:
        # "yield from" would close the other generator before the warning is filtered.
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
    """Print why results with the same options cannot be used for the missing runs."""
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
    """Return the name of this process, and the user's entries of the tables that a run needs."""
    kind = parse(run.topology).kind
    used: dict[tuple[str, str], Any] = {
        ("rule", run.rule): RULES[run.rule],
        ("topology", kind): KINDS[kind],
        ("data", run.data): DATASETS[run.data],
    }
    if null := parse(run.topology).null:
        used["null", null] = NULLS[null]
    own = {key: each for key, each in used.items() if not all(map(is_of_a_package, _code_of(each)))}
    return _PROCESS, _sent(own)


def _sent(own: dict[Any, Any]) -> Any:
    """Return objects with their code, which other processes cannot import from a script."""
    return joblib.wrap_non_picklable_objects(own, keep_wrapper=False)


def _code_of(entry: Any) -> tuple[Any, ...]:
    return (entry.make, entry.fit) if isinstance(entry, Kind) else (entry,)


def _train(
    run: Run, data_dir: Path | None, users_own: tuple[str, Any], callbacks: dict[int, Callback]
) -> tuple[Run, Trained]:
    process, own = users_own
    # A copy from a pickle must not replace the original in the process that sent it.
    if process != _PROCESS:
        tables: dict[str, MutableMapping[str, Any]] = {
            "rule": RULES,
            "topology": KINDS,
            "data": DATASETS,
            "null": NULLS,
        }
        for (table, name), entry in own.items():
            tables[table][name] = entry
    images = load_once(run.data, data_dir, checksum=run.images_checksum)
    check(run, images, connectome_of(run, images.sheet))
    return run, train(run, images, [*callbacks.values()])
