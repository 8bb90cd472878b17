"""Oja's rule finds the leading eigenvector, at the rate that its eigenvalues give."""

import torch

from sparsebrain import GraphLayer
from sparsebrain.plasticity import Oja
from tests.sparsebrain.plasticity.conftest import bipartite, pad, steps, typed, with_moments

MOMENTS = [[3.0, 1.0], [1.0, 2.0]]
LIMIT = -torch.tensor([0.85065081, 0.52573111], dtype=torch.float64)


def neuron():
    layer = bipartite(2, 1)
    layer.assign_weight(torch.tensor([0.1, -0.5], dtype=torch.float64))
    rule = Oja(layer)
    return layer, rule, rule.make_optimizer(0.05)


def test_ten_steps_have_the_exact_weights():
    layer, rule, optimizer = neuron()
    steps(rule, optimizer, pad(with_moments(MOMENTS), 3), 10)
    expected = torch.tensor([-0.2186025, -0.83297193], dtype=torch.float64)
    assert torch.allclose(layer.weight, expected, rtol=0, atol=5e-8)


def test_the_error_shrinks_at_the_exact_rate_to_the_eigenvector():
    layer, rule, optimizer = neuron()
    x = pad(with_moments(MOMENTS), 3)
    found = []
    for number in (100, 1):
        steps(rule, optimizer, x, number)
        found.append(layer.weight.detach().clone())
    steps(rule, optimizer, x, 400)
    limit = layer.weight.detach()
    assert torch.allclose(limit, LIMIT, rtol=0, atol=5e-9)
    before, after = ((each - limit).norm() for each in found)
    assert abs(after / before - 0.8881966) < 5e-7


def test_every_neuron_of_a_convolution_learns_one_filter_of_length_one():
    """A shared weight follows the mean over its synapses."""
    layer = GraphLayer(typed(), weight_sharing="type", dtype=torch.float64)
    torch.manual_seed(0)
    # Neighbors on the ring are correlated, so the leading filter is (1, 1) / sqrt(2).
    x = torch.randn(64, 20, dtype=torch.float64)
    x = x + x.roll(1, 1)
    rule = Oja(layer)
    steps(rule, rule.make_optimizer(0.1), x, 400)
    assert torch.allclose(layer.weight.abs(), torch.full((2,), 0.5**0.5).double(), atol=1e-6)
