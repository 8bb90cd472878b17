"""Parts of a connectome whose neurons all reach each other."""

import math

import numpy as np
from scipy.sparse.csgraph import connected_components
from torch_geometric.data import Data

from graphs.contract import validate
from graphs.measures.adjacency import simple


def strongly_connected(data: Data) -> float:
    """Return the share of neurons in the largest strongly connected part.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome.

    Returns
    -------
    float
        1 / N if no two neurons reach each other both ways, 1 if all do; nan without neurons.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract.

    Notes
    -----
    O(N + E), by SciPy's variant of [1]_.

    References
    ----------
    .. [1] D. J. Pearce, "An improved algorithm for finding the strongly connected components of a
       directed graph", technical report, Victoria University, 2005.

    Examples
    --------
    >>> import graphs
    >>> graphs.strongly_connected(graphs.grid_local((5, 5), 1))
    1.0
    >>> graphs.strongly_connected(graphs.layered([2, 2]))
    0.25
    """
    neurons = validate(data).num_nodes
    if neurons == 0:
        return math.nan
    _, part = connected_components(simple(data), directed=True, connection="strong")
    return float(np.bincount(part).max() / neurons)
