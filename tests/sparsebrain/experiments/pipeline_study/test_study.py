"""Trainings on two processes: their results, and the tables and the figure made from them."""

import csv

import pytest
import torch
from rich.console import Console

from sparsebrain.experiments import pipeline
from sparsebrain.experiments.datasets import load_once
from sparsebrain.experiments.pipeline_study import study
from sparsebrain.experiments.pipeline_study.memory import Kept
from sparsebrain.experiments.pipeline_study.methods import METHODS, Size, make_rule
from sparsebrain.experiments.pipeline_study.processes import Job, Measured, batch_order
from sparsebrain.experiments.pipeline_study.study import Epoch, accuracy_at, shortest

TINY = Size(neurons=24, neighbors=4, depth=2, samples=64, parts=4)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def accuracy_alone(method):
    """The accuracy after an epoch of the rule in one process."""
    job, images = Job(method, TINY, 1, 0), load_once("digits")
    rule = make_rule(METHODS[method].rule, TINY, images.train_x.shape[1], images.num_classes, 0)
    optimizer = rule.make_optimizer()
    for number, chosen in enumerate(batch_order(job, len(images.train_x)), start=1):
        rule(images.train_x[chosen], images.train_y[chosen])
        if number % TINY.parts == 0:
            for parameter in rule.parameters():
                if parameter.grad is not None:
                    parameter.grad /= TINY.parts
            optimizer.step()
            optimizer.zero_grad()
    rule.eval()
    found = rule.predict(images.test_x).argmax(1)
    return float((found == images.test_y).double().mean())


def test_two_processes_learn_what_one_learns_and_everything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "SIZE", TINY)
    monkeypatch.setattr(study, "SIMULATED_STAGES", (2, 4))
    console = Console(record=True, width=200)
    trained = pipeline(epochs=1, seeds=1, out=tmp_path, console=console)
    assert [each.method for each in trained] == list(METHODS)
    curves = read(tmp_path / "curves.csv")
    for row in curves:
        # Sums of the compiled step of error diffusion are rounded differently.
        assert float(row["accuracy"]) == pytest.approx(accuracy_alone(row["method"]), abs=0.006)
    kept = {each.method: (each.kept_first, each.kept_last) for each in trained}
    assert kept["backpropagation, GPipe"] > kept["backpropagation, 1F1B"]
    assert all(0 <= each.idle_first < 1 and 0 < each.computing <= 1.01 for each in trained)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("results.csv", "curves.csv", "costs.csv", "simulated.csv", "figure.png")
    }
    simulated = read(tmp_path / "simulated.csv")
    assert len(simulated) == len(METHODS) * 2 * len(study.SIMULATED_STAGES)
    told = console.export_text()
    assert "7 of 7: Hebb, seed 0" in told
    assert "Medians of 1 seeds, 2 processes" in told


def measured(seconds, waiting):
    return Measured(
        seconds, waiting, 4.0, {"forward": [0.2] * 8, "update": [0.4] * 2}, 2**20, 0.0, [], []
    )


def test_a_row_has_shares_rates_and_a_prediction():
    job = Job("local errors", TINY, 1, 0)
    row = study._trained(job, [measured(4.0, 1.0), measured(5.0, 2.0)], load=0.5)
    assert row.samples_per_second == 8 * 64 / 5
    assert (row.idle_first, row.idle_last, row.kept_first) == (0.25, 0.4, 1.0)
    # Two batches of four micro-batches, and the first of them alone in the first stage.
    assert row.predicted == pytest.approx(8 * 64 / (0.2 + 2 * (4 * 0.2 + 0.4)))
    assert row.predicted_idle == pytest.approx(0.2 / 2.6)
    assert row.computing == pytest.approx(8 / 10)


def test_accuracy_after_equal_time():
    rows = [
        ("a", 0, 1, 1.0, 0.5),
        ("a", 0, 2, 2.0, 0.7),
        ("b", 0, 1, 3.0, 0.9),
        ("b", 0, 2, 6.0, 1.0),
    ]
    curves = [Epoch(*each) for each in rows]
    assert shortest(curves) == 2.0
    assert [accuracy_at(curves, name, 2.0) for name in "ab"] == [0.7, 0.1]
    assert [accuracy_at(curves, name, 6.0) for name in "ab"] == [0.7, 1.0]


def test_batches_are_whole_and_the_same_in_every_process():
    job = Job("Hebb", TINY, 2, 3)
    one, other = (list(batch_order(job, 600)) for _ in range(2))
    assert len(one) == 2 * 2 * 4
    assert all(torch.equal(*each) for each in zip(one, other, strict=True))
    assert len(torch.cat(one[:8]).unique()) == 512


def test_kept_counts_what_autograd_keeps():
    weight = torch.randn(10, 10, requires_grad=True)
    x = torch.randn(100, 10)
    with Kept([weight]) as kept:
        out = (x @ weight).tanh()
        assert kept.most == (100 * 10 + 100 * 10) * 4
        del out
        (x[:50] @ weight).sum().backward()
        kept.look([torch.zeros(5)])
    assert kept.most == 2000 * 4
