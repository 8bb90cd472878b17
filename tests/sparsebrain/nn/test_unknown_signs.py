"""Synapses of unknown sign, 0, start positive and are free in a layer that keeps Dale's law."""

import pytest
import torch
from torch_geometric.data import Data

from sparsebrain import Equilibrium, GraphLayer

SIGNS = torch.tensor([1.0, 0.0, -1.0, 0.0, 1.0, -1.0])


def connectome(**fields):
    edge_index = torch.tensor([[0, 1, 2, 3, 0, 2], [1, 2, 3, 0, 2, 1]])
    return Data(edge_index=edge_index, num_nodes=4, **fields)


def push(layer, steps=50):
    """Descend on the sum of all weights, which drives each of them below zero if it can."""
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        layer.weight.sum().backward()
        optimizer.step()
    return layer.weight.detach()


@pytest.mark.parametrize("loops", [3, Equilibrium()])
@pytest.mark.parametrize("seed", range(5))
def test_they_start_positive_and_may_change_while_known_signs_stay(loops, seed):
    torch.manual_seed(seed)
    layer = GraphLayer(connectome(edge_sign=SIGNS), loops, dale=True)
    start = layer.weight.detach()
    assert torch.equal(start.sign(), torch.where(SIGNS == 0, 1.0, SIGNS))
    after = push(layer)
    assert (after[SIGNS == 0] < 0).all()
    assert (after * SIGNS >= 0).all()


def test_an_unknown_node_sign_frees_all_that_leave_the_neuron():
    layer = GraphLayer(connectome(node_sign=torch.tensor([0.0, 1, 1, -1])), dale=True)
    after = push(layer)
    assert (after < 0).tolist() == [True, False, False, True, True, False]


def test_the_gradient_is_that_of_a_free_weight():
    layer = GraphLayer(connectome(edge_sign=SIGNS), dale=True, dtype=torch.float64)
    free = GraphLayer(connectome(), dtype=torch.float64)
    with torch.no_grad():
        free.weight.copy_(layer.weight)
    x = torch.randn(5, 4, dtype=torch.float64)
    for each in (layer, free):
        each(x).square().sum().backward()
    unknown = SIGNS == 0
    grad = layer.parametrizations.weight.original.grad
    torch.testing.assert_close(grad[unknown], free.weight.grad[unknown])


def test_measured_strengths_of_unknown_sign_are_not_lost():
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    data = connectome(edge_sign=SIGNS, edge_weight=weight)
    layer = GraphLayer(data, dale=True, init="edge_weight")
    assert layer.weight.tolist() == [1, 2, -3, 4, 5, -6]
    gained = GraphLayer(data, dale=True, gain="synapse")
    assert gained.weight.tolist() == [1, 2, -3, 4, 5, -6]
    after = push(gained)
    assert (after[SIGNS == 0] < 0).all()
    assert (after * SIGNS >= 0).all()
    gained.weight = torch.tensor([1.0, -2.0, -3.0, 4.0, 5.0, -6.0])
    with pytest.raises(ValueError, match="dale=True keeps gains at 0 or more, but gain 0"):
        gained.weight = torch.tensor([-1.0, 2.0, -3.0, 4.0, 5.0, -6.0])


def test_a_gain_is_not_shared_between_known_and_unknown_signs():
    data = connectome(edge_sign=SIGNS, edge_weight=torch.ones(6))
    with pytest.raises(ValueError, match="pass gain='synapse', or set all signs of a group"):
        GraphLayer(data, dale=True, gain="target")
    data.edge_type = (SIGNS == 0).long()
    layer = GraphLayer(data, dale=True, gain="type")
    assert layer.gain.tolist() == [1.0, 1.0]
    layer.weight = layer.weight * torch.where(SIGNS == 0, -2.0, 1.0)
    assert layer.gain.tolist() == [1.0, -2.0]


@pytest.mark.parametrize("gain", [None, "synapse"])
def test_a_state_dict_tells_unknown_signs_from_known_ones(gain):
    data = connectome(edge_sign=SIGNS, edge_weight=SIGNS.where(SIGNS != 0, torch.ones(6)))
    known = data.clone().update({"edge_sign": data.edge_weight})
    saved = GraphLayer(data, dale=True, gain=gain).state_dict()
    GraphLayer(data, dale=True, gain=gain).load_state_dict(saved)
    with pytest.raises(RuntimeError, match="other synapses"):
        GraphLayer(known, dale=True, gain=gain).load_state_dict(saved)
