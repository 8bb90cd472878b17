"""Parts of a connectome whose neurons all reach each other."""

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from torch_geometric.data import Data

from graphs import arguments, compiled
from graphs.contract import Index, checked
from graphs.measures.adjacency import MOST, simple

Connection = Literal["strong", "weak"]
CONNECTIONS: tuple[Connection, ...] = get_args(Connection)


def components(data: Data, *, connection: Connection = "strong") -> Index:
    """Return the connected part of each neuron, numbered from the largest.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops and parallel synapses make no difference.
        Weights and signs are not read, not even a weight of 0: every synapse counts the same.
    connection : {"strong", "weak"}
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
    O(N + E), strong ones by Tarjan's method [1]_.

    References
    ----------
    .. [1] R. E. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1 (1972)
       146-160.

    Examples
    --------
    >>> import graphs
    >>> graphs.components(graphs.layered([1, 2]))
    array([0, 1, 2])
    >>> graphs.components(graphs.layered([1, 2]), connection="weak")
    array([0, 0, 0])
    """
    connection = arguments.option("connection", connection, CONNECTIONS)
    return by_size(_parts(data, strong=connection == "strong"))


def _parts(data: Data, *, strong: bool) -> NDArray[np.integer]:
    neurons, (source, target), *_ = checked(data)
    helpers = compiled.module()
    if helpers is None or max(neurons, len(source)) >= MOST:
        _, part = connected_components(simple(data), connection="strong" if strong else "weak")
        return part
    find = helpers.strong_parts if strong else helpers.weak_parts
    found: Index = find(*compiled.plain(source, target), neurons)
    return found


def by_size(group: NDArray[np.integer]) -> Index:
    """Number groups 0 ... K - 1 from the largest; of equally large ones that with the first member
    first.
    """
    helpers = compiled.module()
    if helpers is not None:
        ordered: Index = helpers.by_size(*compiled.plain(group))
        # To NumPy what comes out is a long long, which it prints otherwise.
        return ordered.view(np.int64)
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
        A connectome. Self-loops and parallel synapses make no difference.
        Weights and signs are not read, not even a weight of 0: every synapse counts the same.

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
    part = _parts(data, strong=True)
    return float(np.bincount(part).max() / len(part)) if len(part) else math.nan
