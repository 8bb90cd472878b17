"""A layer whose synapses were replaced is a layer that was made with the new ones."""

import copy

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.nn.replacement import follow

SOURCES = torch.tensor([0, 1, 2, 3, 0])
TARGETS = torch.tensor([1, 2, 3, 0, 2])
REMOVED = torch.tensor([3, 1])
ADDED = torch.tensor([[2, 3], [0, 1]])
# By target and source: 2->0, 0->1, 3->1, 0->2, 2->3.
AFTER = torch.tensor([[2, 0, 3, 0, 2], [0, 1, 1, 2, 3]])
ORIGIN = torch.tensor([-1, 0, -1, 4, 2])


def connectome(**fields):
    return Data(edge_index=torch.stack([SOURCES, TARGETS]), num_nodes=4, **fields)


def new(**options):
    return GraphLayer(connectome(node_sign=torch.tensor([1.0, -1, 1, 0])), **options)


def replaced(layer, sign=None):
    like = layer.weight
    weight = torch.tensor([0.5, 0.25], dtype=like.dtype)
    return layer.replace_synapses(REMOVED, ADDED, weight, sign)


@pytest.mark.parametrize("loops", [1, 5])
def test_it_is_a_layer_that_was_made_with_the_new_synapses(loops):
    layer = new(loops=loops, activation="tanh")
    before = layer.weight.detach().clone()
    parameter = layer.weight
    assert torch.equal(replaced(layer), ORIGIN)
    assert layer.weight is parameter
    assert torch.equal(layer.edge_index, AFTER)
    expected = torch.where(ORIGIN < 0, torch.tensor([0.5, 0, 0.25, 0, 0]), before[ORIGIN])
    assert torch.equal(layer.weight, expected)
    other = GraphLayer(Data(edge_index=AFTER, num_nodes=4), loops, activation="tanh")
    other.load_state_dict(layer.state_dict())
    x = torch.rand(3, 4)
    assert torch.equal(layer(x), other(x))
    layer(x).sum().backward()
    other(x).sum().backward()
    assert torch.equal(layer.weight.grad, other.weight.grad)
    with pytest.raises(RuntimeError, match="saved with other synapses"):
        new(loops=loops, activation="tanh").load_state_dict(layer.state_dict())


def test_the_gradient_follows():
    layer = new()
    layer.weight.grad = torch.arange(1.0, 6)
    replaced(layer)
    assert layer.weight.grad.tolist() == [0, 1, 0, 5, 3]
    assert follow(torch.arange(1, 6), ORIGIN).tolist() == [0, 1, 0, 5, 3]


def test_signs_follow():
    layer = new(dale=True)
    before = layer.weight.detach().clone()
    replaced(layer, sign=torch.tensor([1.0, 0.0]))
    assert layer.sign.tolist() == [1, 1, 0, 1, 1]
    assert torch.equal(layer.weight[ORIGIN >= 0], before[ORIGIN[ORIGIN >= 0]])
    assert layer.weight[[0, 2]].tolist() == [0.5, 0.25]
    edges = Data(edge_index=AFTER, num_nodes=4, edge_sign=layer.sign)
    GraphLayer(edges, dale=True).load_state_dict(layer.state_dict())
    wrong = torch.tensor([-1.0, 1.0])
    with pytest.raises(ValueError, match=r"pass sign \* weight.abs\(\)"):
        new(dale=True).replace_synapses(REMOVED, ADDED, torch.ones(2), wrong)
    with pytest.raises(ValueError, match=r"sign must hold -1, 0 and \+1 only; pass sign.sign\(\)"):
        new(dale=True).replace_synapses(REMOVED, ADDED, torch.ones(2), 2 * torch.ones(2))
    for each, sign in ((new(), torch.ones(2)), (new(dale=True), None)):
        with pytest.raises(ValueError, match="sign is for layers with dale=True"):
            replaced(each, sign)


def test_measured_weights_follow():
    data = connectome(edge_weight=torch.arange(1.0, 6))
    layer = GraphLayer(data, init="edge_weight")
    replaced(layer)
    with torch.no_grad():
        layer.weight.zero_()
    layer.reset_parameters()
    assert layer.weight.tolist() == [0.5, 1, 0.25, 5, 3]


def test_batches_of_the_old_synapses_are_refused():
    layer = new()
    batch = next(iter(DataLoader([connectome(x=torch.rand(4, 1))] * 3, batch_size=3)))
    layer(batch.x, batch.edge_index)
    replaced(layer)
    with pytest.raises(ValueError, match="not that of the layer's connectome"):
        layer(batch.x, batch.edge_index)


def test_renumbered_neurons_follow():
    """A large layer, whose neurons are renumbered for speed."""
    generator = torch.Generator().manual_seed(0)
    grid = graphs.grid_local((100, 100), 1)
    place = torch.randperm(10_000, generator=generator)
    data = Data(edge_index=place[grid.edge_index], num_nodes=10_000)
    layer = GraphLayer(data, loops=4)
    assert layer.describe(torch.ones(1, 10_000)).renumbering is not None
    added = torch.stack([place[:5], place[5000:5005]])
    layer.replace_synapses(torch.arange(5), added, torch.ones(5))
    other = GraphLayer(Data(edge_index=layer.edge_index, num_nodes=10_000), loops=4)
    other.load_state_dict(layer.state_dict())
    x = torch.rand(2, 10_000)
    assert torch.equal(layer(x), other(x))


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        ([0, 0], ADDED, r"different positions; pass removed.unique\(\)"),
        ([0, 5], ADDED, "removed must hold positions from 0 to 4, got 5"),
        ([0, -1], ADDED, "removed must hold positions from 0 to 4, got -1"),
        ([0, 1], [[2, 4], [0, 1]], "added must hold neurons from 0 to 3, got 4"),
        ([0, 1], [[2, 2], [0, 0]], "must not make a synapse twice, but 2 -> 0 would be"),
        ([0, 1], [[2, 2], [0, 3]], "must not make a synapse twice, but 2 -> 3 would be"),
        (
            [0],
            ADDED,
            "must have the same number K of synapses, got 1, 2 and 1; pass",
        ),
    ],
)
def test_wrong_synapses_leave_the_layer_as_it_was(removed, added, message):
    layer = new()
    before = copy.deepcopy(layer)
    weight = torch.ones(len(removed))
    with pytest.raises(ValueError, match=message):
        layer.replace_synapses(torch.tensor(removed), torch.as_tensor(added), weight)
    assert torch.equal(layer.edge_index, before.edge_index)
    assert torch.equal(layer.weight, before.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_sharing": "source"}, "weight_sharing='synapse'"),
        ({"gain": "synapse", "init": "edge_weight"}, "make it without gain"),
        (
            {"loops": Equilibrium(constraint="norm"), "activation": "tanh"},
            "make it with constraint=None",
        ),
    ],
    ids=str,
)
def test_weights_that_are_not_those_of_single_synapses_are_refused(options, message):
    layer = GraphLayer(connectome(edge_weight=torch.ones(5)), **options)
    with pytest.raises(ValueError, match=f"synapses cannot be replaced, .*{message}"):
        layer.replace_synapses(REMOVED, ADDED, torch.ones(2))
