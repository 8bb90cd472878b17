"""How many synapses neurons have."""

from typing import NamedTuple

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, checked
from graphs.measures.adjacency import degrees, single_edges

_DIRECTIONS = ("in", "out", "both")


class DegreeDistribution(NamedTuple):
    """Degrees that occur, in rising order, and the number of neurons of each."""

    degree: Index
    neurons: Index


def degree_distribution(data: Data, *, direction: str = "in") -> DegreeDistribution:
    """Count the neurons of each degree.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops are left out, and parallel synapses count once.
        Weights and signs are not read: every synapse counts the same.
    direction : str
        ``"in"`` counts the synapses that a neuron receives, ``"out"`` those that it sends,
        ``"both"`` all.

    Returns
    -------
    DegreeDistribution
        ``degree`` and ``neurons``, both [K] int64.

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
    DegreeDistribution(degree=array([1, 2]), neurons=array([2, 3]))
    """
    seen = checked(data)
    direction = arguments.option("direction", direction, _DIRECTIONS)
    (source, target), _ = single_edges(data, seen)
    degree = np.zeros(seen.neurons, np.int64)
    if direction != "out":
        degree += degrees(target, source, seen.neurons)
    if direction != "in":
        degree += degrees(source, target, seen.neurons)
    number = np.bincount(degree)
    occurring = np.flatnonzero(number)
    return DegreeDistribution(occurring, number[occurring])
