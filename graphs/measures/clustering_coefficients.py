"""Clustering coefficients: how often two neighbors of a neuron are neighbors themselves."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch_geometric.data import Data

from graphs import arguments, compiled
from graphs.contract import Index, validate
from graphs.measures.adjacency import simple
from graphs.measures.sampling import EXACT, Estimate, sample, standard_error
from graphs.measures.triangles import triangles
from graphs.weights import matrix, weights

# Maximum number of two-step paths in memory at a time.
_BLOCK_PATHS = 4_000_000


def clustering(
    data: Data,
    *,
    directed: bool = False,
    max_sources: int | None = None,
    weight: str | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Estimate:
    r"""Return the mean local clustering coefficient of the undirected or the directed graph.

    .. math:: C = \frac{1}{N} \sum_i \frac{2 t_i}{k_i (k_i - 1)}

    Neuron i has :math:`k_i` neighbors, and :math:`t_i` pairs of them are neighbors too. A neuron
    with fewer than two neighbors contributes 0. Two neurons are neighbors if either sends to the
    other. This is the C of Watts and Strogatz [1]_ and equals ``networkx.average_clustering`` of
    the undirected graph.

    With ``directed=True``, each triangle is weighted by the synapses on its sides, as defined by
    Fagiolo [2]_:

    .. math:: C = \frac{1}{N} \sum_i
              \frac{(A + A^T)^3_{ii}}{2 [d_i (d_i - 1) - 2 d^\leftrightarrow_i]}

    A is the binary adjacency matrix, :math:`d_i` the sum of in- and out-degree, and
    :math:`d^\leftrightarrow_i` the number of neurons that i both sends to and receives from. This
    equals ``networkx.average_clustering`` of the directed graph. Both definitions agree if all
    synapses are reciprocal.

    With ``weight``, each triangle counts as the geometric mean of its weights, divided by the
    largest weight of the graph: A in the numerator becomes :math:`(w / \max w)^{1/3}`, while
    degrees remain numbers of synapses. This is the definition of Onnela et al. [3]_ for undirected
    graphs, and Fagiolo's for directed ones, and equals ``networkx.average_clustering`` with
    ``weight``. In the undirected graph the weight of a pair is the sum of both directions.

    Args:
        data: A connectome. Self-loops are ignored, and signs are not used. Parallel synapses count
            once, or add up their weights. A synapse of weight 0 counts in the degrees.
        directed: Whether the directions of the synapses count.
        max_sources: The mean is taken over all neurons if there are at most this many, and
            otherwise over this many neurons drawn without replacement. The default is 2000.
        weight: None does not read weights. Otherwise the name of a field of weights >= 0, such as
            ``"edge_weight"``; a connectome without it has weights of 1.
        seed: Source of randomness of the sample.

    Returns:
        The mean as ``value`` and its standard ``error``, which is 0 if all neurons were included.
        The value is nan without neurons.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.

    Note:
        All neurons take at most O(N + E^1.5) time, since each triangle is found once. A sample
        takes O(N + E) time plus the number of two-step paths from its neurons, and so do all
        neurons with ``weight``. Memory is bounded.

    References:
        .. [1] D. J. Watts, S. H. Strogatz, "Collective dynamics of 'small-world' networks", Nature
           393 (1998) 440-442.
        .. [2] G. Fagiolo, "Clustering in complex directed networks", Phys. Rev. E 76 (2007) 026107.
        .. [3] J.-P. Onnela, J. Saramaki, J. Kertesz, K. Kaski, "Intensity and coherence of motifs
           in weighted complex networks", Phys. Rev. E 71 (2005) 065103.

    Example:
        >>> import graphs
        >>> graphs.clustering(graphs.small_world(100, 4, 0.0))
        Estimate(value=0.5, error=0.0)
    """
    neurons = validate(data).num_nodes
    directed = arguments.flag("directed", directed)
    chosen = sample(neurons, max_sources, seed, default=EXACT)
    values = weights(data, weight)
    if neurons == 0:
        return Estimate(math.nan, 0.0)
    strengths = None if values is None else matrix(data, values)
    local = local_clustering(simple(data), chosen, directed=directed, strengths=strengths)
    mean = float(local.mean())
    return Estimate(mean, standard_error(local - mean, neurons))


def local_clustering(
    adjacency: csr_array,
    chosen: Index,
    *,
    directed: bool,
    strengths: csr_array | None = None,
) -> NDArray[np.float64]:
    """Return the clustering coefficient of each chosen neuron of a simple directed graph.

    Args:
        adjacency: The graph.
        chosen: The neurons.
        directed: Whether the directions of the synapses count.
        strengths: The weights of its synapses, or None.
    """
    closed: NDArray[Any]
    if strengths is None and len(chosen) == adjacency.shape[0]:
        found = triangles(adjacency)
        neighbors, closed = found.neighbors, 2 * (found.weighted if directed else found.number)
    else:
        between = (adjacency + adjacency.T).astype(np.int64).tocsr()
        neighbors = np.diff(between.indptr).astype(np.int64)[chosen]
        if not directed:
            between.data[:] = 1
        closed = (
            _closed(between, chosen)
            if strengths is None
            else _weighted(strengths, chosen, directed=directed)
        )
    possible = neighbors * (neighbors - 1)
    if directed:
        sent = np.diff(adjacency.indptr).astype(np.int64)
        synapses = (sent + np.bincount(adjacency.indices, minlength=len(sent)))[chosen]
        # Two synapses with the same neighbor do not form a pair.
        possible = 2 * (synapses * (synapses - 1) - 2 * (synapses - neighbors))
    return closed / np.maximum(possible, 1)


def _closed(between: csr_array, chosen: Index) -> Index:
    """Count the closed three-step walks from each chosen neuron."""
    helpers = compiled.module()
    if helpers is not None:
        arrays = *compiled.rows(between), *compiled.plain(between.data, chosen)
        walks: Index = helpers.closed_walks(*arrays)
        return walks
    return _products(between, chosen)


def _weighted(strengths: csr_array, chosen: Index, *, directed: bool) -> NDArray[np.float64]:
    """Sum the geometric means of the weights along the closed three-step walks of each neuron."""
    between = strengths if directed else (strengths + strengths.T).tocsr()
    largest = between.data.max(initial=0.0)
    if largest == 0:
        return np.zeros(len(chosen))
    between.data = np.cbrt(between.data / largest)
    return _products((between + between.T).tocsr() if directed else between, chosen)


def _products(between: csr_array, chosen: Index) -> NDArray[Any]:
    """Return the diagonal of the third power of a symmetric matrix at the chosen neurons."""
    return np.concatenate(
        [
            np.asarray((between[rows] @ between).multiply(between[rows]).sum(axis=1))
            for rows in _blocks(between, chosen)
        ]
    )


def _blocks(between: csr_array, chosen: Index) -> Iterator[Index]:
    """Split the chosen neurons into blocks that start at most ``_BLOCK_PATHS`` two-step paths."""
    degree = np.diff(between.indptr).astype(np.int64)
    before = np.concatenate(([0], np.cumsum(degree[between.indices])))
    paths = np.cumsum(before[between.indptr[chosen + 1]] - before[between.indptr[chosen]])
    block = (paths - 1) // _BLOCK_PATHS
    yield from np.split(chosen, np.flatnonzero(np.diff(block)) + 1)
