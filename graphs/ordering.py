"""The canonical order of synapses: by target, then by source, then by type."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from graphs import compiled

Index = NDArray[np.int64]


def canonical_order(
    num_nodes: int, source: Index, target: Index, edge_type: Index | None = None
) -> Index:
    """Return the permutation that sorts synapses by (target, source, edge_type).

    Args:
        num_nodes: Number of neurons N.
        source: Source of each synapse [E], in [0, N).
        target: Target of each synapse [E], in [0, N).
        edge_type: Type of each synapse [E].

    Returns:
        The permutation [E].
    """
    helpers = compiled.module()
    if edge_type is None:
        if helpers is not None:
            order: Index = helpers.canonical_order(*compiled.plain(source, target), num_nodes)
            return order
        order = _counting_argsort(source, num_nodes)
        return order[_counting_argsort(target[order], num_nodes)]
    # Types may be arbitrarily large, so they are sorted by comparison and not by counting.
    order = np.argsort(edge_type, kind="stable")
    return order[canonical_order(num_nodes, source[order], target[order])]


def _counting_argsort(keys: Index, bound: int) -> Index:
    """Return the stable argsort of integers in [0, bound) in O(len(keys) + bound).

    Transposing a sparse matrix with one entry per row is a counting sort of its column indices.
    """
    size = len(keys)
    rows = csr_array((np.arange(size), keys, np.arange(size + 1)), shape=(size, bound))
    return np.asarray(rows.tocsc().data)


View = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]


def view(source: Index, target: Index, num_nodes: int) -> View:
    """Return the synapses in compressed-sparse-row form, by target.

    Args:
        source: Source of each synapse [E], in [0, N).
        target: Target of each synapse [E], in [0, N).
        num_nodes: Number of neurons N.

    Returns:
        The synapses by (target, source): the start of each row [N + 1], the neurons at the other
        ends [E], and the positions of the synapses before sorting [E], or None if nothing was
        moved. Arrays are int32 if N and E allow it, else int64. O(N + E) time.
    """
    helpers = compiled.module()
    wide = max(num_nodes, len(source)) >= 2**31
    if helpers is not None:
        found: View = helpers.view(*compiled.plain(source, target), num_nodes, wide)
        return found
    dtype = np.int64 if wide else np.int32
    pointer = np.zeros(num_nodes + 1, dtype)
    np.cumsum(np.bincount(target, minlength=num_nodes), out=pointer[1:])
    order = unless_identity(canonical_order(num_nodes, source, target).astype(dtype))
    return pointer, (source if order is None else source[order]).astype(dtype), order


def transposed(rows: View) -> View:
    """Return the columns of a view as rows, in O(N + E) time.

    Both views contain the positions of the synapses before sorting, and the order of equal synapses
    is kept.

    Raises:
        IndexError: If the arrays are not those of a view.
    """
    pointer, neuron, order = rows
    helpers = compiled.module()
    if helpers is not None:
        found: View = helpers.transposed(pointer, neuron, order)
        return found
    size, dtype = len(pointer) - 1, neuron.dtype
    inside = not len(neuron) or (neuron.min() >= 0 and neuron.max() < size)
    if pointer[0] != 0 or pointer[-1] != len(neuron) or (np.diff(pointer) < 0).any() or not inside:
        raise IndexError("a view leads out of its synapses")
    places = np.arange(len(neuron), dtype=dtype) if order is None else order
    # A counting sort, which keeps the order of the rows within each column.
    columns = csr_array((places, neuron, pointer), shape=(size, size)).tocsc()
    pointer, neuron, order = (
        array.astype(dtype) for array in (columns.indptr, columns.indices, columns.data)
    )
    return pointer, neuron, unless_identity(order)


def unless_identity(order: NDArray[Any]) -> NDArray[Any] | None:
    """Return a permutation, or None if it changes nothing."""
    return None if np.array_equal(order, np.arange(len(order))) else order


def has_parallel(source: Index, target: Index, num_nodes: int) -> bool:
    """Return whether two synapses have the same source and target, which are in [0, N)."""
    helpers = compiled.module()
    if helpers is not None:
        found: bool = helpers.has_parallel(*compiled.plain(source, target), num_nodes)
        return found
    order = canonical_order(num_nodes, source, target)
    source, target = source[order], target[order]
    return bool(((source[1:] == source[:-1]) & (target[1:] == target[:-1])).any())


class Survey(NamedTuple):
    """What one pass over the synapses finds.

    Attributes:
        outside: The first synapse with an end outside [0, N), or None.
        rising: Whether (target, source) rises from each synapse to the next, if none is outside.
        self_loops: Number of self-loops, if no synapse is outside.
    """

    outside: int | None
    rising: bool
    self_loops: int


def survey(source: Index, target: Index, neurons: int) -> Survey:
    """Check all synapses in one pass."""
    helpers = compiled.module()
    if helpers is not None:
        at, rising, self_loops = helpers.survey(*compiled.plain(source, target), neurons)
        return Survey(None if at < 0 else at, rising, self_loops)
    bad = np.flatnonzero((np.minimum(source, target) < 0) | (np.maximum(source, target) >= neurons))
    if bad.size:
        return Survey(int(bad[0]), False, 0)
    later = target[1:] - target[:-1]
    rises = (later > 0) | ((later == 0) & (source[1:] > source[:-1]))
    return Survey(None, bool(rises.all()), int(np.count_nonzero(source == target)))
