"""Triangles: three neurons of which all pairs are connected, in either direction."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from graphs import compiled
from graphs.contract import Index

# Maximum number of two-step paths in memory at a time.
_BLOCK_PATHS = 4_000_000

# Number of synapses of a pair by code: 1 if the first neuron sends, 2 the second, 3 both.
_WAYS = np.array([0, 1, 1, 2])


class Triangles(NamedTuple):
    """The triangles of a simple directed graph.

    Attributes:
        neighbors: Number of neighbors of each neuron, [N].
        number: Number of triangles of each neuron, [N].
        weighted: The same with each triangle weighted by the product of the numbers of synapses on
            its sides, [N].
        types: Number of triangles by code, [64]. The code of a triangle of neurons a, b, c is ab +
            4 bc + 16 ac, where each side is 1 if its first neuron sends, 2 if its second does, and
            3 if both do.
    """

    neighbors: Index
    number: Index
    weighted: Index
    types: Index


def triangles(adjacency: csr_array) -> Triangles:
    """Find all triangles of a simple directed graph, each once, in O(N + E^1.5) time."""
    helpers = compiled.module()
    if helpers is not None:
        return Triangles(*helpers.triangles(*compiled.rows(adjacency)))
    neurons = adjacency.shape[0]
    both = (adjacency + 2 * adjacency.T).tocsr()
    found = Triangles(
        np.diff(both.indptr).astype(np.int64),
        np.zeros(neurons, np.int64),
        np.zeros(neurons, np.int64),
        np.zeros(64, np.int64),
    )
    for corners, sides in _closed(*_upward(both)):
        product = _WAYS[sides].prod(axis=0)
        for corner in corners:
            found.number[:] += np.bincount(corner, minlength=neurons)
            np.add.at(found.weighted, corner, product)
        found.types[:] += np.bincount(sides[0] + 4 * sides[1] + 16 * sides[2], minlength=64)
    return found


def _upward(both: csr_array) -> tuple[Index, Index, Index]:
    """Return the pairs of neighbors from lower to higher degree, by row, and their codes."""
    both.sort_indices()
    degree = np.diff(both.indptr)
    low = np.repeat(np.arange(len(degree)), degree)
    high = both.indices.astype(np.int64)
    up = (degree[low] < degree[high]) | ((degree[low] == degree[high]) & (low < high))
    return low[up], high[up], both.data[up].astype(np.int64)


def _closed(low: Index, high: Index, code: Index) -> Iterator[tuple[Index, Index]]:
    """Yield the corners [3, T] and sides [3, T] of the triangles, block by block."""
    neurons = int(max(low.max(initial=-1), high.max(initial=-1))) + 1
    pointer = np.searchsorted(low, np.arange(neurons + 1))
    fanout = np.diff(pointer)[high] if len(high) else high
    key = low * neurons + high
    block = (np.cumsum(fanout) - 1) // _BLOCK_PATHS
    for pairs in np.split(np.arange(len(low)), np.flatnonzero(np.diff(block)) + 1):
        size = fanout[pairs]
        first = np.repeat(pairs, size)
        before = np.cumsum(size) - size
        second = np.repeat(pointer[high[pairs]] - before, size) + np.arange(size.sum())
        wanted = low[first] * neurons + high[second]
        third = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        closes = key[third] == wanted
        first, second, third = first[closes], second[closes], third[closes]
        corners = np.stack((low[first], high[first], high[second]))
        yield corners, np.stack((code[first], code[second], code[third]))
