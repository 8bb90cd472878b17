"""Neurons are renumbered inside a layer, and nobody sees it."""

import copy

import pytest
import torch
from torch import nn

import graphs
from sparsebrain import GraphLayer, kernels
from sparsebrain.kernels import Structure
from sparsebrain.nn import renumbering
from sparsebrain.nn.initialization import variance_gain
from sparsebrain.nn.renumbering import renumber

NEURONS = 9000
SIDES = (100.0, 90.0)


@pytest.fixture(scope="module")
def places():
    """Neurons at random places: what is near in space is far in number."""
    return graphs.coordinate_random(NEURONS, SIDES, 1.5, seed=0)


def expected(layer, x, *, inject=False):
    """The loops on neurons as they are numbered, by the reference."""
    states = kernels.loop(
        layer.structure,
        layer.weight,
        torch.zeros_like(x.t()) if inject else x.t(),
        loops=layer.loops,
        drive=x.t() if inject else None,
        bias=layer.bias,
        activation=layer.activation,
        keep=True,
        backend="reference",
    )
    return torch.stack(states).transpose(1, 2)


def test_synapses_become_shorter_and_stay_the_same(places):
    structure = Structure(places.edge_index, NEURONS)
    near = renumber(structure, 4)
    assert torch.equal(near.order[near.place], torch.arange(NEURONS))
    assert torch.equal(near.order[near.structure.edge_index], structure.edge_index)
    before, after = (
        (each.edge_index[0] - each.edge_index[1]).abs().double().mean()
        for each in (structure, near.structure)
    )
    assert after < before / 4


def test_graphs_without_an_order_are_left_alone(places):
    random = graphs.small_world(NEURONS, 6, 1.0, seed=0)
    grid = graphs.grid_local((100, 90), 1)
    empty = torch.zeros(2, 0, dtype=torch.int64)
    for edges in (random.edge_index, grid.edge_index, empty):
        assert renumber(Structure(edges, NEURONS), 4) is None
    few = graphs.coordinate_random(1000, (40.0, 25.0), 1.5, seed=0)
    assert renumber(Structure(few.edge_index, 1000), 4) is None


GRAPHS = {
    "grid": lambda: graphs.grid_local((100, 90), 2),
    "cube": lambda: graphs.grid_local((21, 21, 21), 1),
    "chain": lambda: graphs.grid_local((20, 450), 1),
    "ring": lambda: graphs.small_world(NEURONS, 10, 0.0, seed=0),
    "small world": lambda: graphs.small_world(NEURONS, 10, 0.1, seed=0),
    "random": lambda: graphs.small_world(NEURONS, 24, 1.0, seed=0),
    "places": lambda: graphs.coordinate_random(NEURONS, SIDES, 1.5, seed=0),
    "long places": lambda: graphs.coordinate_random(NEURONS, (900.0, 10.0), 3.0, seed=0),
    "communities": lambda: graphs.stochastic_block([90] * 100, _few_between(100), seed=0),
}


def _few_between(blocks):
    chances = torch.full((blocks, blocks), 1e-6)
    return chances.fill_diagonal_(0.2).tolist()


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("graph", GRAPHS)
def test_the_estimate_leaves_out_no_order_that_helps(graph, mixed, monkeypatch):
    data = GRAPHS[graph]()
    edges = data.edge_index
    if mixed:
        edges = torch.randperm(data.num_nodes, generator=torch.Generator().manual_seed(0))[edges]
    structure = Structure(edges, data.num_nodes)
    found = renumber(structure, 4)
    monkeypatch.setattr(renumbering, "_stays_long", lambda *given: False)
    expected = renumber(structure, 4)
    assert (found is None) == (expected is None)
    assert found is None or torch.equal(found.order, expected.order)


def test_an_order_is_not_searched_where_none_helps(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the whole search ran")

    monkeypatch.setattr(renumbering, "reverse_cuthill_mckee", fail)
    for graph in ("grid", "cube", "random", "small world"):
        data = GRAPHS[graph]()
        assert renumber(Structure(data.edge_index, data.num_nodes), 4) is None


def test_initial_weights_do_not_depend_on_the_order_of_synapses(places):
    weight = torch.randn(places.num_edges, generator=torch.Generator().manual_seed(0))
    mixed = torch.randperm(places.num_edges, generator=torch.Generator().manual_seed(1))
    gains = {
        variance_gain(Structure(places.edge_index[:, order], NEURONS), weight[order], 3)
        for order in (torch.arange(places.num_edges), mixed)
    }
    assert len(gains) == 1


@pytest.mark.parametrize("inject", [False, True])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_outputs_states_and_gradients_are_those_of_the_connectome(places, inject, checkpoint):
    options = {"activation": "tanh", "bias": True, "inject": inject, "checkpoint": checkpoint}
    layer = GraphLayer(places, 4, **options, dtype=torch.float64)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, NEURONS, dtype=torch.float64, requires_grad=True)
    assert layer.describe(x).renumbering is not None
    given = (layer.weight, layer.bias, x)
    y, states = layer(x, return_states=True)
    right = expected(layer, x, inject=inject)
    torch.testing.assert_close(states[1:], right)
    assert torch.equal(y, states[-1])
    factor = torch.randn_like(right)
    found = torch.autograd.grad((states[1:] * factor).sum(), given)
    for one, other in zip(found, torch.autograd.grad((right * factor).sum(), given), strict=True):
        torch.testing.assert_close(one, other)


def test_an_activation_meets_neurons_in_their_order(places):
    def half(state):
        return torch.cat([state[..., :4500].tanh(), state[..., 4500:]], dim=-1)

    layer = GraphLayer(places, 4, activation=half)
    x = torch.randn(3, NEURONS)
    expected = x
    for _ in range(4):
        (linear,) = kernels.loop(
            layer.structure, layer.weight, expected.t(), loops=1, backend="reference"
        )
        expected = half(linear.t())
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_pyg_batches_copies_and_few_loops(places):
    layer = GraphLayer(places, 4, activation="tanh")
    x = torch.randn(4, NEURONS)
    batched = torch.cat([places.edge_index, places.edge_index + NEURONS], dim=1)
    node_first = x.view(2, 2, NEURONS).transpose(1, 2).reshape(2 * NEURONS, 2)
    y = layer(node_first, batched).view(2, NEURONS, 2).transpose(1, 2).reshape(4, NEURONS)
    torch.testing.assert_close(y, layer(x))
    twin = copy.deepcopy(layer)
    assert torch.equal(twin(x), layer(x))
    twin.to(torch.float64)
    torch.testing.assert_close(twin(x.double()).float(), layer(x), rtol=1e-4, atol=1e-5)
    assert GraphLayer(places, 3).describe(x.float()).renumbering is None
