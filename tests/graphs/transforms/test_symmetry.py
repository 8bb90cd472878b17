import inspect

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from tests.graphs.cases import CASES

CHAIN = Data(
    edge_index=torch.tensor([[0, 1, 1, 2, 2], [1, 0, 2, 2, 3]]),
    num_nodes=4,
    edge_weight=torch.tensor([1.0, 4.0, -2.0, 5.0, 0.5]),
    names=["a", "b", "c", "d"],
)


def matrix(data):
    dense = np.zeros((data.num_nodes, data.num_nodes))
    dense[tuple(data.edge_index.numpy())] = data.edge_weight.numpy()
    return dense


def connected(data):
    dense = np.zeros((data.num_nodes, data.num_nodes), dtype=bool)
    dense[tuple(data.edge_index.numpy())] = True
    return dense


@pytest.mark.parametrize(("weight", "joint"), [("sum", 5.0), ("mean", 2.5), ("max", 4.0)])
def test_weights_between_two_neurons_become_one(weight, joint):
    data = graphs.validate(graphs.symmetrize(CHAIN, weight))
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = joint
    expected[1, 2] = expected[2, 1] = -2
    expected[2, 3] = expected[3, 2] = 0.5
    expected[2, 2] = 5
    assert np.array_equal(matrix(data), expected)
    assert data.num_edges == 7
    assert data.names == CHAIN.names


@pytest.mark.parametrize("name", CASES)
def test_every_synapse_has_a_partner(name):
    case = CASES[name]
    seed = {"seed": 0} if "seed" in inspect.signature(case.make).parameters else {}
    data = case.make(**case.arguments, **seed)
    for sign in ("edge_sign", "node_sign"):
        if sign in data:
            del data[sign]
    both = graphs.validate(graphs.symmetrize(data))
    dense = connected(data)
    assert np.array_equal(connected(both), dense | dense.T)
    again = graphs.symmetrize(both)
    assert torch.equal(again.edge_index, both.edge_index)


def test_types_are_made_symmetric_one_by_one():
    data = CHAIN.clone()
    data.edge_type = torch.tensor([3, 7, 3, 3, 7])
    found = graphs.validate(graphs.symmetrize(data))
    triples = sorted(zip(*found.edge_index.tolist(), found.edge_type.tolist(), strict=True))
    expected = [(0, 1, 3), (0, 1, 7), (1, 0, 3), (1, 0, 7), (1, 2, 3), (2, 1, 3), (2, 2, 3)]
    assert triples == [*expected, (2, 3, 7), (3, 2, 7)]


def test_an_unknown_sign_becomes_that_of_the_partner():
    data = CHAIN.clone()
    data.edge_weight = data.edge_weight.abs()
    data.edge_sign = torch.tensor([0.0, -1.0, 1.0, 0.0, 1.0])
    found = graphs.symmetrize(data)
    signs = dict(
        zip(zip(*found.edge_index.tolist(), strict=True), found.edge_sign.tolist(), strict=True)
    )
    assert signs[0, 1] == signs[1, 0] == -1
    assert signs[1, 2] == signs[2, 1] == 1
    assert signs[2, 2] == 0


@pytest.mark.parametrize(
    ("field", "values"),
    [("edge_sign", [1.0, -1.0, 1.0, 1.0, 1.0]), ("node_sign", [1.0, 1.0, 1.0, -1.0])],
)
def test_opposite_signs_are_refused(field, values):
    data = CHAIN.clone()
    data.edge_weight = data.edge_weight.abs()
    data[field] = torch.tensor(values)
    with pytest.raises(ValueError, match=f"{field}: .* opposite signs, .* of 1 pairs .*; drop"):
        graphs.symmetrize(data)


def test_signs_of_neurons_stay_where_they_agree():
    data = CHAIN.clone()
    data.edge_weight = data.edge_weight.abs()
    data.node_sign = torch.tensor([1.0, 1.0, 0.0, -1.0])
    found = graphs.symmetrize(data)
    assert torch.equal(found.node_sign, data.node_sign)
    assert "edge_sign" not in found


def test_no_synapses():
    data = Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=3)
    data.edge_weight, data.edge_sign = torch.zeros(0), torch.zeros(0)
    assert graphs.validate(graphs.symmetrize(data)).num_edges == 0
