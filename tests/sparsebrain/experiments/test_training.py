import dataclasses
import math

import pytest
import torch

import graphs
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.topology import parse
from sparsebrain.experiments.training import Run, evaluate, train


@pytest.fixture
def images():
    """Two classes that differ in which half of the pixels is bright: 90 to train on, 30 to test."""
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(120) % 2
    x = torch.rand(120, 8, generator=draw) / 2
    x[:, :4] += y.unsqueeze(1) / 2
    return Images("halves", 2, (3, 3), x[:90], y[:90], x[90:], y[90:])


@pytest.fixture
def run():
    return Run("halves", "grid:distance=1", 0, 2, 4, 32, 0.01, 0)


def trained(run, images):
    curve = []
    return train(run, parse(run.topology), images, curve.append), curve


def test_it_learns_and_tells_what_was_trained(run, images):
    outcome, curve = trained(dataclasses.replace(run, epochs=15), images)
    assert [epoch.epoch for epoch in curve] == list(range(1, 16))
    assert curve[-1].loss < curve[0].loss / 2
    assert outcome.test_accuracy == curve[-1].test_accuracy > 0.9
    assert (outcome.neurons, outcome.synapses) == (9, 49)
    assert outcome.parameters == (8 * 9 + 9) + 2 * 9 + 49 + 2 * 9 + (9 * 2 + 2)
    measured = graphs.summary(graphs.grid_local((3, 3), 1))
    assert (outcome.path_length, outcome.clustering) == (measured.path_length, measured.clustering)
    assert outcome.seconds_per_epoch > 0


def test_the_same_seed_gives_the_same_run_and_torchs_generator_is_left_alone(run, images):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, curve = trained(run, images)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second, again = trained(run, images)
    assert curve == again
    assert first.test_accuracy == second.test_accuracy
    _, other = trained(dataclasses.replace(run, seed=1), images)
    assert other != curve


def test_without_a_graph_there_is_a_perceptron_of_the_same_width(run, images):
    outcome, _ = trained(dataclasses.replace(run, topology="none"), images)
    assert (outcome.neurons, outcome.synapses) == (9, 0)
    assert outcome.parameters == (8 * 9 + 9) + 2 * 9 + (9 * 2 + 2)
    assert math.isnan(outcome.path_length)
    assert math.isnan(outcome.clustering)


@pytest.mark.parametrize("batch_size", [2, 89, 1000])
def test_any_batch_size_uses_every_sample(run, images, batch_size):
    """89 leaves a last batch of one sample, of which batch normalisation has no variance."""
    _, curve = trained(dataclasses.replace(run, batch_size=batch_size), images)
    assert len(curve) == 4
    assert math.isfinite(curve[-1].loss)


def test_accuracy_is_the_share_of_samples_that_are_right():
    scores = torch.eye(3)
    assert evaluate(torch.nn.Identity(), scores, torch.tensor([0, 1, 0])) == pytest.approx(2 / 3)
    many = torch.eye(2).repeat(1500, 1)
    assert evaluate(torch.nn.Identity(), many, torch.tensor([0, 1]).repeat(1500)) == 1
