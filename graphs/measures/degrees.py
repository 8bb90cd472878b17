"""Degree distributions."""

from typing import NamedTuple

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, checked
from graphs.measures.adjacency import degrees, single_edges


class DegreeDistribution(NamedTuple):
    """The degrees that occur and the number of neurons of each degree.

    Attributes:
        degree: Degrees in ascending order, int64 [K].
        num_nodes: Number of neurons of each degree, int64 [K].
    """

    degree: Index
    num_nodes: Index


def degree_distribution(data: Data, *, direction: arguments.Direction = "in") -> DegreeDistribution:
    """Count the neurons of each degree.

    Args:
        data: A connectome. Self-loops are ignored, parallel synapses count once, and weights and
            signs are not used.
        direction: ``"in"`` counts the synapses that a neuron receives, ``"out"`` those that it
            sends, ``"both"`` all of them.

    Returns:
        The degrees that occur and the number of neurons of each degree.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or ``direction`` is unknown.

    Note:
        O(N + E) time and memory.

    Example:
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
