"""What every peer of the layer has to compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

import graphs


@dataclass(frozen=True)
class Problem:
    """x <- tanh(W x) for a number of loops, and its gradient.

    ``weight`` is [E] in the order of the connectome's synapses, ``state`` and ``grad``, which
    arrives at the output, are [N, B]; all float32.
    """

    connectome: Data
    loops: int
    weight: Tensor
    state: Tensor
    grad: Tensor

    @property
    def neurons(self) -> int:
        """N."""
        return self.state.size(0)

    @property
    def batch(self) -> int:
        """B, the number of columns."""
        return self.state.size(1)

    @property
    def synapses(self) -> int:
        """E."""
        return self.weight.numel()


@dataclass(frozen=True)
class GridProblem(Problem):
    """A problem on a square grid, whose windows reach to ``distance``."""

    side: int
    distance: int


def draw(connectome: Data, loops: int, batch: int, *, seed: int = 0) -> Problem:
    """The problem on any connectome; every neuron's weights add up to a variance of one."""
    assert connectome.num_nodes is not None
    assert connectome.edge_index is not None
    neurons, target = connectome.num_nodes, connectome.edge_index[1]
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(target.numel(), generator=generator)
    degree = torch.bincount(target, minlength=neurons).to(weight.dtype)
    weight *= degree.rsqrt().index_select(0, target)
    state, grad = (torch.randn(neurons, batch, generator=generator) for _ in range(2))
    return Problem(connectome, loops, weight, state, grad)


def draw_grid(side: int, distance: int, loops: int, batch: int, *, seed: int = 0) -> GridProblem:
    """The problem on a grid of side x side."""
    drawn = draw(graphs.grid_local((side, side), distance), loops, batch, seed=seed)
    return GridProblem(**vars(drawn), side=side, distance=distance)
