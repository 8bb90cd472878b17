"""Graphs on which every backend has to be right, as (edge_index, num_nodes)."""

import pytest
import torch

from sparsebrain.kernels import Structure, available

GRAPHS = {
    "ring": ([[0, 1, 2, 3], [1, 2, 3, 0]], 4),
    "no synapses": ([[], []], 3),
    "one neuron": ([[], []], 1),
    "one neuron, self-loop": ([[0], [0]], 1),
    "no neurons": ([[], []], 0),
    "self-loops": ([[0, 1, 2, 0], [0, 1, 2, 2]], 3),
    "isolated neurons": ([[1, 4], [4, 1]], 7),
    "parallel synapses": ([[0, 0, 0, 1], [1, 1, 1, 0]], 2),
    "unsorted": ([[3, 0, 2, 1, 0, 3], [0, 3, 2, 0, 1, 1]], 4),
    "hub": ([[*range(1, 40), *[0] * 39], [*[0] * 39, *range(1, 40)]], 40),
}


@pytest.fixture(params=GRAPHS, ids=str)
def structure(request):
    edges, num_nodes = GRAPHS[request.param]
    return Structure(torch.tensor(edges, dtype=torch.int64).reshape(2, -1), num_nodes)


# Without a compiler there is no native backend; .ci/run asserts that there is one.
@pytest.fixture(params=[name for name, obstacle in available().items() if obstacle is None])
def backend(request):
    return request.param


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def dtype(request):
    return request.param


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def dense():
    """The matrix W [N, N] of a structure and its weights: the definition itself."""

    def make(structure, weight):
        source, target = structure.edge_index
        matrix = weight.new_zeros(structure.num_nodes, structure.num_nodes)
        return matrix.index_put((target, source), weight, accumulate=True)

    return make


@pytest.fixture
def small():
    torch.manual_seed(0)
    return Structure(torch.randint(0, 5, (2, 9)), 5)
