"""Triangles: three neurons each two of which are connected, in either direction."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from graphs import compiled
from graphs.contract import Index

# Paths of two steps held at a time.
_BLOCK_PATHS = 4_000_000

# Who of a pair sends: the first, the second, both; and how many synapses that is.
_WAYS = np.array([0, 1, 1, 2])


class Triangles(NamedTuple):
    """Of each neuron its neighbours, its triangles, and the sum of these weighted by the product of
    each side's synapses.

    ``types`` [64] counts all by code: with neurons a, b, c it is ab + 4 bc + 16 ac, where each side
    is 1 if its first neuron sends, 2 if its second does, 3 if both do.
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
    """Pairs [P] of neighbours from lower to higher degree, by row, and who of the two sends."""
    both.sort_indices()
    degree = np.diff(both.indptr)
    low = np.repeat(np.arange(len(degree)), degree)
    high = both.indices.astype(np.int64)
    up = (degree[low] < degree[high]) | ((degree[low] == degree[high]) & (low < high))
    return low[up], high[up], both.data[up].astype(np.int64)


def _closed(low: Index, high: Index, code: Index) -> Iterator[tuple[Index, Index]]:
    """Corners [3, T] and sides [3, T] of triangles, block by block."""
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
