"""What every peer of the layer has to compute, and what must come out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer


class Problem(NamedTuple):
    """x <- tanh(W x) for a number of loops on a square grid, and its gradient.

    ``weight`` is [E] in the order of the connectome's synapses, ``state`` and ``grad``, which
    arrives at the output, are [N, B]; all float32.
    """

    connectome: Data
    side: int
    distance: int
    loops: int
    weight: Tensor
    state: Tensor
    grad: Tensor


class Solution(NamedTuple):
    """The output [N, B] and the gradients of weight [E] and input [N, B]."""

    output: Tensor
    weight_grad: Tensor
    state_grad: Tensor


def draw(side: int, distance: int, loops: int, batch: int, *, seed: int = 0) -> Problem:
    """The problem on a grid of side x side; weights as the layer draws them."""
    connectome = graphs.grid_local((side, side), distance)
    generator = torch.Generator().manual_seed(seed)
    layer = GraphLayer(connectome, loops, activation="tanh", backend="reference")
    layer.reset_parameters(generator)
    state, grad = (torch.randn(side * side, batch, generator=generator) for _ in range(2))
    return Problem(connectome, side, distance, loops, layer.weight.detach(), state, grad)


def solve(problem: Problem) -> Solution:
    """By the reference backend in float64."""
    layer = GraphLayer(
        problem.connectome,
        problem.loops,
        activation="tanh",
        backend="reference",
        dtype=torch.float64,
    )
    with torch.no_grad():
        layer.weight.copy_(problem.weight)
    state = problem.state.t().double().requires_grad_()
    output = layer(state)
    weight_grad, state_grad = torch.autograd.grad(
        output, (layer.weight, state), problem.grad.t().double()
    )
    return Solution(output.detach().t(), weight_grad, state_grad.t())
