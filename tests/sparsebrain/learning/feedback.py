"""Models in float64 on which the way back is exact, and how to make a rule's that of autograd."""

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch_geometric.data import Data

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.learning import Backprop
from sparsebrain.models import classifier

SIZE = 12
GRID = graphs.grid_local((3, 4), 1)


def around(layer):
    """A layer of 12 neurons between two that are dense, normalized and not, 3 classes."""
    return nn.Sequential(
        nn.Linear(SIZE, SIZE), nn.BatchNorm1d(SIZE), nn.ReLU(), layer, nn.Tanh(), nn.Linear(SIZE, 3)
    )


def signed():
    """The grid with senders of both signs."""
    sign = torch.ones(SIZE)
    sign[::3] = -1
    return Data(edge_index=GRID.edge_index, num_nodes=SIZE, node_sign=sign)


def wave(x):
    """An activation that no kernel knows."""
    return x.sin()


MODELS = {
    "dense": lambda: around(nn.Linear(SIZE, SIZE, bias=False)),
    "parametrized": lambda: around(nn.utils.parametrizations.orthogonal(nn.Linear(SIZE, SIZE))),
    "layered": lambda: classifier(graphs.layered([SIZE, 7, 5]), 3, loops=2, in_features=SIZE),
    "grid": lambda: around(GraphLayer(GRID, 4, activation="tanh", bias=True)),
    "injected": lambda: around(GraphLayer(GRID, 3, activation="sigmoid", inject=True)),
    "small world": lambda: around(GraphLayer(graphs.small_world(SIZE, 4, 0.3, seed=0), 5)),
    "function": lambda: around(GraphLayer(GRID, 2, activation=wave)),
    "convolution": lambda: around(GraphLayer(GRID, 3, weight_sharing="type", activation="tanh")),
    "dale": lambda: around(GraphLayer(signed(), 3, dale=True)),
    "equilibrium": lambda: around(GraphLayer(GRID, Equilibrium(tol=1e-12), activation="tanh")),
    "contraction": lambda: around(
        GraphLayer(GRID, Equilibrium(tol=1e-12, constraint="norm", bound=0.5), activation="tanh")
    ),
}


def make(name, seed=0):
    """A model of the table, and samples x [16, 12] with labels y [16]."""
    torch.manual_seed(seed)
    return MODELS[name]().double(), torch.randn(16, SIZE).double(), torch.arange(16) % 3


def parameter_of(layer):
    """The parameter that a layer's weight is made of."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.parametrizations.weight.original
    return layer.weight


def gradients(model):
    """Every parameter's gradient by name."""
    return {name: each.grad for name, each in model.named_parameters()}


def wanted(model, x, y):
    """The gradients of autograd, the model being left alone."""
    model = copy.deepcopy(model)
    model.zero_grad()
    Backprop(model)(x, y)
    return gradients(model)
