"""Exact sums over the states of neurons that are 0 or 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn.functional import softplus

MOST_ENUMERATED = 20
"""The largest number of neurons whose states are enumerated."""

_CHUNK = 2**16


def binary_states(
    neurons: int, dtype: torch.dtype, begin: int = 0, end: int | None = None
) -> Tensor:
    """Return states number ``begin`` to ``end`` of all 2^neurons, [states, neurons] of 0 and 1.

    The first neuron is the highest bit of the number.

    Example:
        >>> import torch
        >>> binary_states(2, torch.float32).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    numbers = torch.arange(begin, 2**neurons if end is None else end)
    places = torch.arange(neurons - 1, -1, -1)
    return ((numbers.unsqueeze(1) >> places) & 1).to(dtype)


def chunks(neurons: int, dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield all states of ``neurons`` neurons in blocks of bounded size."""
    for begin in range(0, 2**neurons, _CHUNK):
        yield binary_states(neurons, dtype, begin, min(begin + _CHUNK, 2**neurons))


class Components(NamedTuple):
    """The connected components of the graph that some neurons form among themselves.

    Attributes:
        single: [n] int64, the neurons that are connected to no other one.
        joined: The other components, the largest last, int64.
    """

    single: Tensor
    joined: list[Tensor]

    def to(self, device: torch.device) -> Components:
        """Return the same components on another device."""
        return Components(self.single.to(device), [each.to(device) for each in self.joined])


def components(neurons: Tensor, pairs: Tensor, num_nodes: int) -> Components:
    """Return the components of some neurons.

    Args:
        neurons: [n] int64.
        pairs: [2, P], of all neurons.
        num_nodes: The number of neurons N.
    """
    position = torch.full((num_nodes,), -1)
    position[neurons] = torch.arange(len(neurons))
    i, j = position[pairs]
    inner = (i >= 0) & (j >= 0)
    ones = torch.ones(int(inner.sum())).numpy()
    graph = coo_array((ones, (i[inner].numpy(), j[inner].numpy())), shape=(len(neurons),) * 2)
    label = torch.from_numpy(connected_components(graph, directed=False)[1]).long()
    sizes = torch.bincount(label)
    joined = (sizes[label] > 1).nonzero().squeeze(1)
    order = joined[torch.argsort(label[joined], stable=True)]
    parts = torch.split(neurons[order], sizes[sizes > 1].tolist())
    return Components(neurons[sizes[label] == 1], sorted(parts, key=len) if len(order) else [])


def log_sum(field: Tensor, parts: Components, pairs: Tensor, weight: Tensor) -> Tensor:
    """Sum exp(field . x + sum of w_ij x_i x_j) over all states of the neurons of components.

    Args:
        field: [B, N], what each neuron receives from its bias and from neurons outside.
        parts: The components.
        pairs: [2, P].
        weight: [P].

    Returns:
        The logarithm of the sum, [B].
    """
    total = softplus(field[:, parts.single]).sum(1)
    for members in parts.joined:
        total = total + _log_sum_of_one(field, members, pairs, weight)
    return total


def marginals(field: Tensor, parts: Components, pairs: Tensor, weight: Tensor) -> Tensor:
    """Return the probability that each neuron of the components is 1, [B, N]; others are 0."""
    found = torch.zeros_like(field)
    found[:, parts.single] = torch.sigmoid(field[:, parts.single])
    for members in parts.joined:
        total = _log_sum_of_one(field, members, pairs, weight).unsqueeze(1)
        for states, logits in _logits(field, members, pairs, weight):
            found[:, members] += torch.exp(logits - total) @ states
    return found


def _log_sum_of_one(field: Tensor, members: Tensor, pairs: Tensor, weight: Tensor) -> Tensor:
    total = [torch.logsumexp(logits, 1) for _, logits in _logits(field, members, pairs, weight)]
    return torch.logsumexp(torch.stack(total), dim=0)


def _logits(
    field: Tensor, members: Tensor, pairs: Tensor, weight: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the states [S, n] of a component in blocks, with their minus energies [B, S]."""
    position = torch.full((field.size(1),), -1, device=field.device)
    position[members] = torch.arange(len(members), device=field.device)
    i, j = position[pairs]
    inner = (i >= 0) & (j >= 0)
    i, j, inside = i[inner], j[inner], weight[inner]
    for block in chunks(len(members), field.dtype):
        states = block.to(field.device)
        coupling = (states[:, i] * states[:, j]) @ inside
        yield states, field[:, members] @ states.t() + coupling
