"""How often two neighbours of a neuron are neighbours themselves."""

import math
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array
from torch_geometric.data import Data

from graphs.contract import Index, validate
from graphs.measures.adjacency import simple
from graphs.measures.sampling import EXACT, Estimate, sample, standard_error

# Paths of two steps held at a time.
_BLOCK_PATHS = 4_000_000


def clustering(
    data: Data, *, max_sources: int | None = None, seed: int | np.random.Generator | None = 0
) -> Estimate:
    r"""Return the mean local clustering coefficient of the undirected simple graph.

    .. math:: C = \frac{1}{N} \sum_i \frac{2 t_i}{k_i (k_i - 1)}

    where neuron i has :math:`k_i` neighbours, and :math:`t_i` pairs of them are neighbours too;
    a neuron with fewer than two counts as 0. Two neurons are neighbours if either sends to the
    other; self-loops are left out. This is the C of Watts and Strogatz [1]_ and equals
    ``networkx.average_clustering``.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome.
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
    O(N + E + paths of two steps from the neurons looked at) time, memory bounded by blocks.

    References
    ----------
    .. [1] D. J. Watts, S. H. Strogatz, "Collective dynamics of 'small-world' networks", Nature 393
       (1998) 440-442.

    Examples
    --------
    >>> import graphs
    >>> graphs.clustering(graphs.small_world(100, 4, 0.0))
    Estimate(value=0.5, error=0.0)
    """
    neurons = validate(data).num_nodes
    chosen = sample(neurons, max_sources, seed, default=EXACT)
    if neurons == 0:
        return Estimate(math.nan, 0.0)
    adjacency = simple(data, directed=False)
    degree = np.diff(adjacency.indptr).astype(np.int64)
    closed = np.concatenate(
        [
            np.asarray((adjacency[rows] @ adjacency).multiply(adjacency[rows]).sum(axis=1))
            for rows in _blocks(adjacency, chosen, degree)
        ]
    )
    possible = degree[chosen] * (degree[chosen] - 1)
    local = closed / np.maximum(possible, 1)
    mean = float(local.mean())
    return Estimate(mean, standard_error(local - mean, neurons))


def _blocks(adjacency: csr_array, chosen: Index, degree: Index) -> Iterator[Index]:
    """Cut the chosen neurons where the paths of two steps that they start would fill a block."""
    paths = np.cumsum((adjacency @ degree)[chosen])
    block = (paths - 1) // _BLOCK_PATHS
    yield from np.split(chosen, np.flatnonzero(np.diff(block)) + 1)
