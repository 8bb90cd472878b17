"""Sanger's rule finds the principal components, in order."""

import itertools

import torch

import graphs
from sparsebrain import GraphLayer
from sparsebrain.plasticity import Sanger
from tests.sparsebrain.plasticity.conftest import NEURONS, bipartite, inputs, pad, steps

SPECTRUM = torch.tensor([5.0, 3.5, 2.0, 1.0, 0.5], dtype=torch.float64)


def rotated():
    """Samples whose second moments have that spectrum, and the eigenvectors as rows."""
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    return 5**0.5 * SPECTRUM.sqrt().unsqueeze(1) * basis.T, basis.T


def test_outputs_are_the_principal_components_in_order():
    x, components = rotated()
    torch.manual_seed(0)
    layer = bipartite(5, 3)
    rule = Sanger(layer)
    steps(rule, rule.make_optimizer(0.05), pad(x, 8), 600)
    weight = layer.weight.detach().view(3, 5)
    assert torch.allclose((weight @ components.T).abs(), torch.eye(3, 5).double(), atol=1e-9)
    # The projections on both subspaces are the same.
    expected = components[:3].T @ components[:3]
    assert torch.allclose(weight.T @ weight, expected, atol=1e-9)


def test_a_step_is_the_definition():
    """On a graph where sources have different targets, and synapses in any order."""
    data = graphs.small_world(NEURONS, 6, 0.3, seed=1)
    data.edge_index = data.edge_index[:, torch.randperm(data.num_edges)]
    layer = GraphLayer(data, loops=2, dtype=torch.float64)
    x = inputs(3).double()
    _, states = layer(x, return_states=True)
    states, weight = states.detach(), layer.weight.detach()
    Sanger(layer)(x)
    for synapse, (source, target) in enumerate(layer.edge_index.T.tolist()):
        update = 0.0
        for pre, post in itertools.pairwise(states):
            left = pre[:, source].clone()
            for other, (start, end) in enumerate(layer.edge_index.T.tolist()):
                if start == source and end <= target:
                    left -= weight[other] * post[:, end]
            update += float((post[:, target] * left).mean())
        assert abs(-layer.weight.grad[synapse] - update) < 1e-12
