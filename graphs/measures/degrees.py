"""How many synapses neurons have."""

from typing import NamedTuple

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, validate
from graphs.measures.adjacency import simple_edges

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
    neurons = validate(data).num_nodes
    direction = arguments.option("direction", direction, _DIRECTIONS)
    source, target = simple_edges(data)
    counted = {"in": (target,), "out": (source,), "both": (source, target)}[direction]
    number = np.bincount(sum(np.bincount(end, minlength=neurons) for end in counted))
    degree = np.flatnonzero(number)
    return DegreeDistribution(degree, number[degree])
