"""Connectomes from and to dataframes of pandas, polars and pyarrow, through narwhals."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments, frames
from graphs.contract import validate
from graphs.io import edge_list, neuron_table
from graphs.io.arrow_file import ArrowColumn
from graphs.io.checks import OPTIONS
from graphs.io.duplicates import Duplicates
from graphs.io.frame_table import Column, Encoded, FrameTable, encode_array
from graphs.io.synapse_table import Options, connectome


class DataFrames(NamedTuple):
    """The tables of a connectome, as :func:`graphs.to_dataframe` returns them.

    Attributes:
        edges: One row per synapse.
        nodes: One row per neuron.
    """

    edges: Any
    nodes: Any


def from_dataframe(
    edges: Any,
    nodes: Any = None,
    *,
    columns: Mapping[str, str | None] | None = None,
    neuron_columns: Mapping[str, str | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Return the connectome of a dataframe with one row per synapse.

    Takes O(N + E) time and memory. Requires narwhals.

    Args:
        edges: A dataframe of pandas, polars, pyarrow or another library that narwhals reads. The
            columns of a role are found by their usual names, as in tables of :func:`graphs.load`:
            those of FlyWire's Codex, neuPrint, MICrONS and others are known.
        nodes: A dataframe with one row per neuron, or None: the neurons are then those with
            synapses, in the order of their numbers if all identifiers are integers >= 0, and
            otherwise in alphabetical order.
        columns: The column of a role in `edges`, such as ``{"weight": "strength"}``, or None for no
            column. The roles are source, target, weight, type, sign and transmitter.
        neuron_columns: The same for `nodes`. The roles are neuron (the identifier in `edges`),
            name, type, sign, transmitter, x, y and z.
        transmitter_signs: Signs of transmitters in addition to acetylcholine (+1), GABA and glycine
            (-1), such as ``{"glutamate": 1}``. Others have the sign 0 (unknown).
        duplicates: "error" refuses rows with the same source, target and type; "sum" replaces them
            by one synapse with the sum of their weights (1 each if there are none).

    Returns:
        A connectome whose synapses are sorted by (target, source, edge_type). Identifiers become
        ``names``, with all their digits, unless they are 0 to N - 1.

    Raises:
        TypeError: An argument has the wrong type, or identifiers are neither integers nor text.
        ValueError: A column is missing, values are missing or out of range, identifiers are floats
            that have lost digits, or synapses repeat without ``duplicates="sum"``. The message
            lists the first wrong value of every column.
        ModuleNotFoundError: narwhals is not installed.

    Warns:
        LeftOutWarning: Columns have no role, or the sign of a transmitter is unknown.

    Example:
        >>> import graphs, pyarrow
        >>> edges = pyarrow.table({"pre": [720575940596125868, 5], "post": [5, 7], "n_syn": [3, 1]})
        >>> data = graphs.from_dataframe(edges)
        >>> data.names, data.edge_weight.tolist()
        (['5', '7', '720575940596125868'], [3.0, 1.0])
    """
    given = {
        "columns": columns,
        "neuron_columns": neuron_columns,
        "transmitter_signs": transmitter_signs,
        "duplicates": duplicates,
    }
    options = Options(**{name: OPTIONS[name](name, value) for name, value in given.items()})
    rows = _table("edges", edges)
    population = None
    left_out: tuple[str, ...] = ()
    if nodes is not None:
        table = _table("nodes", nodes)
        population = neuron_table.read(
            table, options.neuron_columns or {}, options.transmitter_signs, None
        )
        left_out = tuple(table.left_out)
    elif neuron_columns:
        raise ValueError(
            "neuron_columns are columns of a frame with one row per neuron, got no nodes; pass "
            "nodes= too, or leave neuron_columns out"
        )
    return validate(connectome(rows, population, options, left_out=left_out))


def to_dataframe(data: Data, *, library: frames.Library = "pandas") -> DataFrames:
    """Return a connectome as two dataframes, one of synapses and one of neurons.

    ``graphs.from_dataframe(*graphs.to_dataframe(data))`` returns the connectome, without ``shape``
    and the names of types that no neuron and no synapse has. Takes O(N + E) time and memory.
    Requires narwhals and the library of the frames.

    Args:
        data: A connectome.
        library: "pandas", "polars" or "pyarrow".

    Returns:
        The frames ``edges``, with the columns source, target, weight, type and sign, and ``nodes``,
        with neuron, name, type, x, y, z and sign; each if the connectome has the field. Synapses
        refer to neurons by ``names`` if these differ, and otherwise by number. Types are text if
        they have names.

    Raises:
        TypeError: A field of `data` has the wrong type.
        ValueError: `data` breaks the contract, or `library` is none of these.
        ModuleNotFoundError: narwhals or the library is not installed.

    Example:
        >>> import graphs
        >>> edges, nodes = graphs.to_dataframe(graphs.layered([1, 2]), library="pyarrow")
        >>> edges.to_pydict()
        {'source': [0, 0], 'target': [1, 2]}
        >>> nodes.column_names
        ['neuron', 'type', 'x', 'y']
    """
    validate(data)
    synapses = frames.make(edge_list.synapse_columns(data), library)
    neurons = neuron_table.neuron_columns(data)
    if "neuron" in neurons:
        neurons["neuron"] = np.arange(data.num_nodes)
    return DataFrames(synapses, frames.make(neurons, library))


class _FrameColumn(Column):
    """A column of any library, as a series of narwhals."""

    def __init__(self, series: Any) -> None:
        self._series = series

    def encode(self) -> Encoded:
        """Return the different values of the column."""
        nw, series = frames.narwhals(), self._series
        if series.dtype in (nw.Categorical, nw.Enum):
            series = series.cast(nw.String)
        if series.dtype == nw.String and importlib.util.find_spec("pyarrow") is not None:
            # Faster than Python's objects.
            return ArrowColumn(_chunked(series.to_arrow())).encode()
        missing = series.is_null()
        if series.dtype.is_integer() and missing.any():
            # A missing value would make floats of all others.
            codes = np.array(missing.to_numpy(), dtype=bool)
            found = encode_array(_plain(series.fill_null(0)))
            return Encoded([*found.values, None], np.where(codes, len(found.values), found.codes))
        return encode_array(_plain(series))

    def numbers(self) -> NDArray[np.float64] | None:
        """Return the values as float64, or None if they are no numbers."""
        if not self._series.dtype.is_numeric() or self._series.dtype.is_decimal():
            return None
        values: NDArray[np.float64] = np.asarray(
            self._series.cast(frames.narwhals().Float64).to_numpy(), dtype=np.float64
        )
        return values


def _chunked(values: Any) -> Any:
    """Return an array of pyarrow in pieces."""
    import pyarrow as pa  # noqa: PLC0415

    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])


def _plain(series: Any) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(series.to_numpy())
    return values.astype(object) if values.dtype.kind not in "iufO" else values


def _table(name: str, frame: Any) -> FrameTable:
    """Return an argument as a table.

    Raises:
        TypeError: It is not a dataframe.
    """
    nw = frames.narwhals()
    try:
        opened = nw.from_native(frame, eager_only=True)
    except TypeError:
        fix = f"pass {name}=pandas.DataFrame({{'source': source, 'target': target}})"
        if callable(getattr(frame, "collect", None)):
            fix = f"pass {name}={name}.collect()"
        raise TypeError(
            f"{name} must be a dataframe of pandas, polars or pyarrow, got "
            f"{arguments.described(frame)}; {fix}, or call graphs.from_edges(source, target) for "
            "arrays"
        ) from None
    except ValueError as error:
        raise ValueError(
            f"{name} must have columns of different names, got {error!s:.100}; pass {name} with "
            "columns renamed"
        ) from None
    header = list(map(str, opened.columns))
    if opened.implementation.is_pyarrow():
        native = opened.to_native()
        return FrameTable(name, header, lambda at: ArrowColumn(native.column(at)))
    index = getattr(getattr(frame, "index", None), "names", None)
    hint = f"pass {name}.reset_index()" if index is not None and any(index) else ""
    return FrameTable(name, header, lambda at: _FrameColumn(opened[:, at]), hint=hint)
