"""Every plasticity rule, the layers that it is tried on, and what it takes."""

import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer
from sparsebrain.plasticity import PLASTICITY

NEURONS = 20


def signed():
    """A small world whose sources are excitatory or inhibitory, and one of unknown sign."""
    data = graphs.small_world(NEURONS, 6, 0.2, seed=0)
    data.node_sign = torch.tensor([1.0, -1.0]).repeat(NEURONS // 2)
    data.node_sign[3] = 0
    return data


def typed():
    """A ring with two types of synapses."""
    source = torch.arange(NEURONS).repeat(2)
    target = (source + torch.arange(1, 3).repeat_interleave(NEURONS)) % NEURONS
    types = torch.arange(2).repeat_interleave(NEURONS)
    return Data(edge_index=torch.stack([source, target]), num_nodes=NEURONS, edge_type=types)


# Synapses in any order, several loops, Dale's law and shared weights.
LAYERS = {
    "small world": lambda: GraphLayer(graphs.small_world(NEURONS, 6, 0.2, seed=0)),
    "three loops": lambda: GraphLayer(
        graphs.small_world(NEURONS, 6, 0.2, seed=0), loops=3, activation="tanh", inject=True
    ),
    "dale": lambda: GraphLayer(signed(), loops=2, activation="relu", dale=True),
    "shared": lambda: GraphLayer(typed(), loops=2, weight_sharing="type"),
    "dense": lambda: torch.nn.Linear(NEURONS, 5),
}


@pytest.fixture(params=PLASTICITY)
def name(request):
    """The name of every rule."""
    return request.param


@pytest.fixture(params=LAYERS)
def layer(request):
    torch.manual_seed(0)
    return LAYERS[request.param]()


def inputs(samples=8, seed=0):
    """What every rule takes: rates [B, N]."""
    return torch.rand(samples, NEURONS, generator=torch.Generator().manual_seed(seed))


def with_moments(moments):
    """Samples [n, n] float64 whose mean of x x^T is exactly that matrix."""
    matrix = torch.tensor(moments, dtype=torch.float64)
    return len(matrix) ** 0.5 * torch.linalg.cholesky(matrix).T


def bipartite(inputs, outputs, **options):
    """Inputs that all have synapses onto all outputs, in float64."""
    return GraphLayer(graphs.layered([inputs, outputs]), dtype=torch.float64, **options)


def pad(x, width):
    """Append neurons that receive no input to samples [B, n]."""
    return torch.nn.functional.pad(x, (0, width - x.size(1)))


def steps(rule, optimizer, x, number):
    """Make steps with the same batch."""
    for _ in range(number):
        optimizer.zero_grad()
        rule(x)
        optimizer.step()
