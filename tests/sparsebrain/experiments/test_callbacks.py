"""Callbacks of a comparison, in this process and in others."""

import csv
import importlib.util
import math
import os
import sys
from types import ModuleType

import pytest
import torch

from sparsebrain.experiments import Callback, CSVLog, TensorBoardLog, compare, load_trained
from sparsebrain.experiments.run_files import stem_of
from sparsebrain.experiments.training import Outcome

FAST = {"topologies": ["none"], "epochs": 2, "seeds": 2, "jobs": 1}


class Notes(Callback):
    """Keeps what it observes."""

    def __init__(self):
        self.seen = []

    def on_start(self, run):
        self.seen.append(("start", run))

    def on_epoch(self, run, epoch):
        self.seen.append((run, epoch))
        torch.rand(3)

    def on_end(self, run, outcome):
        self.seen.append(("end", outcome))


def test_callbacks_observe_every_training_and_change_none(tmp_path):
    first, second = Notes(), Notes()
    # Forward-Forward draws random numbers in every step.
    options = {**FAST, "rules": ["forward-forward"]}
    (row,) = compare(**options, callbacks=(first, second), out=tmp_path / "a")
    expected = []
    for run, outcome, curve in zip(row.runs, row.outcomes, row.curves, strict=True):
        expected += [("start", run), *((run, epoch) for epoch in curve), ("end", outcome)]
    assert str(first.seen) == str(second.seen) == str(expected)
    (plain,) = compare(**options, out=tmp_path / "b")
    assert str(plain.curves) == str(row.curves)
    # What is finished is not trained, and observed no more.
    compare(**options, callbacks=[first], out=tmp_path / "a")
    assert len(first.seen) == len(expected)


def test_a_run_that_diverges_has_an_end(tmp_path):
    notes = Notes()
    options = {**FAST, "seeds": 1, "learning_rate": 1e30, "epochs": 5}
    compare(**options, callbacks=[notes], out=tmp_path)
    *_, (_, epoch), (_, outcome) = notes.seen
    assert isinstance(outcome, Outcome)
    assert outcome.diverged == epoch.epoch
    assert math.isnan(epoch.test_accuracy)


def test_an_error_in_a_callback_stops_the_comparison_and_finished_runs_are_kept(tmp_path):
    class Broken(Callback):
        def on_start(self, run):
            if run.seed == 1:
                raise LookupError("no server")

    with pytest.raises(LookupError, match="no server"):
        compare(**FAST, callbacks=[Broken()], out=tmp_path)
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 2


def test_worker_processes_receive_copies(tmp_path):
    """And write logs and models beside one another."""
    folder = tmp_path / "processes"
    folder.mkdir()

    # Workers cannot import a class within a function.
    class Process(Callback):
        count = 0

        def on_epoch(self, run, epoch):
            self.count += 1
            (folder / f"{run.seed}-{epoch.epoch}").write_text(f"{os.getpid()} {self.count}")

    mine = Process()
    options = {**FAST, "jobs": 2, "callbacks": [mine, CSVLog(tmp_path / "logs")]}
    (row,) = compare(**options, save_models=True, out=tmp_path / "out")
    told = {path.name: path.read_text().split() for path in folder.iterdir()}
    assert [told[name][1] for name in sorted(told)] == ["1", "2", "1", "2"]
    assert str(os.getpid()) not in {process for process, _ in told.values()}
    assert mine.count == 0
    for run, curve in zip(row.runs, row.curves, strict=True):
        with (tmp_path / "logs" / f"{stem_of(run)}.csv").open(newline="") as file:
            names, *lines = csv.reader(file)
        assert names == ["epoch", "loss", "test_accuracy", "test_loss"]
        assert [[*map(float, line)] for line in lines] == [[*epoch] for epoch in curve]
        assert load_trained(tmp_path / "out" / "models" / f"{stem_of(run)}.pt").model is not None


def test_a_table_begins_anew(tmp_path):
    log = CSVLog(tmp_path)
    notes = Notes()
    compare(**{**FAST, "seeds": 1}, callbacks=[log, notes], out=tmp_path / "out")
    (path,) = tmp_path.glob("*.csv")
    before = path.read_text()
    run = notes.seen[0][1]
    log.on_start(run)
    assert path.read_text() == before.splitlines()[0] + "\n"


@pytest.fixture
def tensorboard(monkeypatch):
    """A module in place of TensorBoard, and what its writers are told."""
    told = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            told.append((folder, purge_step))

        def add_scalar(self, *scalar):
            told.append(scalar)

        def flush(self):
            pass

        def close(self):
            told.append("closed")

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return told


def test_tensorboard(tmp_path, tensorboard):
    (row,) = compare(
        **{**FAST, "seeds": 1, "callbacks": [TensorBoardLog(tmp_path)], "out": tmp_path / "out"}
    )
    expected = [(str(tmp_path / stem_of(row.runs[0])), 1)]
    for number, loss, accuracy, test_loss in row.curves[0]:
        expected += [
            ("loss", loss, number),
            ("test_accuracy", accuracy, number),
            ("test_loss", test_loss, number),
        ]
    assert tensorboard == [*expected, "closed"]


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="TensorBoard is not installed"
)
def test_tensorboard_itself(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(tmp_path / "log")
    (row,) = compare(**{**FAST, "seeds": 1}, callbacks=[log], out=tmp_path / "out")
    (folder,) = (tmp_path / "log").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    found = [each.value for each in events.Scalars("test_accuracy")]
    assert found == pytest.approx([epoch.test_accuracy for epoch in row.curves[0]])


def test_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match="call pip install tensorboard, or use CSVLog"):
        TensorBoardLog(tmp_path)


@pytest.mark.parametrize("log", [CSVLog, TensorBoardLog])
def test_folders_that_are_none(tmp_path, log, tensorboard):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="folder must be a folder, but .*; pass"):
        log(tmp_path / "file")
    with pytest.raises(TypeError, match="folder must be a path, got 3 .*; pass"):
        log(3)


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_no_callback(tmp_path, jobs):
    class Open(Callback):
        def __init__(self):
            self.file = (tmp_path / "log").open("w")

    given = Open()
    options = {**FAST, "jobs": jobs, "out": tmp_path / "out"}
    for wrong in (None, 3, given, "log", {"log": given}, torch.ones(1)):
        with pytest.raises(TypeError, match="callbacks must be a sequence of callbacks.*; pass"):
            compare(**options, callbacks=wrong)
    for wrong in (Open, print, None, "log"):
        with pytest.raises(TypeError, match=r"callbacks\[1\] must be an instance.*; pass"):
            compare(**options, callbacks=[Callback(), wrong])
    if jobs == 2:
        with pytest.raises(TypeError, match=r"callbacks\[0\] cannot be sent .* or pass jobs=1"):
            compare(**options, callbacks=[given])
        assert not (tmp_path / "out").exists()
    given.file.close()
