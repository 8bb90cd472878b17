"""How often two neighbours of a neuron are neighbours themselves."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch_geometric.data import Data

from graphs import arguments, compiled
from graphs.contract import Index, validate
from graphs.measures.adjacency import simple
from graphs.measures.sampling import EXACT, Estimate, sample, standard_error
from graphs.measures.triangles import triangles

# Paths of two steps held at a time.
_BLOCK_PATHS = 4_000_000


def clustering(
    data: Data,
    *,
    directed: bool = False,
    max_sources: int | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Estimate:
    r"""Return the mean local clustering coefficient, of the undirected or the directed graph.

    .. math:: C = \frac{1}{N} \sum_i \frac{2 t_i}{k_i (k_i - 1)}

    where neuron i has :math:`k_i` neighbours, and :math:`t_i` pairs of them are neighbours too;
    a neuron with fewer than two counts as 0. Two neurons are neighbours if either sends to the
    other; self-loops are left out. This is the C of Watts and Strogatz [1]_ and equals
    ``networkx.average_clustering`` of the undirected graph.

    If `directed`, triangles are counted by the synapses on their sides, as Fagiolo does [2]_:

    .. math:: C = \frac{1}{N} \sum_i
              \frac{(A + A^T)^3_{ii}}{2 [d_i (d_i - 1) - 2 d^\leftrightarrow_i]}

    with A of zeros and ones, :math:`d_i` the sum of in- and out-degree, and
    :math:`d^\leftrightarrow_i` the number of neurons that i both sends to and receives from. It
    equals ``networkx.average_clustering`` of the directed graph, and both are the same where all
    synapses go both ways.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops and parallel synapses make no difference.
        Weights and signs are not read, not even a weight of 0: every synapse counts the same.
    directed : bool
        Whether the directions of the synapses count.
    max_sources : int, optional
        The mean is taken over all neurons if there are at most so many, else over so many drawn
        without replacement; 2000 if left out.
    seed : int, numpy.random.Generator or None
        Source of randomness of the sample.

    Returns
    -------
    Estimate
        ``value``, and its standard ``error`` as a mean over sampled neurons. nan without neurons.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or an argument is of another type or out of range.

    Notes
    -----
    Over all neurons O(N + E^1.5) time at the worst, each triangle being found once. Over a sample
    O(N + E + paths of two steps from the neurons looked at). Memory is bounded by blocks.

    References
    ----------
    .. [1] D. J. Watts, S. H. Strogatz, "Collective dynamics of 'small-world' networks", Nature 393
       (1998) 440-442.
    .. [2] G. Fagiolo, "Clustering in complex directed networks", Phys. Rev. E 76 (2007) 026107.

    Examples
    --------
    >>> import graphs
    >>> graphs.clustering(graphs.small_world(100, 4, 0.0))
    Estimate(value=0.5, error=0.0)
    """
    neurons = validate(data).num_nodes
    directed = arguments.flag("directed", directed)
    chosen = sample(neurons, max_sources, seed, default=EXACT)
    if neurons == 0:
        return Estimate(math.nan, 0.0)
    local = local_clustering(simple(data), chosen, directed=directed)
    mean = float(local.mean())
    return Estimate(mean, standard_error(local - mean, neurons))


def local_clustering(adjacency: csr_array, chosen: Index, *, directed: bool) -> NDArray[np.float64]:
    """Return the clustering coefficient of each chosen neuron of a simple directed graph."""
    if len(chosen) == adjacency.shape[0]:
        found = triangles(adjacency)
        neighbors, closed = found.neighbors, 2 * (found.weighted if directed else found.number)
    else:
        between = (adjacency + adjacency.T).astype(np.int64).tocsr()
        neighbors = np.diff(between.indptr).astype(np.int64)[chosen]
        if not directed:
            between.data[:] = 1
        closed = _closed(between, chosen)
    possible = neighbors * (neighbors - 1)
    if directed:
        sent = np.diff(adjacency.indptr).astype(np.int64)
        synapses = (sent + np.bincount(adjacency.indices, minlength=len(sent)))[chosen]
        # Two synapses with the same neighbour are no pair.
        possible = 2 * (synapses * (synapses - 1) - 2 * (synapses - neighbors))
    return closed / np.maximum(possible, 1)


def _closed(between: csr_array, chosen: Index) -> Index:
    """Walks of three steps from each chosen neuron back to it."""
    helpers = compiled.module()
    if helpers is not None:
        arrays = *compiled.rows(between), *compiled.plain(between.data, chosen)
        walks: Index = helpers.closed_walks(*arrays)
        return walks
    return np.concatenate(
        [
            np.asarray((between[rows] @ between).multiply(between[rows]).sum(axis=1))
            for rows in _blocks(between, chosen)
        ]
    )


def _blocks(between: csr_array, chosen: Index) -> Iterator[Index]:
    """Cut the chosen neurons where the paths of two steps that they start would fill a block."""
    degree = np.diff(between.indptr).astype(np.int64)
    before = np.concatenate(([0], np.cumsum(degree[between.indices])))
    paths = np.cumsum(before[between.indptr[chosen + 1]] - before[between.indptr[chosen]])
    block = (paths - 1) // _BLOCK_PATHS
    yield from np.split(chosen, np.flatnonzero(np.diff(block)) + 1)
