"""Spiking neurons learn digits without labels."""

import csv
import os

import pytest
import torch
from rich.console import Console

from sparsebrain.experiments import digits_stdp
from sparsebrain.experiments.datasets import load
from sparsebrain.experiments.plasticity_study.spiking_digits import (
    RESTING,
    SHOWN,
    _as_one_run,
    label,
    learn,
    make,
    vote,
)


@pytest.fixture(scope="module")
def learned():
    return learn(load("digits"), 40, 600, seed=0)


def test_digits_are_learned_without_labels(learned):
    """Chance is 10 %, 8 standard errors of 360 images below this."""
    row, _ = learned
    assert row.test_accuracy > 0.4
    assert (row.neurons, row.images) == (40, 600)
    assert row.unanswered < 0.5


def test_weights_keep_their_sum_and_bounds(learned):
    _, weight = learned
    assert weight.shape == (40, 64)
    assert torch.allclose(weight.sum(1), torch.tensor(6.4), rtol=1e-4)
    assert weight.min() >= 0


def test_the_same_seed_learns_the_same():
    one, other = (learn(load("digits"), 5, 20, seed=3) for _ in range(2))
    assert torch.equal(one[1], other[1])
    assert one[0].test_accuracy == other[0].test_accuracy


def test_the_network():
    network = make(6, 3, torch.Generator().manual_seed(0))
    pairs = set(map(tuple, network.edge_index.t().tolist()))
    inputs = {(i, 6 + j) for i in range(6) for j in range(3)}
    assert pairs == inputs | {(6 + i, 6 + j) for i in range(3) for j in range(3) if i != j}
    assert network.weight[network.plastic].view(6, 3).sum(0).tolist() == pytest.approx([0.6] * 3)
    assert set(network.weight[~network.plastic].tolist()) == {-120.0}


def test_input_is_in_proportion_to_the_pixels():
    """1000 spikes of each image, in two pixels: within 5 standard deviations (false alarm 6e-7)."""
    x = torch.zeros(50, 100)
    x[:, :80] = 0.01
    x[:, 7] = 0.02
    events = _as_one_run(x, torch.Generator().manual_seed(0))
    assert ((events.step % (SHOWN + RESTING)) < SHOWN).all()
    count = torch.bincount(events.neuron, minlength=100).double()
    assert count[80:].sum() == 0
    # Of a Poisson number in each step at most one is left.
    for pixel, share in ((7, 2 / 81), (8, 1 / 81)):
        p = 1 - torch.exp(torch.tensor(-1000 * share / SHOWN)).item()
        assert abs(count[pixel] / (50 * SHOWN) - p) < 5 * (p * (1 - p) / (50 * SHOWN)) ** 0.5


def test_labels_and_votes():
    responses = torch.tensor([[5.0, 0, 1], [4, 1, 1], [0, 3, 1]])
    labels = label(responses, torch.tensor([1, 1, 0]), 3)
    assert labels.tolist() == [1, 0, 0]
    # Two neurons of class 0 and one of class 1.
    assert vote(torch.tensor([[1.0, 2.0, 1.0], [0, 1, 0]]), labels, 3).tolist() == [0, 0]
    assert vote(torch.tensor([[2.0, 2.0, 1.0]]), labels, 3).tolist() == [1]


def test_table_and_figure_are_written(tmp_path):
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=100, file=nowhere)
        rows = digits_stdp(
            neurons=5, data="digits", images=20, seeds=2, out=tmp_path, console=console
        )
    assert "test accuracy" in console.export_text()
    assert [row.seed for row in rows] == [0, 1]
    with (tmp_path / "results.csv").open() as file:
        kept = list(csv.DictReader(file))
    assert [float(row["test_accuracy"]) for row in kept] == [row.test_accuracy for row in rows]
    assert (tmp_path / "figure.png").stat().st_size > 5000
