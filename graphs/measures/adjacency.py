"""The simple graph that measures look at, without self-loops and parallel synapses."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from torch_geometric.data import Data

from graphs import compiled
from graphs.contract import Index

# Synapses beyond which indices of 32 bits do not count them, with both directions of each.
MOST = 2**30


def simple(data: Data, *, directed: bool = True) -> csr_array:
    """Return its adjacency matrix of ones, rows sources, sorted.

    If not `directed`, two neurons are adjacent if either sends to the other. O(N + E).
    """
    neurons = data.num_nodes
    source, target = data.edge_index.cpu().numpy()
    helpers = compiled.module()
    if helpers is not None and max(neurons, len(source)) < MOST:
        pointer, index = helpers.simple_rows(*compiled.plain(source, target), neurons, directed)
        matrix = csr_array((_ones(index), index, pointer), shape=(neurons,) * 2)
        matrix.has_canonical_format = True
        return matrix
    apart = source != target
    source, target = source[apart], target[apart]
    if not directed:
        source, target = np.concatenate((source, target)), np.concatenate((target, source))
    matrix = coo_array((_ones(source), (source, target)), shape=(neurons,) * 2).tocsr()
    matrix.data[:] = 1
    return matrix


def simple_edges(data: Data) -> Index:
    """Return its synapses [2, E], for whoever needs no rows."""
    if "edge_type" in data:
        adjacency = simple(data).tocoo()
        return np.stack((adjacency.row, adjacency.col)).astype(np.int64)
    # By the contract only types tell two synapses of a pair apart.
    edges: Index = data.edge_index.cpu().numpy()
    apart = edges[0] != edges[1]
    return edges if apart.all() else edges[:, apart]


def _ones(like: NDArray[np.integer]) -> NDArray[np.int32]:
    return np.ones(len(like), dtype=np.int32)
