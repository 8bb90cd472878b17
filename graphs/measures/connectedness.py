"""Strongly and weakly connected components."""

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
    """Return the connected component of each neuron.

    Args:
        data: A connectome. Self-loops and parallel synapses do not matter, and weights and signs
            are not used: a synapse of weight 0 counts too.
        connection: ``"strong"``: neurons of a component reach each other along the direction of the
            synapses. ``"weak"``: paths may also run against it.

    Returns:
        The component of each neuron, int64 [N]. Components are numbered by decreasing size;
        components of equal size are ordered by their first neurons. ``numpy.bincount`` of the
        result gives the sizes.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or ``connection`` is unknown.

    Note:
        O(N + E) time and memory; strong components by Tarjan's method [1]_.

    References:
        .. [1] R. E. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1
           (1972) 146-160.

    Example:
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
    """Number groups 0 ... K - 1 by decreasing size.

    Groups of equal size are ordered by their first members.
    """
    helpers = compiled.module()
    if helpers is not None:
        ordered: Index = helpers.by_size(*compiled.plain(group))
        # The compiled code returns long long, which NumPy prints with its dtype.
        return ordered.view(np.int64)
    size = np.bincount(group)
    first = np.empty(len(size), np.int64)
    # With repeated indices the last value is kept.
    first[group[::-1]] = np.arange(len(group))[::-1]
    place = np.empty(len(size), np.int64)
    place[np.lexsort((first, -size))] = np.arange(len(size))
    return place[group]


def strongly_connected(data: Data) -> float:
    """Return the share of neurons in the largest strongly connected component.

    Args:
        data: A connectome. Self-loops and parallel synapses do not matter, and weights and signs
            are not used: a synapse of weight 0 counts too.

    Returns:
        1 / N if no two neurons reach each other, 1 if all do, nan without neurons.

    Raises:
        TypeError: If ``data`` or one of its fields has the wrong type.
        ValueError: If ``data`` breaks the contract.

    See Also:
        :func:`graphs.components`: the component of each neuron.

    Note:
        O(N + E) time and memory.

    Example:
        >>> import graphs
        >>> graphs.strongly_connected(graphs.grid_local((5, 5), 1))
        1.0
        >>> graphs.strongly_connected(graphs.layered([2, 2]))
        0.25
    """
    part = _parts(data, strong=True)
    return float(np.bincount(part).max() / len(part)) if len(part) else math.nan
