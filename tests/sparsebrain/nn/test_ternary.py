"""Ternary weights on layers: the definition, exactly, and the straight-through gradient."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer, kernels
from sparsebrain.nn import Ternary


def ternary(layer):
    return parametrize.register_parametrization(layer, "weight", Ternary())


def grid(**options):
    torch.manual_seed(0)
    return GraphLayer(graphs.grid_local((4, 4), 1), 3, activation="tanh", **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ([0.5, -1, 2, -0.5], [0, -1, 1, 0]),  # the scale is 1, and half of it is rounded to 0
        ([3, 1, -2, 0], [1.5, 1.5, -1.5, 0]),
        ([[4, -4], [1, -3]], [[3, -3], [0, -3]]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([], []),
    ],
)
def test_weights_are_the_scale_times_minus_one_zero_or_one(weight, expected, dtype):
    found = Ternary()(torch.tensor(weight, dtype=dtype))
    assert torch.equal(found, torch.tensor(expected, dtype=dtype))


def test_at_most_two_magnitudes_and_the_scale_is_the_mean():
    layer = grid()
    free = layer.weight.detach().clone()
    ternary(layer)
    scale = free.abs().mean()
    assert set(layer.weight.detach().tolist()) == {-scale.item(), 0.0, scale.item()}
    expected = scale * (free / scale).clamp(-1, 1).round()
    assert torch.equal(layer.weight.detach(), expected)


@pytest.mark.parametrize("backend", [n for n, why in kernels.available().items() if why is None])
def test_every_backend_computes_with_the_rounded_weights(backend):
    layer, plain = grid(backend=backend), grid(backend=backend)
    x = torch.rand(5, 16)
    ternary(layer)
    plain.assign_weight(layer.weight.detach())
    found, expected = layer(x), plain(x)
    assert torch.equal(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    # Straight through the rounding.
    assert torch.equal(layer.parametrizations.weight.original.grad, plain.weight.grad)
    wide = torch.rand(32, 3)
    edges = torch.cat([layer.edge_index, layer.edge_index + 16], 1)
    assert torch.equal(layer(wide, edges), plain(wide, edges))


def test_dale_keeps_the_signs_of_rounded_weights():
    data = graphs.grid_local((4, 4), 1)
    data.node_sign = torch.tensor([1.0, -1.0]).repeat(8)
    layer = ternary(GraphLayer(data, dale=True))
    optimizer = torch.optim.SGD(layer.parameters(), lr=5.0)
    for _ in range(5):
        optimizer.zero_grad()
        layer(torch.rand(4, 16)).square().sum().backward()
        optimizer.step()
        assert bool((layer.weight * layer.sign >= 0).all())
        assert len(layer.weight.abs().unique()) == 2
    with pytest.raises(ValueError, match="dale=True fixes the sign of synapse 0"):
        layer.weight = -layer.sign


@pytest.mark.parametrize("options", [{"weight_sharing": "source"}, {"gain": "source"}], ids=str)
def test_shared_weights_and_gains_are_rounded(options):
    data = graphs.grid_local((4, 4), 1)
    data.edge_weight = torch.linspace(-1, 1, data.num_edges)
    layer = GraphLayer(data, **options)
    free = layer.weight.detach().clone()
    ternary(layer)
    assert torch.equal(layer.weight.detach(), Ternary()(free))
    layer(torch.rand(2, 16)).sum().backward()
    assert layer.parametrizations.weight.original.grad.abs().sum() > 0


def test_layers_are_assigned_drawn_copied_saved_and_pickled():
    layer = ternary(GraphLayer(Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=2)))
    layer.weight = torch.tensor([3.0, -1.0])
    assert layer.weight.tolist() == [2.0, 0.0]
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.weight.tolist() == [2.0, 0.0]
    other = ternary(GraphLayer(Data(edge_index=layer.edge_index, num_nodes=2)))
    other.load_state_dict(layer.state_dict())
    assert other.parametrizations.weight.original.tolist() == [3.0, -1.0]
    layer.reset_parameters()
    assert layer.weight.tolist() != [2.0, 0.0]
    assert other.double()(torch.ones(1, 2, dtype=torch.float64)).tolist() == [[0.0, 2.0]]


def test_a_linear_layer_learns_through_the_rounding():
    layer = ternary(nn.Linear(3, 2, bias=False))
    layer.weight = torch.tensor([[1.0, 0.1, -1.0], [0.2, 2.0, -0.5]])
    x = torch.tensor([[1.0, 2.0, 3.0]])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    layer(x)[:, 0].sum().backward()
    optimizer.step()
    free = layer.parametrizations.weight.original
    torch.testing.assert_close(free[0].detach(), torch.tensor([0.5, -0.9, -2.5]))
    assert free[1].tolist() == pytest.approx([0.2, 2.0, -0.5])


def test_derivatives_of_torch_func():
    weight = torch.tensor([1.0, -0.2, 3.0], dtype=torch.float64)
    module = Ternary()

    def value(free):
        return (module(free) ** 2).sum()

    expected = 2 * module(weight)
    assert torch.equal(torch.func.grad(value)(weight), expected)
    assert torch.equal(
        torch.func.jvp(value, (weight,), (torch.ones_like(weight),))[1], expected.sum()
    )


@pytest.mark.parametrize("weight", [[1.0], torch.tensor([1, 2]), torch.ones(2).half(), None])
def test_bad_input(weight):
    with pytest.raises(TypeError, match=r"weight must be a float32 or float64 tensor, got .*pass"):
        Ternary()(weight)
