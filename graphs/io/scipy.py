"""Connectomes from and to sparse matrices of SciPy; rows are sources."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from torch_geometric.data import Data

from graphs.contract import build, signed_weights, validate
from graphs.io.arrays import names_of
from graphs.io.duplicates import Duplicates, combine
from graphs.io.left_out import to_float32


def from_scipy(
    matrix: Any, *, names: Sequence[str] | None = None, duplicates: Duplicates = "error"
) -> Data:
    """Return the connectome of a sparse adjacency matrix; rows are sources.

    The stored entry ``matrix[s, t]`` is a synapse from neuron s to neuron t. One loop of the
    connectome is therefore ``matrix.T @ x``. Takes O(N + E) time and memory.

    Args:
        matrix: A sparse array or matrix [N, N] of any format. Stored entries are synapses even if
            they are 0 (a DIA matrix stores no zeros).
        names: Names or ids of the N neurons.
        duplicates: "error" refuses entries that are stored twice, as COO allows; "sum" adds them
            up, also those of a boolean matrix.

    Returns:
        A connectome with ``edge_index`` int64 [2, E], and ``edge_weight`` float32 [E] unless the
        matrix is boolean.

    Raises:
        TypeError: The matrix is not sparse, or not of real numbers.
        ValueError: The matrix is not square, stores an entry twice without ``duplicates="sum"``, or
            has NaN or infinite values, or nonzero values that float32 rounds to 0.

    Example:
        >>> import graphs
        >>> import scipy.sparse
        >>> data = graphs.from_scipy(scipy.sparse.csr_array([[0.0, 2.0], [0.0, 3.0]]))
        >>> data.edge_index.tolist(), data.edge_weight.tolist()
        ([[0, 1], [1, 1]], [2.0, 3.0])
    """
    sparse = scipy.sparse.issparse(matrix)
    if not sparse:
        raise TypeError(
            f"matrix must be a scipy.sparse array, got {type(matrix).__name__}; "
            "pass scipy.sparse.coo_array(matrix)"
        )
    if matrix.dtype.kind not in "biuf":
        raise TypeError(
            f"matrix must hold real numbers, got {matrix.dtype}; pass abs(matrix) or "
            "matrix.astype(float)"
        )
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"matrix must be square [N, N], one row and one column per neuron, got the shape "
            f"{matrix.shape}; for connections between two groups pass "
            "scipy.sparse.block_array([[None, matrix], [zeros, None]])"
        )
    if hasattr(matrix, "check_format"):
        try:
            matrix.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(
                f"matrix must be consistent, but {error}; make it again from its rows, columns and "
                "values"
            ) from error
    entries = matrix.tocoo()
    source, target = entries.row.astype(np.int64), entries.col.astype(np.int64)
    for ends in (source, target):
        if len(ends) and (ends.min() < 0 or ends.max() >= matrix.shape[0]):
            raise ValueError(
                f"matrix must have indices in [0, {matrix.shape[0]}), got {ends.min()} to "
                f"{ends.max()}; make it again from its rows, columns and values"
            )
    weight = None if matrix.dtype.kind == "b" else to_float32("matrix", entries.data)
    if weight is not None and not np.isfinite(weight).all():
        at = int(np.flatnonzero(~np.isfinite(weight))[0])
        raise ValueError(
            f"matrix must be finite in float32, got {entries.data[at]} at "
            f"[{source[at]}, {target[at]}]; pass numpy.clip(numpy.nan_to_num(matrix), -1e38, "
            "1e38), "
            "of a sparse matrix with matrix.data in place of matrix"
        )
    synapses = combine(matrix.shape[0], source, target, edge_weight=weight, duplicates=duplicates)
    known = None if names is None else names_of(names, matrix.shape[0])
    data = build(matrix.shape[0], **synapses, names=known)
    return validate(data)


def to_scipy(data: Data) -> scipy.sparse.csr_array:
    """Return the sparse adjacency matrix of a connectome; rows are sources.

    Takes O(N + E) time and memory.

    Args:
        data: A connectome without parallel synapses (same source and target).

    Returns:
        A matrix [N, N] float32 in CSR with the weights of :func:`graphs.signed_weights` (1 or -1 if
        the connectome has no ``edge_weight``) at [source, target]. Synapses of weight 0 are stored.

    Raises:
        TypeError: The connectome breaks the contract, see :func:`graphs.validate`.
        ValueError: As above, or two synapses have the same source and target.

    Example:
        >>> import graphs
        >>> graphs.to_scipy(graphs.layered([1, 2])).toarray()
        array([[0., 1., 1.],
               [0., 0., 0.],
               [0., 0., 0.]], dtype=float32)
    """
    weight = signed_weights(data)
    neurons = int(data.num_nodes)
    source, target = data.edge_index.cpu().numpy()
    matrix = scipy.sparse.coo_array((weight, (source, target)), shape=(neurons, neurons)).tocsr()
    if matrix.nnz < len(source):
        raise ValueError(
            f"data must have one synapse per (source, target), as a matrix does, got "
            f"{len(source) - matrix.nnz} parallel ones; use graphs.to_networkx(data), or make one "
            "matrix per edge_type from data.edge_index[:, data.edge_type == 0]"
        )
    return matrix
