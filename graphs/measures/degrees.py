"""How many synapses neurons have."""

from typing import NamedTuple

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, checked
from graphs.measures.adjacency import degrees, single_edges


class DegreeDistribution(NamedTuple):
    """The degrees that occur, in ascending order, and the number of neurons with each."""

    degree: Index
    num_nodes: Index


def degree_distribution(data: Data, *, direction: arguments.Direction = "in") -> DegreeDistribution:
    """Count the neurons of each degree.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops are left out, and parallel synapses count once.
        Weights and signs are not read: every synapse counts the same.
    direction : {"in", "out", "both"}
        ``"in"`` counts the synapses that a neuron receives, ``"out"`` those that it sends,
        ``"both"`` all.

    Returns
    -------
    DegreeDistribution
        ``degree`` and ``num_nodes``, both [K] int64.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or `direction` is none of these.

    Notes
    -----
    O(N + E).

    Examples
    --------
    >>> import graphs
    >>> graphs.degree_distribution(graphs.grid_local(5, 1))  # a chain of five
    DegreeDistribution(degree=array([1, 2]), num_nodes=array([2, 3]))
    """
    seen = checked(data)
    direction = arguments.option("direction", direction, arguments.DIRECTIONS)
    (source, target), _ = single_edges(data, seen)
    degree = np.zeros(seen.num_nodes, np.int64)
    if direction != "out":
        degree += degrees(target, source, seen.num_nodes)
    if direction != "in":
        degree += degrees(source, target, seen.num_nodes)
    number = np.bincount(degree)
    occurring = np.flatnonzero(number)
    return DegreeDistribution(occurring, number[occurring])
