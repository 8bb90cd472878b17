"""Layers of every kind, and models around them."""

import matplotlib.pyplot as plt
import pytest
import torch

import graphs
from sparsebrain import GraphLayer

OPTIONS = {
    "linear": {},
    "tanh, bias": {"activation": "tanh", "bias": True},
    "a function": {"activation": lambda u: u * torch.sigmoid(u)},
    "a module with a parameter": {"activation": torch.nn.PReLU(dtype=torch.float64)},
    "injected": {"activation": "tanh", "inject": True},
    "shared": {"activation": "sigmoid", "weight_sharing": "type"},
    "Dale's law": {"activation": "leaky_relu", "dale": True},
    "checkpoints": {"activation": "tanh", "checkpoint": True},
    "leak": {"activation": "tanh", "leak": "neuron", "threshold": 0.1},
    "PyG's messages": {"activation": "tanh", "aggr": "mean"},
}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(params=OPTIONS)
def layer(request):
    """A 4 x 5 grid, four loops, float64."""
    torch.manual_seed(0)
    data = graphs.grid_local((4, 5), 1)
    data.node_sign = torch.where(torch.rand(20) < 0.7, 1.0, -1.0)
    made = GraphLayer(data, 4, dtype=torch.float64, **OPTIONS[request.param])
    if isinstance(made.leak, torch.Tensor):
        made.leak = torch.rand(20, dtype=torch.float64) / 2 + 0.4
    if made.bias is not None:
        torch.nn.init.normal_(made.bias, std=0.3)
    return made


def dense(layer):
    """W [N, N] float64 with W[target, source] = weight, out of the public attributes alone."""
    source, target = layer.edge_index
    matrix = torch.zeros(layer.num_nodes, layer.num_nodes, dtype=torch.float64)
    return matrix.index_put((target, source), layer.weight.detach().double(), accumulate=True)


@pytest.fixture(name="dense")
def _dense():
    return dense


def weighted(data, weight, loops, **options):
    """A float64 layer with the given weights."""
    layer = GraphLayer(data, loops, dtype=torch.float64, **options)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


@pytest.fixture(name="weighted")
def _weighted():
    return weighted
