"""Centralities: how important a neuron is for the paths through the connectome."""

import math

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate
from graphs.measures.adjacency import simple
from graphs.measures.peers import directed_graph
from graphs.measures.sampling import sample
from graphs.measures.shortest import inverse_lengths
from graphs.weights import Floats, matrix, weights

# Number of sources that are drawn in a large graph.
_SAMPLED = 256

# The largest damping, and the sum of absolute errors of PageRank at most.
_MOST_DAMPING, _ERROR = 0.999, 1e-12


def betweenness(
    data: Data,
    *,
    normalized: bool = True,
    max_sources: int | None = None,
    weight: str | None = None,
    seed: int | np.random.Generator | None = 0,
) -> NDArray[np.float64]:
    r"""Return the share of the shortest paths that run through each neuron.

    .. math:: b_v = \frac{1}{(N - 1)(N - 2)} \sum_{s \ne v \ne t}
              \frac{\sigma_{st}(v)}{\sigma_{st}}

    Of the :math:`\sigma_{st}` shortest paths from s to t, :math:`\sigma_{st}(v)` run through v
    [1]_. igraph computes them by Brandes' method [2]_.

    Args:
        data: A connectome. Self-loops do not matter, and signs are not used. Parallel synapses
            count once, or add up their weights.
        normalized: Whether the sum is divided by (N - 1)(N - 2), the number of ordered pairs of
            other neurons.
        max_sources: Paths start from all neurons if there are at most this many, and otherwise from
            this many neurons drawn without replacement, multiplied by N / ``max_sources``. By
            default all neurons are sources in graphs of up to 2000 neurons, and 256 neurons in
            larger ones.
        weight: None does not read weights. With the name of a field of weights >= 0, such as
            ``"edge_weight"``, a synapse of weight w has the length 1 / w, and one of weight 0 is no
            connection.
        seed: Source of randomness of the sample.

    Returns:
        The betweenness of each neuron, float64 [N], 0 with fewer than three neurons. With all
        sources it equals ``networkx.betweenness_centrality`` of the directed graph, with 1 / w as
        ``weight``.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.
        ModuleNotFoundError: If igraph is not installed: ``pip install 'sparsebrain[communities]'``.

    Note:
        O(E) time per source, or O(E + N log N) with ``weight``; O(N + E) memory.

    References:
        .. [1] L. C. Freeman, "A set of measures of centrality based on betweenness", Sociometry 40
           (1977) 35-41.
        .. [2] U. Brandes, "A faster algorithm for betweenness centrality", J. Math. Sociol. 25
           (2001) 163-177.

    Example:
        >>> import graphs
        >>> graphs.betweenness(graphs.grid_local(5, 1), normalized=False).tolist()  # a chain
        [0.0, 6.0, 8.0, 6.0, 0.0]
    """
    neurons = validate(data).num_nodes
    normalized = arguments.flag("normalized", normalized)
    sources = sample(neurons, max_sources, seed, default=_SAMPLED)
    values = weights(data, weight)
    adjacency = simple(data) if values is None else inverse_lengths(matrix(data, values))
    pairs = adjacency.tocoo()
    edges = np.stack((pairs.row, pairs.col)).astype(np.int64)
    graph = directed_graph("betweenness", edges, neurons)
    if neurons < 3:
        return np.zeros(neurons)
    found: Floats = np.asarray(
        graph.betweenness(
            sources=None if len(sources) == neurons else sources.tolist(),
            weights=None if values is None else pairs.data,
        )
    )
    found *= neurons / len(sources)
    return found / ((neurons - 1) * (neurons - 2)) if normalized else found


def pagerank(
    data: Data, *, damping: float = 0.85, weight: str | None = "edge_weight"
) -> NDArray[np.float64]:
    r"""Return the share of time that a random walk along the synapses spends at each neuron.

    .. math:: p_t = \frac{1 - d}{N} + d \sum_s p_s \frac{w_{st}}{\sum_{t'} w_{st'}}

    The walk follows a synapse with probability d, in proportion to its weight, and otherwise jumps
    to any neuron [1]_. From a neuron that sends nothing it always jumps.

    Args:
        data: A connectome. Self-loops and parallel synapses count, and signs are not used.
        damping: The probability d, from 0 to 0.999.
        weight: The name of a field of weights >= 0; or None, which counts each synapse as 1. A
            connectome without ``edge_weight`` has weights of 1.

    Returns:
        The PageRank of each neuron, float64 [N], with the sum 1. The absolute errors add up to at
        most 1e-12 plus rounding. It equals ``networkx.pagerank``, which stops earlier by default.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.

    Note:
        Power iteration with sparse products, O(N + E) time per iteration: about 170 iterations with
        the default damping, and at most log(1e-12) / log(d).

    References:
        .. [1] L. Page, S. Brin, R. Motwani, T. Winograd, "The PageRank citation ranking: bringing
           order to the web", Stanford InfoLab 1999-66 (1999).

    Example:
        >>> import graphs
        >>> graphs.pagerank(graphs.layered([2, 1])).round(2).tolist()
        [0.21, 0.21, 0.57]
    """
    neurons = validate(data).num_nodes
    damping = arguments.real("damping", damping, at_most=_MOST_DAMPING)
    values = weights(data, weight)
    if neurons == 0:
        return np.zeros(0)
    backward = matrix(data, np.ones(data.num_edges) if values is None else values, self_loops=True)
    sent = np.asarray(backward.sum(axis=1))
    dangling = sent == 0
    backward.data /= np.repeat(sent + dangling, np.diff(backward.indptr))
    forward = backward.T.tocsr()
    rank = np.full(neurons, 1 / neurons)
    # Each iteration reduces the error by the damping at least.
    for _ in range(math.ceil(math.log(_ERROR) / math.log(damping)) if damping else 1):
        before = rank
        rank = damping * (forward @ rank + rank[dangling].sum() / neurons)
        rank += (1 - damping) / neurons
        if np.abs(rank - before).sum() * damping <= _ERROR * (1 - damping):
            break
    return rank / rank.sum()
