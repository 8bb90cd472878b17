"""Trainings through joblib; the comparison's tests use it as people do."""

import errno
import io
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
from rich.console import Console

from sparsebrain.experiments import compare, reproduce, runner
from sparsebrain.experiments.datasets import DATASETS
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.runner import train_missing
from sparsebrain.experiments.training import Run
from tests.processes import are_gone, begin, workers_of


@pytest.fixture
def labels():
    """Four short trainings."""
    runs = [
        Run(
            data="digits",
            topology="grid:shape=4x4,distance=1",
            checksum="",
            synapses_wanted=0,
            loops=2,
            variant="relu",
            # Draws noise at every step, out of a generator that all threads share.
            rule="weight-mirror" if seed == 3 else "backprop",
            epochs=1,
            batch_size=64,
            learning_rate=0.01,
            seed=seed,
        )
        for seed in range(4)
    ]
    return {run: f"seed {run.seed}" for run in runs}


def accuracies(results):
    return {run.seed: outcome.test_accuracy for run, outcome in results.outcomes.items()}


def test_every_backend_of_joblib_finds_the_same(tmp_path, labels):
    """Multiprocessing returns everything at the end, the others as results come."""
    found = []
    for backend in ("loky", "threading", "multiprocessing"):
        results = Results(tmp_path / backend)
        with joblib.parallel_config(backend=backend):
            train_missing(labels, results, jobs=2)
        found.append(accuracies(Results(tmp_path / backend)))
    assert sorted(found[0]) == [0, 1, 2, 3]
    assert found[0] == found[1] == found[2]


def test_a_dask_cluster_takes_the_trainings(tmp_path, labels):
    distributed = pytest.importorskip("distributed")
    results = Results(tmp_path / "dask")
    with (
        distributed.LocalCluster(
            n_workers=2, dashboard_address=None, scheduler_kwargs={"dashboard_address": ":0"}
        ) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        train_missing(labels, results)
        known = client.run(lambda: "sparsebrain.experiments.training" in __import__("sys").modules)
    assert sorted(known.values()) == [True, True]
    here = Results(tmp_path / "here")
    train_missing(labels, here, jobs=1)
    assert accuracies(results) == accuracies(here)


ON_DASK = """
import sys
from pathlib import Path
import joblib
from distributed import Client, LocalCluster
from sparsebrain.experiments import compare

if __name__ == "__main__":
    with (
        LocalCluster(
            n_workers=2, dashboard_address=None, scheduler_kwargs={"dashboard_address": ":0"}
        ) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        compare(topologies=["none"], seeds=1000, epochs=1, out=Path(sys.argv[1]))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_script_that_is_stopped_leaves_no_workers_of_dask(tmp_path, name):
    pytest.importorskip("distributed")
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(ON_DASK)
    process = begin([sys.executable, script, out], out / "results.csv")
    workers = workers_of(process.pid)
    assert len(workers) >= 2
    process.send_signal(signal.Signals[name])
    process.communicate(timeout=600)
    assert process.returncode != 0
    assert are_gone(workers)
    assert (out / "results.csv").read_bytes().endswith(b"\n")


def console():
    return Console(record=True, width=200, file=io.StringIO())


def test_the_second_of_two_commands_waits_for_what_the_first_one_trains(
    tmp_path, labels, monkeypatch
):
    """Each of two threads has its own results of one folder, as two processes have."""
    real, trained, begun, may_end = runner.train, [], threading.Event(), threading.Event()

    def slow(run, *given):
        trained.append(run.seed)
        if run.seed == 0:
            begun.set()
            assert may_end.wait(600)
        return real(run, *given)

    monkeypatch.setattr(runner, "train", slow)
    here, there = Results(tmp_path), Results(tmp_path)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(train_missing, labels, here, jobs=1)
        assert begun.wait(600)
        told = console()
        second = pool.submit(train_missing, labels, there, jobs=1, console=told)
        while "waiting" not in told.export_text(clear=False) and not second.done():
            time.sleep(0.05)
        may_end.set()
        first.result()
        second.result()
    # What the first one had claimed nobody else has trained; the others either of them.
    assert sorted(trained) == [0, 1, 2, 3]
    assert len(here.outcomes) == len(there.outcomes) == 4
    (line,) = [each for each in told.export_text().splitlines() if "waiting" in each]
    assert line.startswith("Another command is training 1 of these runs in ")
    assert line.endswith("; waiting for it instead of repeating them.")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock",
        "curves.csv",
        "results.csv",
    ]


def test_what_another_command_gives_up_is_trained_here(tmp_path, labels):
    other, here, told = Results(tmp_path), Results(tmp_path), console()
    runs = [*labels]
    assert other.claim(runs[1])
    with ThreadPoolExecutor() as pool:
        training = pool.submit(train_missing, labels, here, jobs=1, console=told)
        while "waiting" not in told.export_text(clear=False) and not training.done():
            time.sleep(0.05)
        assert sorted(accuracies(Results(tmp_path))) == [0, 2, 3]
        other.release(runs[1])
        training.result()
    assert sorted(accuracies(here)) == [0, 1, 2, 3]


def test_an_error_while_joblib_asks_for_more_ends_the_command(tmp_path, labels, monkeypatch):
    """It comes up in a thread of joblib, where nobody would see it."""
    results, real = Results(tmp_path), Results.claim

    def claim(self, run):
        if run.seed == 3:
            raise OSError(errno.ENOLCK, "No locks available", ".lock")
        return real(self, run)

    monkeypatch.setattr(Results, "claim", claim)
    with pytest.raises(OSError, match="No locks available"):
        train_missing(labels, results, jobs=1)
    assert sorted(accuracies(results)) == [0, 1, 2]


def test_a_training_is_given_to_the_caller_before_it_is_kept(tmp_path, labels):
    results, seen = Results(tmp_path), []

    def finish(run, trained):
        assert run not in results.outcomes
        seen.append((run.seed, trained.model.graph.num_nodes, len(trained.curve)))

    train_missing(labels, results, jobs=1, finish=finish)
    assert sorted(seen) == [(seed, 16, 1) for seed in range(4)]
    train_missing(labels, results, jobs=1, finish=finish)
    assert len(seen) == 4


def test_threads_may_add_to_one_folder(tmp_path, labels):
    with joblib.parallel_config(backend="threading"):
        train_missing(labels, Results(tmp_path), jobs=4)
    assert len(Results(tmp_path).outcomes) == 4


@pytest.mark.parametrize("command", [compare, reproduce])
def test_a_process_that_trains_itself_loads_the_images_once(tmp_path, monkeypatch, command):
    real, folders = DATASETS["digits"], []

    def watched(folder):
        folders.append(folder)
        return real(folder)

    monkeypatch.setitem(DATASETS, "digits", watched)
    command(data="digits", data_dir=tmp_path, epochs=1, seeds=1, jobs=1, out=tmp_path / "out")
    assert folders == [tmp_path]
