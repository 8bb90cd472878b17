"""Parts of a connectome whose neurons all reach each other."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from torch_geometric.data import Data

from graphs import arguments, compiled
from graphs.contract import Index, validate
from graphs.measures.adjacency import simple


def components(data: Data, *, connection: str = "strong") -> Index:
    """Return the connected part of each neuron, numbered from the largest.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome.
    connection : str
        ``"strong"``: neurons of one part reach each other along the synapses' direction;
        ``"weak"``: paths may run against it.

    Returns
    -------
    numpy.ndarray, [N] int64
        0 for the neurons of the largest part, 1 for those of the next; of equally large ones that
        with the first neuron comes first. ``numpy.bincount`` of it counts their neurons.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or `connection` is none of these.

    Notes
    -----
    O(N + E), strong ones by SciPy's variant of [1]_.

    References
    ----------
    .. [1] D. J. Pearce, "An improved algorithm for finding the strongly connected components of a
       directed graph", technical report, Victoria University, 2005.

    Examples
    --------
    >>> import graphs
    >>> graphs.components(graphs.layered([1, 2]))
    array([0, 1, 2])
    >>> graphs.components(graphs.layered([1, 2]), connection="weak")
    array([0, 0, 0])
    """
    neurons = validate(data).num_nodes
    strong = arguments.option("connection", connection, ("strong", "weak")) == "strong"
    helpers = compiled.module()
    if not strong and helpers is not None:
        source, target = data.edge_index.cpu().numpy()
        part = helpers.weak_parts(*compiled.plain(source, target), neurons)
    else:
        _, part = connected_components(simple(data), connection="strong" if strong else "weak")
    return by_size(part)


def by_size(group: NDArray[np.integer]) -> Index:
    """Number groups 0 ... K - 1 from the largest; of equally large ones that with the first member
    first.
    """
    size = np.bincount(group)
    first = np.empty(len(size), np.int64)
    # The last to write its number wins.
    first[group[::-1]] = np.arange(len(group))[::-1]
    place = np.empty(len(size), np.int64)
    place[np.lexsort((first, -size))] = np.arange(len(size))
    return place[group]


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

    See Also
    --------
    graphs.components : which neurons these are.

    Notes
    -----
    O(N + E).

    Examples
    --------
    >>> import graphs
    >>> graphs.strongly_connected(graphs.grid_local((5, 5), 1))
    1.0
    >>> graphs.strongly_connected(graphs.layered([2, 2]))
    0.25
    """
    part = components(data)
    return float((part == 0).mean()) if len(part) else math.nan
