"""Connectomes from and to NetworkX graphs, with every field of the contract as an attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build, validate
from graphs.io import attributes
from graphs.io.checks import OPTIONS
from graphs.io.duplicates import DUPLICATES, Duplicates, combine
from graphs.io.left_out import tell, to_float32

if TYPE_CHECKING:
    import networkx as nx


class Field(NamedTuple):
    """A field of the contract in NetworkX.

    Attributes:
        name: The name of the field.
        attribute: The name of its attribute in NetworkX.
        dtype: Its dtype in NumPy.
    """

    name: str
    attribute: str
    dtype: type[np.generic]


NODE_FIELDS = (
    Field("pos", "pos", np.float32),
    Field("node_type", "node_type", np.int64),
    Field("node_sign", "node_sign", np.float32),
)
EDGE_FIELDS = (
    Field("edge_weight", "weight", np.float32),
    Field("edge_type", "edge_type", np.int64),
    Field("edge_sign", "edge_sign", np.float32),
)
GRAPH_FIELDS = ("edge_type_names", "node_type_names", "shape")
# The attribute with the names of fields that a graph without nodes or edges cannot hold.
EMPTY_FIELDS = "empty_fields"
AXES = ("pos_x", "pos_y", "pos_z")


def to_networkx(data: Data) -> nx.DiGraph[int]:
    """Return a connectome as a NetworkX graph with the nodes 0 to N - 1.

    Takes O(N + E) time and memory.

    Args:
        data: A connectome.

    Returns:
        A `networkx.DiGraph`, or a `networkx.MultiDiGraph` if two synapses have the same source and
        target. Nodes have the attributes ``pos`` (a tuple), ``node_type``, ``node_sign`` and
        ``name``; edges ``weight`` (of ``edge_weight``), ``edge_type`` and ``edge_sign``; the graph
        ``edge_type_names``, ``node_type_names`` and ``shape``; each if the connectome has the
        field. If there is no node or edge to hold an attribute, the graph lists its name in
        ``empty_fields``.

    Raises:
        TypeError: The connectome breaks the contract, see :func:`graphs.validate`.
        ValueError: As above.

    Example:
        >>> import graphs
        >>> graph = graphs.to_networkx(graphs.layered([2, 1]))
        >>> sorted(graph.edges)
        [(0, 2), (1, 2)]
        >>> graph.nodes[2]["pos"]
        (1.0, 0.0)
    """
    import networkx as nx  # noqa: PLC0415

    pairs = [tuple(pair) for pair in validate(data).edge_index.T.tolist()]
    graph = nx.DiGraph() if len(set(pairs)) == len(pairs) else nx.MultiDiGraph()
    columns = _columns(data, NODE_FIELDS)
    if "pos" in columns:
        columns["pos"] = [tuple(point) for point in columns["pos"]]
    if "names" in data:
        columns["name"] = data["names"]
    graph.add_nodes_from(enumerate(_rows(columns, data.num_nodes)))
    attributes = _rows(_columns(data, EDGE_FIELDS), len(pairs))
    graph.add_edges_from((*pair, row) for pair, row in zip(pairs, attributes, strict=True))
    graph.graph.update({name: copy(data[name]) for name in GRAPH_FIELDS if name in data})
    empty = [] if data.num_nodes else _empty(data, NODE_FIELDS) + ["name"] * ("names" in data)
    empty += [] if pairs else _empty(data, EDGE_FIELDS)
    if empty:
        graph.graph[EMPTY_FIELDS] = empty
    return graph


def from_networkx(
    graph: nx.Graph[Any],
    *,
    columns: Mapping[str, str | None] | None = None,
    neuron_columns: Mapping[str, str | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Return a NetworkX graph as a connectome.

    Takes O(N + E) time and memory.

    Args:
        graph: A graph of any class of NetworkX. Neurons have the order of ``graph.nodes``. An
            undirected edge becomes two synapses, an undirected self-loop one.
        columns: The attribute of edges for a role, such as ``{"weight": "strength"}``, or None to
            leave the role out. The roles are weight, type, sign and transmitter.
        neuron_columns: The same for nodes. The roles are name, type, sign, transmitter, x, y and z.
        transmitter_signs: Signs of transmitters in addition to acetylcholine (+1), GABA and glycine
            (-1), such as ``{"glutamate": 1}``. Others have the sign 0 (unknown).
        duplicates: "error" refuses parallel edges of a multigraph with the same ``edge_type``;
            "sum" replaces them by one synapse with the sum of their weights (1 each if they have
            none).

    Returns:
        A connectome whose fields are the attributes listed at :func:`to_networkx`. Types may be
        text, which becomes ``node_type_names`` and ``edge_type_names``. ``names`` are
        the attribute ``name``, or otherwise the node labels unless these are 0 to N - 1 in order.

    Raises:
        TypeError: The graph is not a NetworkX graph.
        ValueError: Only some nodes or edges have an attribute, its values do not fit the contract
            or are complex, a weight other than 0 becomes 0 in float32, parallel edges repeat
            without ``duplicates="sum"``, or synapses of both signs would be added up.

    Warns:
        LeftOutWarning: Attributes, labels of nodes that have another ``name``, or keys of parallel
            edges that are not numbers are left out; one warning names all of them.

    Example:
        >>> import graphs
        >>> import networkx as nx
        >>> data = graphs.from_networkx(nx.Graph([("a", "b")]))
        >>> data.edge_index.tolist(), data.names
        ([[1, 0], [0, 1]], ['a', 'b'])
    """
    import networkx as nx  # noqa: PLC0415

    if not isinstance(graph, nx.Graph):
        raise TypeError(
            f"graph must be a networkx graph, got {type(graph).__name__}; "
            "pass networkx.DiGraph(edges), or call graphs.from_scipy(matrix) for a matrix"
        )
    duplicates = arguments.option("duplicates", duplicates, DUPLICATES)
    graph = attributes.select(
        graph,
        OPTIONS["columns"]("columns", columns),
        OPTIONS["neuron_columns"]("neuron_columns", neuron_columns),
        OPTIONS["transmitter_signs"]("transmitter_signs", transmitter_signs),
    )
    data = convert(graph, duplicates)
    tell(
        [*unread(graph), *_unread_labels(graph)],
        "pass columns= for attributes of edges and neuron_columns= for attributes of nodes that "
        "belong to a field, such as columns={'type': 'kind'}, or delete them",
    )
    return data


def convert(graph: nx.Graph[Any], duplicates: Duplicates) -> Data:
    """Return the connectome of a graph as `from_networkx` does, but without a warning."""
    index = {node: number for number, node in enumerate(graph.nodes)}
    edges = list(graph.edges(data=True))
    ends = np.array([(index[s], index[t]) for s, t, _ in edges], dtype=np.int64).reshape(-1, 2)
    rows = [row for _, _, row in edges]
    nodes = [row for _, row in graph.nodes(data=True)]
    lists = {name: copy(graph.graph.get(name)) for name in GRAPH_FIELDS}
    rows, lists["edge_type_names"] = _numbered(rows, "edge_type", lists["edge_type_names"])
    nodes, lists["node_type_names"] = _numbered(nodes, "node_type", lists["node_type_names"])
    per_edge = {field.name: _column(rows, field, "edges") for field in EDGE_FIELDS}
    if not graph.is_directed():
        both = np.concatenate((np.arange(len(ends)), np.flatnonzero(ends[:, 0] != ends[:, 1])))
        per_edge = {name: None if each is None else each[both] for name, each in per_edge.items()}
        ends = np.concatenate((ends, ends[both[len(ends) :], ::-1]))

    per_node = {field.name: _column(nodes, field, "nodes") for field in NODE_FIELDS}
    _fill_empty(graph, per_node, per_edge)
    names = _names(graph, nodes)
    synapses = combine(
        len(nodes), ends[:, 0], ends[:, 1], **per_edge, names=names, duplicates=duplicates
    )
    data = build(
        len(nodes),
        **synapses,
        **per_node,
        names=names,
        **lists,
    )
    return validate(data)


def _numbered(
    rows: list[dict[str, Any]], attribute: str, names: list[str] | None
) -> tuple[list[dict[str, Any]], list[str] | None]:
    """Return rows whose types are numbers if they are text, and the names of the types."""
    values = [row.get(attribute) for row in rows]
    if names is not None or not values or not all(isinstance(value, str) for value in values):
        return rows, names
    names = sorted({str(value) for value in values})
    number = {name: at for at, name in enumerate(names)}
    numbered = [
        {**row, attribute: number[str(value)]} for row, value in zip(rows, values, strict=True)
    ]
    return numbered, names


def unread(graph: nx.Graph[Any]) -> list[str]:
    """Return the attributes of a graph that no field holds, as texts for a warning."""
    owners = {
        "nodes": ((row for _, row in graph.nodes(data=True)), {*_names_of(NODE_FIELDS), "name"}),
        "edges": ((row for *_, row in graph.edges(data=True)), _names_of(EDGE_FIELDS)),
        "the graph": ([graph.graph], {*GRAPH_FIELDS, EMPTY_FIELDS}),
    }
    left_out = []
    for owner, (rows, known) in owners.items():
        others = dict.fromkeys(name for row in rows for name in row if name not in known)
        left_out += [f"{name!r} of {owner}" for name in others]
    return left_out


def _names_of(fields: Sequence[Field]) -> set[str]:
    """Return the attributes of fields."""
    return {field.attribute for field in fields}


def _unread_labels(graph: nx.Graph[Any]) -> list[str]:
    """Return whether labels of nodes and keys of edges are left out, as texts for a warning."""
    rows = graph.nodes(data=True)
    numbered = list(graph.nodes) == list(range(len(graph)))
    left_out = []
    if not numbered and any(row.get("name", str(label)) != str(label) for label, row in rows):
        left_out.append("the labels of nodes (they have another 'name')")
    if graph.is_multigraph() and any(
        not isinstance(key, int) for *_, key in graph.edges(keys=True)
    ):
        left_out.append("the keys of edges")
    return left_out


def _empty(data: Data, fields: Sequence[Field]) -> list[str]:
    """Return the attributes of the fields that a connectome has, positions by axis."""
    found = [field.attribute for field in fields if field.name in data]
    if "pos" in found:
        at = found.index("pos")
        found[at : at + 1] = AXES[: data.pos.shape[1]]
    return found


def _fill_empty(graph: nx.Graph[Any], per_node: dict[str, Any], per_edge: dict[str, Any]) -> None:
    """Add the columns without rows that `to_networkx` has listed.

    Raises:
        ValueError: The attribute of the graph is not a list.
    """
    listed = graph.graph.get(EMPTY_FIELDS, [])
    if not isinstance(listed, list):
        raise ValueError(
            f"the attribute {EMPTY_FIELDS!r} of the graph must be a list of names, got "
            f"{str(listed)[:100]!r}; del graph.graph[{EMPTY_FIELDS!r}]"
        )
    owners = [] if len(graph) else [(NODE_FIELDS, per_node)]
    owners += [] if graph.number_of_edges() else [(EDGE_FIELDS, per_edge)]
    for fields, columns in owners:
        for field in fields:
            if field.attribute in listed:
                columns[field.name] = np.empty(0, dtype=field.dtype)
    axes = sum(axis in listed for axis in AXES)
    if axes and not len(graph):
        per_node["pos"] = np.empty((0, axes), dtype=np.float32)


def _columns(data: Data, fields: Sequence[Field]) -> dict[str, list[Any]]:
    """Return the values of fields by attribute."""
    return {field.attribute: data[field.name].tolist() for field in fields if field.name in data}


def _rows(columns: dict[str, list[Any]], length: int) -> list[dict[str, Any]]:
    """Return the attributes of each node or edge."""
    if not columns:
        return [{} for _ in range(length)]
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _column(rows: Sequence[dict[str, Any]], field: Field, owners: str) -> Any:
    """Return one attribute of all nodes or edges as an array, or None if none has it.

    Raises:
        ValueError: Only some have it, or its values do not fit the dtype.
    """
    values = [row[field.attribute] for row in rows if field.attribute in row]
    if not values:
        return None
    name = field.attribute
    if len(values) < len(rows):
        setter = f"networkx.set_{owners.removesuffix('s')}_attributes"
        raise ValueError(
            f"all {owners} must have the attribute {name!r} or none, got {len(values)} of "
            f"{len(rows)}; call {setter}(graph, values, {name!r})"
        )
    try:
        column = np.array(values)
        if np.issubdtype(field.dtype, np.integer) and column.dtype.kind not in "iu":
            raise TypeError(f"not integers but {column.dtype}")
        if column.dtype.kind == "O":
            # float() takes the real part of NumPy's complex numbers.
            column = np.array([_real(value) for value in values])
        if column.dtype.kind not in "biufU":
            raise TypeError(f"not real numbers but {column.dtype}")
        if field.name == "edge_weight":
            numbers = column.astype(np.float64) if column.dtype.kind == "U" else column
            return to_float32(name, numbers)
        with np.errstate(over="ignore"):  # Values become infinite, and validate refuses them.
            return column.astype(field.dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the attribute {name!r} of {owners} must be {field.dtype.__name__}, got for example "
            f"{values[0]!r} ({error}); convert it, or delete it from the graph"
        ) from error


def _real(value: Any) -> float:
    """Return a value as a float, unless it is complex."""
    if isinstance(value, Complex) and not isinstance(value, Real):
        raise TypeError(f"{value!r} is complex")
    return float(value)


def _names(graph: nx.Graph[Any], nodes: Sequence[dict[str, Any]]) -> list[str] | None:
    """Return the names of neurons, or None if they are 0 to N - 1 in order.

    Raises:
        ValueError: Only some nodes have a name.
    """
    named = [node["name"] for node in nodes if "name" in node]
    if named:
        if len(named) < len(nodes):
            raise ValueError(
                f"all nodes must have the attribute 'name' or none, got {len(named)} of "
                f"{len(nodes)}; call networkx.set_node_attributes(graph, names, 'name')"
            )
        return [str(name) for name in named]
    labels = list(graph.nodes)
    if not labels and "name" in graph.graph.get(EMPTY_FIELDS, ()):
        return []
    return None if labels == list(range(len(labels))) else [str(label) for label in labels]
