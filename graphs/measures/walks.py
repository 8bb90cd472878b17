"""Breadth-first searches from many neurons at once."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from graphs import compiled
from graphs.contract import Index

# Sources are searched together, with one bit each. Little-endian bits unpack in order.
_WORD = np.dtype("<u8")
_BITS = 64


class Walks(NamedTuple):
    """Results of the searches, one value per source.

    Attributes:
        distance: Sum of the distances to the neurons reached, int64 or, with weights, float64.
        reached: Number of neurons reached.
        inverse: Sum of the inverse distances.
    """

    distance: NDArray[Any]
    reached: Index
    inverse: NDArray[np.float64]


def walks(adjacency: csr_array, sources: Index) -> Walks:
    """Search from every source.

    Each step only visits the synapses of neurons reached in the previous one. The searches take
    O(N + E) memory and at most O(N + E) time per source, and much less if many share their steps.
    """
    helpers = compiled.module()
    if helpers is not None:
        return Walks(*helpers.walks(*compiled.rows(adjacency), *compiled.plain(sources)))
    found = [
        _walk(adjacency, sources[start : start + _BITS])
        for start in range(0, max(len(sources), 1), _BITS)
    ]
    distance, reached, inverse = (np.concatenate(each) for each in zip(*found, strict=True))
    return Walks(distance.astype(np.int64), reached.astype(np.int64), inverse)


def _walk(adjacency: csr_array, sources: Index) -> Walks:
    """Search from up to 64 sources, each of which has a bit in every neuron's word."""
    neurons = adjacency.shape[0]
    bits = np.left_shift(1, np.arange(len(sources), dtype=_WORD), dtype=_WORD)
    seen, arriving = np.zeros(neurons, _WORD), np.zeros(neurons, _WORD)
    last = np.empty(neurons, np.int64)
    seen[sources] = bits
    active, step = sources, 0
    totals = Walks(np.zeros(_BITS, np.int64), np.zeros(_BITS, np.int64), np.zeros(_BITS))
    while active.size:
        step += 1
        targets, fanout = _targets(adjacency, active)
        news = np.repeat(bits, fanout) & ~seen[targets]
        targets, news = targets[news != 0], news[news != 0]
        np.bitwise_or.at(arriving, targets, news)
        # Keep each target once without sorting: with repeated indices the last number is kept.
        numbers = np.arange(len(targets))
        last[targets] = numbers
        active = targets[last[targets] == numbers]
        bits = arriving[active]
        arriving[active] = 0
        seen[active] |= bits
        found = np.unpackbits(bits.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
        found = found.sum(axis=0, dtype=np.int64)
        totals.distance[:] += step * found
        totals.reached[:] += found
        totals.inverse[:] += found / step
    size = len(sources)
    return Walks(totals.distance[:size], totals.reached[:size], totals.inverse[:size])


def _targets(adjacency: csr_array, active: Index) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the targets of all synapses of the active neurons, and how many each has."""
    first = adjacency.indptr[active]
    fanout = adjacency.indptr[active + 1] - first
    before = np.cumsum(fanout) - fanout
    return adjacency.indices[np.repeat(first - before, fanout) + np.arange(fanout.sum())], fanout
