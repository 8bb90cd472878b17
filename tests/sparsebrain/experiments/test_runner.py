"""Trainings through joblib; the comparison's tests use it as people do."""

import joblib
import pytest

from sparsebrain.experiments import compare, reproduce
from sparsebrain.experiments.datasets import DATASETS
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.runner import train_missing
from sparsebrain.experiments.training import Run


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
    """Multiprocessing, as Ray's backend, returns everything at the end; threads as they come."""
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
        distributed.LocalCluster(n_workers=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        train_missing(labels, results)
        known = client.run(lambda: "sparsebrain.experiments.training" in __import__("sys").modules)
    assert sorted(known.values()) == [True, True]
    here = Results(tmp_path / "here")
    train_missing(labels, here, jobs=1)
    assert accuracies(results) == accuracies(here)


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
