"""NumPy: dense adjacency matrices, rows are sources; and arrays of edges."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, validate
from graphs.io.duplicates import Duplicates, combine
from graphs.io.left_out import to_float32
from graphs.io.scipy import from_scipy, to_scipy


def from_numpy(matrix: ArrayLike) -> Data:
    """Return the connectome of a dense adjacency matrix; rows are sources.

    Parameters
    ----------
    matrix : array_like, [N, N]
        Real numbers or bools. ``matrix[s, t]`` is the weight of the synapse from neuron s to neuron
        t; where it is 0 there is none. The columns of a frame of pandas are put in the order of its
        rows by their labels.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E], and ``edge_weight`` float32 [E] unless the matrix is boolean;
        ``names``, the labels of a frame where these are not 0 to N - 1 in order.

    Raises
    ------
    TypeError
        If `matrix` is sparse, masked, or not of real numbers, or has labels of columns without
        those of rows.
    ValueError
        If it is not square, or holds NaN or infinite values, or others than 0 that float32 rounds
        to 0, or if the labels of a frame repeat, or its rows have others than its columns.

    See Also
    --------
    graphs.from_edges : takes the two ends of each synapse.
    graphs.from_scipy : takes sparse matrices.

    Notes
    -----
    O(N^2) time and memory, as the matrix.

    Examples
    --------
    >>> import graphs
    >>> data = graphs.from_numpy([[0.0, 2.0], [0.0, 3.0]])
    >>> data.edge_index.tolist(), data.edge_weight.tolist()
    ([[0, 1], [1, 1]], [2.0, 3.0])
    """
    if scipy.sparse.issparse(matrix):
        raise TypeError(
            "expected a dense matrix, got a sparse one; pass it to graphs.from_scipy(matrix)"
        )
    if isinstance(matrix, np.ma.MaskedArray):
        raise TypeError(
            "expected a matrix without a mask, which would be lost; pass matrix.filled(0), where "
            "what is masked is no synapse"
        )
    labels = _labels(matrix)
    dense = np.asarray(matrix)
    if labels is not None and dense.ndim == 2:
        dense = dense[:, labels.columns]
    if dense.ndim != 2:
        raise ValueError(
            f"expected a square matrix [N, N], one row and one column per neuron, got the shape "
            f"{dense.shape}; for the ends of each synapse call graphs.from_edges(source, target)"
        )
    if dense.dtype.kind not in "biuf":
        raise TypeError(
            f"expected a matrix of real numbers, got {dense.dtype}; pass matrix.astype(float)"
        )
    # SciPy takes neither half precision nor the byte order of other machines. NaN is not 0, so it
    # is stored, and refused.
    dtype = np.float32 if dense.dtype.itemsize == 2 and dense.dtype.kind == "f" else dense.dtype
    native = dense.astype(np.dtype(dtype).newbyteorder("="), copy=False)
    data = from_scipy(scipy.sparse.coo_array(native))
    if labels is not None and labels.names is not None:
        data["names"] = labels.names
    return data


class _Labels(NamedTuple):
    """Which column belongs to each row of a frame, and what the rows are called."""

    columns: Index
    names: list[str] | None


def _labels(matrix: Any) -> _Labels | None:
    """Return the labels of whatever has an ``index`` and ``columns``, as frames of pandas do."""
    if not hasattr(matrix, "columns"):
        if hasattr(matrix, "coords") and hasattr(matrix, "to_pandas"):
            raise TypeError(
                "expected an array or a frame, got one with coordinates, which would be lost; pass "
                "matrix.to_pandas()"
            )
        return None
    if not hasattr(matrix, "index") or callable(matrix.index):
        raise TypeError(
            f"expected a frame with labels of rows too, got {type(matrix).__module__.split('.')[0]}"
            f".{type(matrix).__name__} with those of columns alone, which cannot be matched; pass "
            "frame.to_numpy() if row i and column i are the same neuron"
        )
    rows, columns = list(matrix.index), list(matrix.columns)
    place = {label: number for number, label in enumerate(columns)}
    for what, labels in (("rows", rows), ("columns", columns)):
        # What is missing is NaN, which equals nothing.
        if len(set(labels)) < len(labels) or any(not label == label for label in labels):  # noqa: PLR0124
            raise ValueError(
                f"expected a frame whose {what} have one label each, got one that repeats or is "
                "missing; pass frame.to_numpy() if row i and column i are the same neuron"
            )
    unmatched = [label for label in rows if label not in place]
    if unmatched or len(rows) != len(columns):
        odd = unmatched or [label for label in columns if label not in set(rows)]
        raise ValueError(
            f"expected a frame whose rows and columns have the same labels, got {odd[0]!r} of type "
            f"{type(odd[0]).__name__} in one of them alone; pass frame.reindex(index=labels, "
            "columns=labels, fill_value=0), or set frame.columns = "
            "frame.columns.astype(frame.index.dtype) where numbers became text"
        )
    numbered = rows == list(range(len(rows)))
    names = None if numbered else [str(label) for label in rows]
    return _Labels(np.array([place[label] for label in rows], dtype=np.int64), names)


def to_numpy(data: Data) -> NDArray[np.float32]:
    """Return the dense adjacency matrix of a connectome; rows are sources.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome without parallel synapses (same source and target) and without weights of 0,
        which a dense matrix cannot tell from no synapse.

    Returns
    -------
    numpy.ndarray, [N, N] float32
        ``edge_weight`` (1 where the connectome has none) at [source, target], else 0.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or the matrix would lose a synapse.

    Notes
    -----
    O(N^2) time and memory.

    Examples
    --------
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
            f"a dense matrix holds no synapses of weight 0, got {zeros}; use "
            "graphs.to_scipy(data), which stores them"
        )
    return matrix.toarray()


def from_edges(
    source: ArrayLike,
    target: ArrayLike,
    *,
    num_nodes: int,
    edge_weight: ArrayLike | None = None,
    edge_type: ArrayLike | None = None,
    edge_sign: ArrayLike | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Return the connectome of arrays with the two ends of each synapse, in any order.

    Parameters
    ----------
    source, target : array_like of int, [E]
        Neurons in [0, N).
    num_nodes : int
        Number of neurons N; some may have no synapse.
    edge_weight, edge_sign : array_like of float, [E], optional
        Weights, and signs of -1, 0 (unknown) or +1.
    edge_type : array_like of int, [E], optional
        Types >= 0.
    duplicates : {"error", "sum"}
        Whether synapses that state source, target and type of another are refused, or become one
        with the sum of their weights (1 each if there are none).

    Returns
    -------
    torch_geometric.data.Data
        Synapses sorted by (target, source, edge_type).

    Raises
    ------
    TypeError
        If the ends or types are no integers, or weights or signs no real numbers.
    ValueError
        If the arrays differ in length, a value is out of range or not finite, synapses repeat
        without ``duplicates="sum"``, or those that are added up have both signs.

    Notes
    -----
    O(N + E) time and memory.

    Examples
    --------
    >>> import graphs
    >>> data = graphs.from_edges([0, 1, 0], [1, 2, 1], num_nodes=4, duplicates="sum")
    >>> data.edge_index.tolist(), data.edge_weight.tolist()
    ([[0, 1], [1, 2]], [2.0, 1.0])
    """
    neurons = arguments.count("num_nodes", num_nodes)
    ends = {"source": _integers("source", source), "target": _integers("target", target)}
    for name, values in ends.items():
        bad = np.flatnonzero((values < 0) | (values >= neurons))
        if bad.size:
            # More neurons would not help against a negative number, so that is told first.
            at = bad[np.argmax(values[bad] < 0)]
            fix = (
                "number from 0"
                if values[at] < 0
                else f"pass num_nodes={int(values.max()) + 1}, or number from 0"
            )
            raise ValueError(
                f"{name} must hold neurons in [0, {neurons}), got {values[at]} at position {at}; "
                f"{fix}"
            )
    weight = None if edge_weight is None else _floats("edge_weight", edge_weight)
    kind = None if edge_type is None else _integers("edge_type", edge_type)
    sign = None if edge_sign is None else _floats("edge_sign", edge_sign)
    given = {**ends, "edge_weight": weight, "edge_type": kind, "edge_sign": sign}
    length = len(ends["source"])
    for name, column in given.items():
        if column is not None and len(column) != length:
            raise ValueError(
                f"{name} must have one value per synapse, as source has {length}, got "
                f"{len(column)}; pass {name} of that length"
            )
    synapses = combine(
        neurons,
        ends["source"],
        ends["target"],
        edge_weight=weight,
        edge_type=kind,
        edge_sign=sign,
        duplicates=duplicates,
    )
    return validate(build(neurons, **synapses))


def _integers(name: str, values: ArrayLike) -> Index:
    array = _row(name, values)
    # An empty list comes as floats.
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} must hold integers, got {array.dtype}; pass {name}.astype(int)")
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
        raise ValueError(f"{name} must fit into int64, got {array.max()}; number from 0")
    return array.astype(np.int64)


def _floats(name: str, values: ArrayLike) -> NDArray[np.float32]:
    array = _row(name, values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold numbers, got {array.dtype}; pass {name}.astype(float)")
    return to_float32(name, array)


def _row(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be one row with a value per synapse, got the shape {array.shape}; pass "
            f"{name}.ravel()"
        )
    return array
