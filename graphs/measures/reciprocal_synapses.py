"""Reciprocity: the share of synapses with a synapse in the opposite direction."""

import math

import numpy as np
from scipy.sparse import coo_array
from torch_geometric.data import Data

from graphs import compiled
from graphs.contract import checked
from graphs.measures.adjacency import MOST, single_edges


def reciprocity(data: Data) -> float:
    r"""Return the share of reciprocal synapses: those whose target also sends to their source.

    .. math:: r = \frac{\sum_{s \ne t} A_{st} A_{ts}}{\sum_{s \ne t} A_{st}}

    The definition is that of Newman, Forrest and Balthrop [1]_. In a random graph the expected
    value is the density of synapses, about E / N^2.

    Args:
        data: A connectome. Self-loops are ignored, parallel synapses count once, and weights and
            signs are not used.

    Returns:
        A number from 0 to 1, nan without synapses. It equals ``networkx.overall_reciprocity`` of
        the graph without self-loops.

    Raises:
        TypeError: If ``data`` or one of its fields has the wrong type.
        ValueError: If ``data`` breaks the contract.

    Note:
        O(N + E) time and memory.

    References:
        .. [1] M. E. J. Newman, S. Forrest, J. Balthrop, "Email networks and the spread of computer
           viruses", Phys. Rev. E 66 (2002) 035101.

    Example:
        >>> import graphs
        >>> graphs.reciprocity(graphs.grid_local((5, 5), 1))
        1.0
        >>> graphs.reciprocity(graphs.layered([2, 2]))
        0.0
    """
    seen = checked(data)
    (source, target), self_loops = single_edges(data, seen)
    neurons, synapses = seen.num_nodes, len(source) - self_loops
    if synapses == 0:
        return math.nan
    helpers = compiled.module()
    if helpers is not None and max(neurons, len(source)) < MOST:
        answered = helpers.answered(*compiled.plain(source, target), neurons)
    else:
        adjacency = coo_array((np.ones(len(source)), (source, target)), shape=(neurons,) * 2)
        answered = adjacency.tocsr().multiply(adjacency.T.tocsr()).sum() - self_loops
    return float(answered / synapses)
