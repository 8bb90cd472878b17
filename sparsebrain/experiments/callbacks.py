"""Callbacks that observe the trainings of a comparison, such as loggers."""

from __future__ import annotations

import csv
import math
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib

from graphs import arguments
from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.run_files import stem_of
from sparsebrain.experiments.training import Epoch, Outcome, Run

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_FIX = "pass for example callbacks=[CSVLog('logs')]"


class Callback:
    """Base class of callbacks; override the methods that you need.

    A callback runs in the process that trains the run, between two epochs. With ``jobs=1`` that is
    the process of the caller. Otherwise a worker process receives a copy for every run, by
    cloudpickle, so that classes of a script or notebook work, and what a method stores in ``self``
    stays in the worker. Open files and connections in :meth:`on_start`, because they cannot be
    sent. Several runs are trained at the same time, so write one file per run.

    Runs that the output folder already contains are not trained, and call nothing. A run that is
    killed has no :meth:`on_end`; the same command trains it again from :meth:`on_start`. An error
    in a method stops the comparison; finished runs are kept. Random numbers that a method draws
    from torch's CPU generator do not change the training.

    Example:
        >>> import tempfile
        >>> from sparsebrain.experiments import Callback, compare
        >>> class Show(Callback):
        ...     def on_epoch(self, run, epoch):
        ...         print(run.topology, run.seed, epoch.epoch, epoch.test_accuracy > 0.5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = compare(topologies=["none"], epochs=2, seeds=1, jobs=1, out=folder,
        ...                    callbacks=[Show()])
        none 0 1 True
        none 0 2 True
    """

    def on_start(self, run: Run) -> None:
        """Observe that the training of a run begins."""

    def on_epoch(self, run: Run, epoch: Epoch) -> None:
        """Observe an epoch, after its test; accuracy and losses are NaN if the run diverges."""

    def on_end(self, run: Run, outcome: Outcome) -> None:
        """Observe the outcome of a training that is complete or has diverged."""


class CSVLog(Callback):
    """Writes a table per run, with a line per epoch as soon as the epoch ends.

    The files are named by rule, topology and seed, such as ``backprop-grid-seed-0-1f2e3d4c.csv``,
    and have the columns ``epoch``, ``loss``, ``test_accuracy`` and ``test_loss``.

    Args:
        folder: Where the tables are written; it is made if necessary.

    Raises:
        TypeError: ``folder`` is not a path.
        ValueError: ``folder`` cannot be a folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = options.out_folder("folder", folder).absolute()

    def on_start(self, run: Run) -> None:
        """Begin the table, in place of that of a killed training."""
        self.folder.mkdir(parents=True, exist_ok=True)
        header = f"{','.join(Epoch._fields)}\n"
        write_atomically(self._path(run), lambda aside: aside.write_text(header))

    def on_epoch(self, run: Run, epoch: Epoch) -> None:
        """Append an epoch."""
        with self._path(run).open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(epoch)

    def _path(self, run: Run) -> Path:
        return self.folder / f"{stem_of(run)}.csv"


class TensorBoardLog(Callback):
    """Writes the losses and the accuracy of every epoch for TensorBoard, in a folder per run.

    Args:
        folder: What ``tensorboard --logdir`` is given; it is made if necessary.

    Raises:
        TypeError: ``folder`` is not a path.
        ValueError: ``folder`` cannot be a folder.
        ModuleNotFoundError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = options.out_folder("folder", folder).absolute()
        self._writers: dict[Run, SummaryWriter] = {}
        _writer_class()

    def __getstate__(self) -> dict[str, Any]:
        # Writers stay in the process that opened them.
        return {**vars(self), "_writers": {}}

    def on_start(self, run: Run) -> None:
        """Open the log, and hide the epochs of a killed training."""
        folder = self.folder / stem_of(run)
        self._writers[run] = _writer_class()(str(folder), purge_step=1)

    def on_epoch(self, run: Run, epoch: Epoch) -> None:
        """Write what was measured."""
        for name, value in zip(epoch._fields[1:], epoch[1:], strict=True):
            if not math.isnan(value):
                self._writers[run].add_scalar(name, value, epoch.epoch)
        self._writers[run].flush()

    def on_end(self, run: Run, outcome: Outcome) -> None:
        """Close the log."""
        self._writers.pop(run).close()


def _writer_class() -> type[SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
    except ImportError:
        raise ModuleNotFoundError(
            "TensorBoardLog needs the package tensorboard, which is not installed; call "
            "pip install tensorboard, or use CSVLog"
        ) from None
    return SummaryWriter


def check_callbacks(name: str, value: object, jobs: int) -> tuple[Callback, ...]:
    """Return callbacks that the processes of a comparison can run.

    Args:
        name: The caller's name of the callbacks.
        value: A sequence of callbacks.
        jobs: The number of simultaneous trainings, as for joblib.

    Raises:
        TypeError: ``value`` is something else, or a callback cannot be sent to worker processes.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise TypeError(
            f"{name} must be a sequence of callbacks, got {arguments.described(value)}; {_FIX}"
        )
    for place, each in enumerate(value):
        if not isinstance(each, Callback):
            raise TypeError(
                f"{name}[{place}] must be an instance of a subclass of "
                f"sparsebrain.experiments.Callback, got {arguments.described(each)}; {_FIX}"
            )
        if joblib.effective_n_jobs(jobs) == 1:
            continue
        try:
            pickle.dumps(joblib.wrap_non_picklable_objects(each, keep_wrapper=False))
        except Exception as error:
            raise TypeError(
                f"{name}[{place}] cannot be sent to worker processes ({error}); open files and "
                "connections in on_start, or pass jobs=1"
            ) from None
    return tuple(value)
