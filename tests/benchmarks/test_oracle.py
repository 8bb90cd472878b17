import math

import pytest
import torch
from torch_geometric.data import Data

import graphs
from benchmarks import oracle
from benchmarks.problem import Problem, draw


def test_one_synapse_by_hand():
    problem = Problem(
        Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2),
        loops=1,
        weight=torch.tensor([2.0]),
        state=torch.tensor([[0.5, -1.0], [7.0, 7.0]]),
        grad=torch.tensor([[9.0, 9.0], [3.0, 1.0]]),
    )
    found = oracle.solve(problem)
    one, two = math.tanh(1), math.tanh(-2)
    # tanh' = 1 - tanh^2; nothing arrives at neuron 0, so that its gradient goes nowhere.
    local = 3 * (1 - one**2), 1 - two**2
    expected = {
        "output": [[0, 0], [one, two]],
        "weight_grad": [0.5 * local[0] - 1.0 * local[1]],
        "state_grad": [[2 * local[0], 2 * local[1]], [0, 0]],
    }
    for name, values in expected.items():
        actual = getattr(found, name)
        torch.testing.assert_close(actual, torch.tensor(values, dtype=torch.float64))


@pytest.mark.parametrize("batch", [1, 8, 19])
def test_a_dense_matrix_and_autograd_agree(monkeypatch, batch):
    # So few that columns and synapses both come in several parts, the last one not full.
    monkeypatch.setattr(oracle, "_SYNAPSES_AT_ONCE", 7)
    connectome = graphs.small_world(11, neighbors=4, rewire=0.5, self_loops=True, seed=1)
    problem = draw(connectome, loops=3, batch=batch)
    weight = problem.weight.double().requires_grad_()
    state = problem.state.double().requires_grad_()
    source, target = connectome.edge_index
    matrix = torch.zeros(11, 11, dtype=torch.float64).index_put((target, source), weight)
    x = state
    for _ in range(3):
        x = torch.tanh(matrix @ x)
    gradients = torch.autograd.grad(x, (weight, state), problem.grad.double())
    found = oracle.solve(problem)
    for actual, expected in zip(found, (x.detach(), *gradients), strict=True):
        assert actual.dtype == torch.float64
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-14)
