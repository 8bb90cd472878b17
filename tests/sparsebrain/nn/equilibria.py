"""Layers with endless loops, and what tests of them share."""

import torch

from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.kernels.activations import ACTIVATIONS as TABLE

N, B = 40, 6
EXACT = {"tol": 1e-14, "max_loops": 2000}
ACTIVATIONS = [None, *(name for name in TABLE if name != "none")]
FUNCTIONS = [*ACTIVATIONS, torch.sin]


def make(data, activation="tanh", **options):
    """A layer in float64 whose weights have the size that a contraction has, and a random bias."""
    torch.manual_seed(0)
    options = {**EXACT, **options}
    layer = GraphLayer(
        data, Equilibrium(**options), activation=activation, bias=True, dtype=torch.float64
    )
    torch.nn.init.normal_(layer.bias, std=0.5)
    return layer


def dense(layer):
    source, target = layer.edge_index
    matrix = layer.weight.new_zeros(layer.num_nodes, layer.num_nodes)
    return matrix.index_put((target, source), layer.weight, accumulate=True)


def gradients(layer, x, *args):
    x = x.clone().requires_grad_()
    z = layer(x, *args)
    return torch.autograd.grad(z.square().sum() + z.sin().sum(), [*layer.parameters(), x])
