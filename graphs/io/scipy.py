"""SciPy's sparse matrices: rows are sources, columns are targets."""

from typing import Any

import numpy as np
import scipy.sparse
from torch_geometric.data import Data

from graphs.contract import build, validate
from graphs.io.duplicates import Duplicates, combine
from graphs.io.left_out import to_float32


def from_scipy(matrix: Any, *, duplicates: Duplicates = "error") -> Data:
    """Return the connectome of a sparse adjacency matrix; rows are sources.

    The stored entry ``matrix[s, t]`` is a synapse from neuron s to neuron t. One loop of the
    connectome is therefore ``matrix.T @ x``.

    Parameters
    ----------
    matrix : scipy.sparse array or matrix, [N, N]
        Any format. Entries that are stored are synapses even where they are 0 (a DIA matrix stores
        none of those).
    duplicates : {"error", "sum"}
        Whether entries that are stored twice, as COO may, are refused or added up, to weights in
        any case.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E], and ``edge_weight`` float32 [E] unless the matrix is boolean.

    Raises
    ------
    TypeError
        If `matrix` is not sparse, or not of real numbers.
    ValueError
        If it is not square, stores an entry twice without ``duplicates="sum"``, or holds NaN or
        infinite values, or others than 0 that float32 rounds to 0.

    Notes
    -----
    O(N + E) time and memory.

    Examples
    --------
    >>> import graphs
    >>> import scipy.sparse
    >>> data = graphs.from_scipy(scipy.sparse.csr_array([[0.0, 2.0], [0.0, 3.0]]))
    >>> data.edge_index.tolist(), data.edge_weight.tolist()
    ([[0, 1], [1, 1]], [2.0, 3.0])
    """
    sparse = scipy.sparse.issparse(matrix)
    if not sparse:
        raise TypeError(
            f"expected a scipy.sparse array, got {type(matrix).__name__}; "
            "pass scipy.sparse.coo_array(matrix)"
        )
    if matrix.dtype.kind not in "biuf":
        raise TypeError(
            f"expected a matrix of real numbers, got {matrix.dtype}; pass abs(matrix), or "
            "matrix.astype(float)"
        )
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"expected a square matrix [N, N], one row and one column per neuron, got "
            f"{matrix.shape}; for connections between two groups pass "
            "scipy.sparse.block_array([[None, matrix], [zeros, None]])"
        )
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)
    entries = matrix.tocoo()
    source, target = entries.row.astype(np.int64), entries.col.astype(np.int64)
    for ends in (source, target):
        if len(ends) and (ends.min() < 0 or ends.max() >= matrix.shape[0]):
            raise ValueError(
                f"expected indices in [0, {matrix.shape[0]}), got {ends.min()} to {ends.max()}; "
                "make the matrix anew from its rows, columns and values"
            )
    weight = None if matrix.dtype.kind == "b" else to_float32("the values", entries.data)
    if weight is not None and not np.isfinite(weight).all():
        at = int(np.flatnonzero(~np.isfinite(weight))[0])
        raise ValueError(
            f"expected values that are finite in float32, got {entries.data[at]} at "
            f"[{source[at]}, {target[at]}]; set matrix.data = np.nan_to_num(matrix.data, posinf=0)"
        )
    synapses = combine(matrix.shape[0], source, target, edge_weight=weight, duplicates=duplicates)
    data = build(matrix.shape[0], **synapses)
    return validate(data)


def to_scipy(data: Data) -> scipy.sparse.csr_array:
    """Return the adjacency matrix of a connectome; rows are sources.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome without parallel synapses (same source and target).

    Returns
    -------
    scipy.sparse.csr_array, [N, N] float32
        ``edge_weight`` (1 where the connectome has none) at [source, target]. Synapses of weight 0
        stay stored.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or two synapses have the same source and target.

    Notes
    -----
    O(N + E) time and memory.

    Examples
    --------
    >>> import graphs
    >>> graphs.to_scipy(graphs.layered([1, 2])).toarray()
    array([[0., 1., 1.],
           [0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    neurons = validate(data).num_nodes
    source, target = data.edge_index.cpu().numpy()
    if "edge_weight" in data:
        weight = data.edge_weight.detach().cpu().numpy().copy()
    else:
        weight = np.ones(len(source), dtype=np.float32)
    matrix = scipy.sparse.coo_array((weight, (source, target)), shape=(neurons, neurons)).tocsr()
    if matrix.nnz < len(source):
        raise ValueError(
            f"a matrix holds one synapse per (source, target), got {len(source) - matrix.nnz} "
            "parallel ones; use graphs.to_networkx(data), or make one matrix per edge_type from "
            "data.edge_index[:, data.edge_type == 0]"
        )
    return matrix
