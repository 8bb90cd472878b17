"""Connectomes from and to dense adjacency matrices of NumPy."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from torch_geometric.data import Data

from graphs.contract import Index
from graphs.io.arrays import array, names_of
from graphs.io.scipy import from_scipy, to_scipy


def from_numpy(matrix: ArrayLike, *, names: Sequence[str] | None = None) -> Data:
    """Return the connectome of a dense adjacency matrix; rows are sources.

    Takes O(N^2) time and memory, as the matrix does. Use :func:`graphs.from_edges` for arrays with
    the two ends of each synapse, and :func:`graphs.from_scipy` for sparse matrices.

    Args:
        matrix: Real numbers or bools [N, N]. ``matrix[s, t]`` is the weight of the synapse from
            neuron s to neuron t; 0 means that there is none. The columns of a pandas frame are
            reordered to match its rows by label.
        names: Names or ids of the N neurons; by default the labels of a frame, if it is one.

    Returns:
        A connectome with ``edge_index`` int64 [2, E], and ``edge_weight`` float32 [E] unless the
        matrix is boolean. The labels of a frame become ``names`` unless they are 0 to N - 1 in
        order.

    Raises:
        TypeError: The matrix is sparse, masked or not of real numbers, or its columns have labels
            but its rows have none.
        ValueError: The matrix is not square, has missing, NaN or infinite values, or nonzero values
            that float32 rounds to 0; or the labels of a frame repeat, or differ between rows and
            columns.

    Example:
        >>> import graphs
        >>> data = graphs.from_numpy([[0.0, 2.0], [0.0, 3.0]])
        >>> data.edge_index.tolist(), data.edge_weight.tolist()
        ([[0, 1], [1, 1]], [2.0, 3.0])
    """
    if scipy.sparse.issparse(matrix):
        raise TypeError("matrix must be dense, got a sparse one; call graphs.from_scipy(matrix)")
    if isinstance(matrix, np.ma.MaskedArray):
        raise TypeError(
            "matrix must have no mask, which would be lost; pass matrix.filled(0) if masked values "
            "are not synapses"
        )
    labels = _labels(matrix)
    dense = array("matrix", matrix)
    if labels is not None and dense.ndim == 2:
        dense = dense[:, labels.columns]
    if dense.ndim != 2:
        raise ValueError(
            "matrix must be square [N, N], one row and one column per neuron, got the shape "
            f"{dense.shape}; for the two ends of each synapse call graphs.from_edges(source, "
            "target, num_nodes=N)"
        )
    if dense.dtype.kind not in "biuf":
        fix = "numpy.abs(matrix)" if dense.dtype.kind == "c" else "numbers, 0 for no synapse"
        raise TypeError(f"matrix must hold real numbers, got {dense.dtype}; pass {fix}")
    # SciPy supports neither half precision nor foreign byte orders. NaN differs from 0, so that
    # from_scipy stores and then refuses it.
    dtype = np.float32 if dense.dtype.itemsize == 2 and dense.dtype.kind == "f" else dense.dtype
    native = dense.astype(np.dtype(dtype).newbyteorder("="), copy=False)
    data = from_scipy(scipy.sparse.coo_array(native))
    if names is not None:
        data["names"] = names_of(names, dense.shape[0])
    elif labels is not None and labels.names is not None:
        data["names"] = labels.names
    return data


class _Labels(NamedTuple):
    """The column that belongs to each row of a frame, and the names of the rows."""

    columns: Index
    names: list[str] | None


def _labels(matrix: Any) -> _Labels | None:
    """Return the labels of an object with ``index`` and ``columns``, such as a pandas frame."""
    if not hasattr(matrix, "columns"):
        if hasattr(matrix, "coords") and hasattr(matrix, "to_pandas"):
            raise TypeError(
                "matrix must be an array or a frame, got an array with coordinates, which would be "
                "lost; pass matrix.to_pandas()"
            )
        return None
    if not hasattr(matrix, "index") or callable(matrix.index):
        raise TypeError(
            "matrix must have labels of rows if it has labels of columns, got "
            f"{type(matrix).__module__.split('.')[0]}.{type(matrix).__name__}, whose rows have "
            "none; pass matrix.to_numpy() if row i and column i are the same neuron"
        )
    rows, columns = list(matrix.index), list(matrix.columns)
    for what, labels in (("rows", rows), ("columns", columns)):
        # A missing label is NaN, which differs from itself.
        if len(set(labels)) < len(labels) or any(not label == label for label in labels):  # noqa: PLR0124
            raise ValueError(
                f"matrix must have one label for each of its {what}, got one that repeats or is "
                "missing; pass matrix.to_numpy() if row i and column i are the same neuron"
            )
    place = {label: number for number, label in enumerate(columns)}
    unmatched = [label for label in rows if label not in place]
    if unmatched or len(rows) != len(columns):
        odd = unmatched or [label for label in columns if label not in set(rows)]
        raise ValueError(
            "matrix must have the same labels for its rows and its columns, got "
            f"{odd[0]!r} of type {type(odd[0]).__name__} in one of them only; pass "
            "matrix.reindex(index=labels, columns=labels, fill_value=0), or set matrix.columns = "
            "matrix.columns.astype(matrix.index.dtype) if numbers became text"
        )
    numbered = rows == list(range(len(rows)))
    names = None if numbered else [str(label) for label in rows]
    return _Labels(np.array([place[label] for label in rows], dtype=np.int64), names)


def to_numpy(data: Data) -> NDArray[np.float32]:
    """Return the dense adjacency matrix of a connectome; rows are sources.

    Takes O(N^2) time and memory.

    Args:
        data: A connectome without parallel synapses (same source and target), and without weights
            of 0, which a dense matrix cannot represent.

    Returns:
        A matrix [N, N] float32 with the weights of :func:`graphs.signed_weights` (1 or -1 if the
        connectome has no ``edge_weight``) at [source, target], and 0 elsewhere.

    Raises:
        TypeError: The connectome breaks the contract, see :func:`graphs.validate`.
        ValueError: As above, or the matrix would lose a synapse.

    Example:
        >>> import graphs
        >>> graphs.to_numpy(graphs.layered([1, 2]))
        array([[0., 1., 1.],
               [0., 0., 0.],
               [0., 0., 0.]], dtype=float32)
    """
    matrix = to_scipy(data)
    if not matrix.data.all():
        zeros = matrix.nnz - np.count_nonzero(matrix.data)
        raise ValueError(
            f"data must have no synapses of weight 0, which a dense matrix cannot represent, got "
            f"{zeros}; use graphs.to_scipy(data), which stores them"
        )
    return matrix.toarray()
