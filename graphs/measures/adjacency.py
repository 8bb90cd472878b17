"""The simple graph that measures look at."""

import numpy as np
from scipy.sparse import coo_array, csr_array
from torch_geometric.data import Data


def simple(data: Data, *, directed: bool = True) -> csr_array:
    """Return the adjacency matrix of ones, rows sources, without self-loops and parallel synapses.

    If not `directed`, two neurons are adjacent if either sends to the other. O(N + E).
    """
    source, target = data.edge_index.cpu().numpy()
    apart = source != target
    source, target = source[apart], target[apart]
    if not directed:
        source, target = np.concatenate((source, target)), np.concatenate((target, source))
    ones = np.ones(len(source), dtype=np.int32)
    matrix = coo_array((ones, (source, target)), shape=(data.num_nodes,) * 2).tocsr()
    matrix.data[:] = 1
    return matrix
