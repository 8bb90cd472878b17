"""The simple graph of a connectome, without self-loops and parallel synapses."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from torch_geometric.data import Data

from graphs import compiled
from graphs.contract import CheckedEdges, Index

# Above this number of synapses, both directions of each may overflow an int32 index.
MOST = 2**30


def simple(data: Data, *, directed: bool = True) -> csr_array:
    """Return the sorted adjacency matrix of the simple graph, int32 ones with sources as rows.

    Takes O(N + E) time and memory.

    Args:
        data: A connectome.
        directed: If False, two neurons are adjacent if either sends to the other.
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


def single_edges(data: Data, seen: CheckedEdges) -> tuple[Index, int]:
    """Return the synapses [2, E] without parallel ones, and the number of self-loops among them."""
    # By the contract, synapses are parallel only if they have types and their order does not rise.
    if seen.rising or "edge_type" not in data:
        return seen.edges, seen.self_loops
    adjacency = simple(data).tocoo()
    return np.stack((adjacency.row, adjacency.col)).astype(np.int64), 0


def degrees(end: Index, other: Index, neurons: int) -> Index:
    """Count the synapses with each neuron at ``end`` and another neuron at ``other``."""
    helpers = compiled.module()
    if helpers is not None:
        counted: Index = helpers.degrees(*compiled.plain(end, other), neurons)
        return counted
    return np.bincount(end[end != other], minlength=neurons)


def _ones(like: NDArray[np.integer]) -> NDArray[np.int32]:
    return np.ones(len(like), dtype=np.int32)
