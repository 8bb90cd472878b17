"""How many synapses lie between two neurons."""

import math
from typing import NamedTuple

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate
from graphs.measures.adjacency import simple
from graphs.measures.sampling import Estimate, sample, standard_error
from graphs.measures.walks import Walks, walks

# Neurons drawn where there are too many to start from all.
_SAMPLED = 256


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
        A connectome. Self-loops and parallel synapses make no difference.
        Weights and signs are not read: a path is as long as it has synapses.
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
    return _length(*_searches(data, directed, max_sources, seed))


def efficiency(
    data: Data,
    *,
    directed: bool = True,
    max_sources: int | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Estimate:
    r"""Return the global efficiency: the mean inverse path length over all ordered pairs.

    .. math:: E = \frac{1}{N (N - 1)} \sum_{s \ne t} \frac{1}{d(s, t)}

    A pair that is not reachable counts as 0 [1]_.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops and parallel synapses make no difference.
        Weights and signs are not read: a path is as long as it has synapses.
    directed : bool
        Whether paths follow the synapses' direction, or may run against it as well; then it equals
        ``networkx.global_efficiency``.
    max_sources : int, optional
        Paths start from all neurons if there are at most so many, else from so many drawn without
        replacement. If left out, all of up to 2000 neurons, else 256.
    seed : int, numpy.random.Generator or None
        Source of randomness of the sample.

    Returns
    -------
    Estimate
        ``value``, nan if there are fewer than two neurons, and its standard ``error``.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or an argument is of another type or out of range.

    Notes
    -----
    As `path_length`.

    References
    ----------
    .. [1] V. Latora, M. Marchiori, "Efficient behavior of small-world networks", Phys. Rev. Lett.
       87 (2001) 198701.

    Examples
    --------
    >>> import graphs
    >>> graphs.efficiency(graphs.small_world(5, 2, 0))
    Estimate(value=0.75, error=0.0)
    """
    return _efficiency(*_searches(data, directed, max_sources, seed))


def lengths(
    data: Data, *, max_sources: int | None, seed: int | np.random.Generator | None
) -> tuple[PathLength, Estimate]:
    """Return `path_length` and `efficiency` from the same searches."""
    neurons, found = _searches(data, True, max_sources, seed)
    return _length(neurons, found), _efficiency(neurons, found)


def _searches(
    data: Data, directed: bool, max_sources: int | None, seed: int | np.random.Generator | None
) -> tuple[int, Walks]:
    neurons = validate(data).num_nodes
    adjacency = simple(data, directed=arguments.flag("directed", directed))
    sources = sample(neurons, max_sources, seed, default=_SAMPLED)
    if neurons < 2:
        sources = sources[:0]
    return neurons, walks(adjacency, sources)


def _length(neurons: int, found: Walks) -> PathLength:
    if neurons < 2:
        return PathLength(math.nan, 0.0, math.nan)
    distance, reached, _ = found
    if reached.sum() == 0:
        return PathLength(math.nan, 0.0 if len(reached) == neurons else math.nan, 0.0)
    mean = float(distance.sum() / reached.sum())
    error = standard_error((distance - mean * reached) / reached.mean(), neurons)
    return PathLength(mean, error, float(reached.mean() / (neurons - 1)))


def _efficiency(neurons: int, found: Walks) -> Estimate:
    if neurons < 2:
        return Estimate(math.nan, 0.0)
    nearness = found.inverse / (neurons - 1)
    mean = float(nearness.mean())
    return Estimate(mean, standard_error(nearness - mean, neurons))
