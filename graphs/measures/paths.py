"""Path lengths and efficiency: the number of synapses between two neurons."""

import math
from typing import NamedTuple

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate
from graphs.measures.adjacency import simple
from graphs.measures.sampling import Estimate, sample, standard_error
from graphs.measures.shortest import weighted_walks
from graphs.measures.walks import Walks, walks
from graphs.weights import matrix, weights

# Number of sources that are drawn in a large graph.
_SAMPLED = 256


class PathLength(NamedTuple):
    """Mean path length and the share of reachable pairs.

    Attributes:
        mean: Mean path length over the reachable ordered pairs.
        error: Standard error of the mean, 0 if it is exact.
        reachable: Share of the ordered pairs that are reachable.
    """

    mean: float
    error: float
    reachable: float


def path_length(
    data: Data,
    *,
    directed: bool = True,
    max_sources: int | None = None,
    weight: str | None = None,
    seed: int | np.random.Generator | None = 0,
) -> PathLength:
    r"""Return the mean shortest path length over the reachable ordered pairs of neurons.

    .. math:: L = \frac{\sum_{s \ne t, \text{reachable}} d(s, t)}{\#\{s \ne t, \text{reachable}\}}

    Args:
        data: A connectome. Self-loops do not matter, and signs are not used. The length of a path
            is its number of synapses, or with ``weight`` the sum of their lengths, where the
            weights of parallel synapses add up.
        directed: Whether paths follow the direction of the synapses. If False, they may also run
            against it, and the weight of a pair is the sum of both directions.
        max_sources: Paths start from all neurons if there are at most this many, and otherwise from
            this many neurons drawn without replacement. By default all neurons are sources
            in graphs of up to 2000 neurons, and 256 neurons in larger ones.
        weight: None does not read weights. With the name of a field of weights >= 0, such as
            ``"edge_weight"``, a synapse of weight w has the length 1 / w, and one of weight 0 is no
            connection.
        seed: Source of randomness of the sample.

    Returns:
        ``mean``, nan if no pair is reachable; ``error``, its standard error; and ``reachable``, the
        share of ordered pairs that are reachable, nan with fewer than two neurons.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.

    Note:
        A breadth-first search runs from 64 sources at once, with one bit for each, and only visits
        the synapses of neurons reached in the previous step. It takes O(N + E) memory and at most
        O(N + E) time per source. With ``weight``, ``scipy.sparse.csgraph.dijkstra`` takes
        O(E + N log N) time per source.

        L is a ratio of two means over sources s: the sum of distances :math:`D_s` and the number of
        neurons reached :math:`R_s`. Its standard error is that of the mean of
        :math:`(D_s - L R_s) / \bar R`, the linearized ratio estimator [1]_.

    References:
        .. [1] W. G. Cochran, "Sampling Techniques", 3rd edition, Wiley 1977, chapter 6.

    Example:
        >>> import graphs
        >>> graphs.path_length(graphs.small_world(5, 2, 0))
        PathLength(mean=1.5, error=0.0, reachable=1.0)
    """
    return _length(*_searches(data, directed, max_sources, weight, seed))


def efficiency(
    data: Data,
    *,
    directed: bool = True,
    max_sources: int | None = None,
    weight: str | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Estimate:
    r"""Return the global efficiency, the mean inverse path length over all ordered pairs.

    .. math:: E = \frac{1}{N (N - 1)} \sum_{s \ne t} \frac{1}{d(s, t)}

    A pair that is not reachable contributes 0 [1]_.

    Args:
        data: A connectome. Self-loops do not matter, and signs are not used. The length of a path
            is its number of synapses, or with ``weight`` the sum of their lengths, where the
            weights of parallel synapses add up.
        directed: Whether paths follow the direction of the synapses. If False, they may also run
            against it, the weight of a pair is the sum of both directions, and the unweighted
            result equals ``networkx.global_efficiency``.
        max_sources: Paths start from all neurons if there are at most this many, and otherwise from
            this many neurons drawn without replacement. By default all neurons are sources
            in graphs of up to 2000 neurons, and 256 neurons in larger ones.
        weight: None does not read weights. With the name of a field of weights >= 0, such as
            ``"edge_weight"``, a synapse of weight w has the length 1 / w, and one of weight 0 is no
            connection.
        seed: Source of randomness of the sample.

    Returns:
        The efficiency as ``value``, nan with fewer than two neurons, and its standard ``error``.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.

    Note:
        Time and memory are those of :func:`graphs.path_length`.

    References:
        .. [1] V. Latora, M. Marchiori, "Efficient behavior of small-world networks", Phys. Rev.
           Lett. 87 (2001) 198701.

    Example:
        >>> import graphs
        >>> graphs.efficiency(graphs.small_world(5, 2, 0))
        Estimate(value=0.75, error=0.0)
    """
    return _efficiency(*_searches(data, directed, max_sources, weight, seed))


def lengths(
    data: Data,
    *,
    max_sources: int | None,
    weight: str | None = None,
    seed: int | np.random.Generator | None,
) -> tuple[PathLength, Estimate]:
    """Return :func:`path_length` and :func:`efficiency` from the same searches."""
    neurons, found = _searches(data, True, max_sources, weight, seed)
    return _length(neurons, found), _efficiency(neurons, found)


def _searches(
    data: Data,
    directed: bool,
    max_sources: int | None,
    weight: str | None,
    seed: int | np.random.Generator | None,
) -> tuple[int, Walks]:
    neurons = validate(data).num_nodes
    directed = arguments.flag("directed", directed)
    values = weights(data, weight)
    sources = sample(neurons, max_sources, seed, default=_SAMPLED)
    if neurons < 2:
        sources = sources[:0]
    if values is None:
        return neurons, walks(simple(data, directed=directed), sources)
    return neurons, weighted_walks(matrix(data, values), sources, directed=directed)


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
