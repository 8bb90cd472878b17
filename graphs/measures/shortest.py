"""Shortest paths along synapses whose length is the inverse of their weight."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from graphs.contract import Index
from graphs.measures.walks import Walks

# Maximum number of distances in memory at a time.
_BLOCK = 8_000_000


def inverse_lengths(strengths: csr_array) -> csr_array:
    """Return the length 1 / w of every synapse of weight w > 0; those of weight 0 are left out."""
    lengths = strengths.copy()
    lengths.eliminate_zeros()
    lengths.data = 1 / lengths.data
    return lengths


def weighted_walks(strengths: csr_array, sources: Index, *, directed: bool) -> Walks:
    """Return the distances from every source.

    Args:
        strengths: Weights >= 0, sources as rows, without self-loops.
        sources: The neurons from which the paths start.
        directed: Whether paths follow the direction of the synapses.
    """
    lengths = inverse_lengths(strengths if directed else (strengths + strengths.T).tocsr())
    totals = Walks(np.zeros(len(sources)), np.zeros(len(sources), np.int64), np.zeros(len(sources)))
    size = max(_BLOCK // max(lengths.shape[0], 1), 1)
    for start in range(0, len(sources), size):
        block = slice(start, start + size)
        distance = np.atleast_2d(dijkstra(lengths, indices=sources[block]))
        # All lengths are positive, so that only the source itself has the distance 0.
        reached = np.isfinite(distance) & (distance > 0)
        totals.reached[block] = reached.sum(axis=1)
        totals.distance[block] = distance.sum(axis=1, where=reached)
        inverse = np.divide(1, distance, out=np.zeros_like(distance), where=reached)
        totals.inverse[block] = inverse.sum(axis=1)
    return totals
