"""How many synapses lie between two neurons."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, validate
from graphs.measures.adjacency import simple
from graphs.measures.sampling import sample, standard_error

# Neurons drawn where there are too many to start from all.
_SAMPLED = 256

# Sources that walk together, one bit each; little-endian, so that the bits unpack in order.
_WORD = np.dtype("<u8")
_BITS = 64


class PathLength(NamedTuple):
    """Mean path length, its standard error (0 if exact), and the share of reachable pairs."""

    mean: float
    error: float
    reachable: float


def path_length(
    data: Data,
    *,
    directed: bool = True,
    max_sources: int | None = None,
    seed: int | np.random.Generator | None = 0,
) -> PathLength:
    r"""Return the mean shortest path length over the reachable ordered pairs of neurons.

    .. math:: L = \frac{\sum_{s \ne t, \text{reachable}} d(s, t)}{\#\{s \ne t, \text{reachable}\}}

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops make no difference.
    directed : bool
        Whether paths follow the synapses' direction, or may run against it as well.
    max_sources : int, optional
        Paths start from all neurons if there are at most so many, else from so many drawn without
        replacement. If left out, all of up to 2000 neurons, else 256.
    seed : int, numpy.random.Generator or None
        Source of randomness of the sample.

    Returns
    -------
    PathLength
        ``mean``, nan if no pair is reachable; ``error``, its standard error; ``reachable``, the
        share of ordered pairs that are reachable, nan if there are fewer than two neurons.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or an argument is of another type or out of range.

    Notes
    -----
    A breadth-first search runs from 64 sources at once, one bit each, and touches only the synapses
    of neurons reached at the step before: O(N + E) memory, and at most O(N + E) time per source.

    L is a ratio of two means over sources, of the sum of distances :math:`D_s` over the number of
    neurons reached :math:`R_s`. Its standard error is that of the mean of
    :math:`(D_s - L R_s) / \bar R`, the linearised ratio estimator [1]_.

    References
    ----------
    .. [1] W. G. Cochran, "Sampling Techniques", 3rd edition, Wiley 1977, chapter 6.

    Examples
    --------
    >>> import graphs
    >>> graphs.path_length(graphs.small_world(5, 2, 0))
    PathLength(mean=1.5, error=0.0, reachable=1.0)
    """
    neurons = validate(data).num_nodes
    adjacency = simple(data, directed=arguments.flag("directed", directed))
    sources = sample(neurons, max_sources, seed, default=_SAMPLED)
    if neurons < 2:
        return PathLength(math.nan, 0.0, math.nan)
    walks = [
        _walk(adjacency, sources[start : start + _BITS]) for start in range(0, len(sources), _BITS)
    ]
    distance, reached = np.concatenate(walks, axis=1)
    if reached.sum() == 0:
        return PathLength(math.nan, 0.0 if len(sources) == neurons else math.nan, 0.0)
    mean = float(distance.sum() / reached.sum())
    error = standard_error((distance - mean * reached) / reached.mean(), neurons)
    return PathLength(mean, error, float(reached.mean() / (neurons - 1)))


def _walk(adjacency: csr_array, sources: Index) -> Index:
    """Sum of distances from each of up to 64 sources, and number of neurons reached, [2, sources].

    A word per neuron holds which sources have seen it.
    """
    neurons = adjacency.shape[0]
    bits = np.left_shift(1, np.arange(len(sources), dtype=_WORD), dtype=_WORD)
    seen, arriving = np.zeros(neurons, _WORD), np.zeros(neurons, _WORD)
    last = np.empty(neurons, np.int64)
    seen[sources] = bits
    active, step = sources, 0
    totals = np.zeros((2, _BITS), np.int64)
    while active.size:
        step += 1
        targets, fanout = _targets(adjacency, active)
        news = np.repeat(bits, fanout) & ~seen[targets]
        targets, news = targets[news != 0], news[news != 0]
        np.bitwise_or.at(arriving, targets, news)
        # Each target once, without sorting: the last to write its number wins.
        numbers = np.arange(len(targets))
        last[targets] = numbers
        active = targets[last[targets] == numbers]
        bits = arriving[active]
        arriving[active] = 0
        seen[active] |= bits
        found = np.unpackbits(bits.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
        found = found.sum(axis=0, dtype=np.int64)
        totals += np.stack((step * found, found))
    return totals[:, : len(sources)]


def _targets(adjacency: csr_array, active: Index) -> tuple[NDArray[Any], NDArray[Any]]:
    """Targets of all synapses of the active neurons, and how many each has."""
    first = adjacency.indptr[active]
    fanout = adjacency.indptr[active + 1] - first
    before = np.cumsum(fanout) - fanout
    return adjacency.indices[np.repeat(first - before, fanout) + np.arange(fanout.sum())], fanout
