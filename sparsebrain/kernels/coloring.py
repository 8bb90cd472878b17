"""Colors of neurons such that no two connected ones share a color."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Colors(NamedTuple):
    """A coloring: neurons of one color share no synapse and can be updated at once.

    Attributes:
        neurons: [N] int32, all neurons, sorted by color and then by number.
        start: [colors + 1] int32, where each color begins in ``neurons``.
    """

    neurons: Tensor
    start: Tensor

    def classes(self) -> list[Tensor]:
        """Return the neurons of each color, int64."""
        bounds = itertools.pairwise(self.start.tolist())
        return [self.neurons[begin:end].long() for begin, end in bounds]


def color_greedily(rows: Sequence[tuple[Tensor, Tensor]]) -> Colors:
    """Color neurons by falling degree, each with the lowest color that its neighbors lack.

    Takes O(N + E) time, and at most one more color than the largest degree.

    Args:
        rows: The pointers [N + 1] and the neighbors of every neuron, for each direction of the
            synapses. Self-loops are ignored.
    """
    neighbors = [(pointer.tolist(), far.tolist()) for pointer, far in rows]
    degree = sum(pointer.diff() for pointer, _ in rows)
    assert isinstance(degree, Tensor)
    color_of = [-1] * len(degree)
    for neuron in torch.argsort(degree, descending=True, stable=True).tolist():
        taken = {
            color_of[other]
            for pointer, far in neighbors
            for other in far[pointer[neuron] : pointer[neuron + 1]]
        }
        color = 0
        while color in taken:
            color += 1
        color_of[neuron] = color
    color_of_each = torch.tensor(color_of, dtype=torch.int64)
    start = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(color_of_each).cumsum(0)])
    order = torch.argsort(color_of_each, stable=True)
    device = rows[0][0].device
    return Colors(order.int().to(device), start.int().to(device))
