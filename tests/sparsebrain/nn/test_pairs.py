"""Weights and gains that both directions of a pair share."""

import copy

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer

TOPOLOGIES = {
    "grid": lambda: graphs.grid_local((4, 5), 1),
    "small world": lambda: graphs.symmetrize(graphs.small_world(30, 6, 0.3, seed=0)),
    "C. elegans": lambda: graphs.symmetrize(graphs.c_elegans()),
}


def matrix(layer):
    weight = torch.zeros(layer.num_nodes, layer.num_nodes, dtype=layer.weight.dtype)
    source, target = layer.edge_index
    return weight.index_put((target, source), layer.weight_per_synapse(), accumulate=True)


def chain(**fields):
    """Three neurons, 0 <-> 1 <-> 2, with a self-loop at 2."""
    edge_index = torch.tensor([[2, 1, 0, 2, 1], [1, 2, 1, 2, 0]])
    return Data(edge_index=edge_index, num_nodes=3, **fields)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_matrix_is_symmetric_and_stays_so_under_an_optimizer(topology):
    data = TOPOLOGIES[topology]()
    torch.manual_seed(0)
    layer = GraphLayer(data, 3, activation="tanh", weight_sharing="pair")
    assert layer.has_symmetric_weights
    self_loops = int((data.edge_index[0] == data.edge_index[1]).sum())
    assert len(layer.weight) == (data.num_edges - self_loops) / 2 + self_loops
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.rand(4, data.num_nodes)).square().sum().backward()
        optimizer.step()
    weight = matrix(layer)
    assert torch.equal(weight, weight.T)
    assert weight.unique().numel() > len(layer.weight) / 2


def test_pairs_are_sorted_by_their_neurons():
    layer = GraphLayer(chain(), weight_sharing="pair")
    assert layer.weight_index.tolist() == [1, 1, 0, 2, 0]
    layer.assign_weight(torch.tensor([1.0, 2.0, 3.0]))
    assert layer(torch.tensor([[1.0, 10.0, 100.0]])).tolist() == [[10.0, 201.0, 320.0]]
    assert repr(layer) == "GraphLayer(3 neurons, 5 synapses, loops=1, weight_sharing='pair')"


def test_parallel_synapses_have_partners_of_their_type():
    """Between 0 and 1 of types 0 and 1; between 1 and 2 the types differ, as on a lattice."""
    edge_index = torch.tensor([[0, 1, 1, 0, 1, 2], [1, 0, 0, 1, 2, 1]])
    data = Data(edge_index=edge_index, num_nodes=3, edge_type=torch.tensor([1, 0, 1, 0, 0, 1]))
    layer = GraphLayer(data, weight_sharing="pair")
    assert layer.weight_index.tolist() == [1, 0, 1, 0, 2, 2]


def test_nothing_has_no_pairs():
    nothing = Data(edge_index=torch.zeros(2, 0).long(), num_nodes=3)
    layer = GraphLayer(nothing, Equilibrium(constraint="norm"), weight_sharing="pair")
    assert layer.weight.shape == (0,)
    assert layer(torch.ones(1, 3)).tolist() == [[1.0] * 3]


def test_gains_of_pairs_multiply_strengths_that_agree():
    strength = torch.tensor([2.0, 2.0, 3.0, 5.0, 3.0])
    layer = GraphLayer(chain(edge_weight=strength), gain="pair")
    assert layer.has_symmetric_weights
    assert not GraphLayer(chain(edge_weight=strength), gain="source").has_symmetric_weights
    assert layer.gain.tolist() == [1.0] * 3
    layer.assign_weight(strength * torch.tensor([2.0, 2.0, 3.0, 4.0, 3.0]))
    assert layer.gain.tolist() == [3.0, 2.0, 4.0]
    weight = matrix(layer)
    assert torch.equal(weight, weight.T)
    assert torch.equal(matrix(copy.deepcopy(layer)), weight)


def test_signs_are_those_of_both_directions():
    sign = torch.tensor([-1.0, -1.0, 1.0, 0.0, 1.0])
    layer = GraphLayer(chain(edge_sign=sign), weight_sharing="pair", dale=True)
    weight = layer.weight_per_synapse()
    assert torch.equal(weight[:3].sign(), sign[:3])
    optimizer = torch.optim.SGD(layer.parameters(), lr=10.0)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert bool((layer.weight_per_synapse()[:3] * sign[:3] >= 0).all())


@pytest.mark.parametrize("option", ["weight_sharing", "gain"])
@pytest.mark.parametrize(
    ("fields", "others", "match"),
    [
        (
            {"edge_weight": torch.tensor([2.0, 2.5, 3.0, 5.0, 3.0])},
            {"init": "edge_weight"},
            r"edge_weight differ; pass graphs\.symmetrize\(connectome, weight='mean'\)",
        ),
        (
            {"edge_weight": torch.ones(5), "node_sign": torch.tensor([1.0, -1.0, 1.0])},
            {"dale": True},
            r"edge_sign differ; pass graphs\.symmetrize\(connectome\) .* or dale=False",
        ),
    ],
)
def test_directions_that_disagree_are_refused(option, fields, others, match):
    with pytest.raises(ValueError, match=f"{option}='pair' gives .* {match}"):
        GraphLayer(chain(**fields), **{option: "pair"}, **others)


@pytest.mark.parametrize("option", ["weight_sharing", "gain"])
def test_synapses_without_a_partner_are_refused(option):
    data = Data(
        edge_index=torch.tensor([[0, 1, 2, 2], [1, 0, 1, 2]]),
        num_nodes=3,
        edge_weight=torch.ones(4),
    )
    match = (
        rf"{option}='pair' needs a partner .* but 1 have none, the first from neuron 2 to 1; "
        r"pass graphs\.symmetrize\(connectome\), or on the command line symmetric=true"
    )
    with pytest.raises(ValueError, match=match):
        GraphLayer(data, **{option: "pair"})
    GraphLayer(graphs.symmetrize(data), **{option: "pair"})
