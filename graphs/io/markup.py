"""Parts of both XML formats: a scan of untrusted files, and fields as plain attributes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.parsers import expat

from torch_geometric.data import Data

from graphs.io import attributes
from graphs.io.duplicates import Duplicates
from graphs.io.left_out import tell
from graphs.io.networkx import (
    AXES,
    EDGE_FIELDS,
    EMPTY_FIELDS,
    GRAPH_FIELDS,
    NODE_FIELDS,
    convert,
    to_networkx,
    unread,
)

if TYPE_CHECKING:
    import networkx as nx

# XML has no other characters, converts a carriage return to a newline, and loses empty text.
_PLAIN = re.compile("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_LISTS = (*GRAPH_FIELDS, EMPTY_FIELDS, "names")
# Attributes of a graph that are read elsewhere, or set by NetworkX.
_KNOWN = {*_LISTS, "node_default", "edge_default"}
# Attributes of other programs with the name and the position of a node.
_DRAWN = ("name", "label", "x", "y", "z")


def flatten(data: Data) -> tuple[nx.DiGraph[int], dict[str, Any]]:
    """Return a connectome as a graph with numbers and plain text as attributes, and its lists."""
    graph = to_networkx(data)
    for _, node in graph.nodes(data=True):
        node.update(zip(AXES, node.pop("pos", ()), strict=False))
    lists = {name: graph.graph.pop(name) for name in _LISTS if name in graph.graph}
    if not all(map(_PLAIN.fullmatch, data.get("names", ()))):
        lists["names"] = data["names"]
        for _, node in graph.nodes(data=True):
            del node["name"]
    return graph, lists


def gather(
    graph: nx.Graph[Any],
    lists: dict[str, Any],
    found: Counter[str],
    duplicates: Duplicates,
    *,
    columns: Mapping[str, str | int | None] | None = None,
    neuron_columns: Mapping[str, str | int | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
) -> Data:
    """Return the connectome of a parsed file.

    Args:
        graph: The graph of NetworkX.
        lists: The lists of the graph.
        found: The number of elements of each kind in the file.
        duplicates: Whether synapses may repeat.
        columns: The attribute of edges for some roles.
        neuron_columns: The attribute of nodes for some roles.
        transmitter_signs: The signs of transmitters.

    Raises:
        ValueError: Ids repeat, edges end at undeclared nodes, or attributes break the contract.
    """
    import networkx as nx  # noqa: PLC0415

    # They differ if ids repeat, or for undeclared nodes or a second graph.
    told = len(graph), graph.number_of_edges()
    if told != (found["node"], found["edge"]):
        raise ValueError(
            f"expected one graph, in which all ids differ and edges end at its nodes, got "
            f"{found['node']} nodes and {found['edge']} edges, but {told[0]} and {told[1]} "
            "different ones; give each an id of its own, and write one graph per file"
        )
    left_out = [f"{name!r} of the graph" for name in graph.graph if name not in _KNOWN]
    left_out += _apply_defaults(
        graph, [*(columns or {}).values(), *(neuron_columns or {}).values()]
    )
    graph = attributes.select(graph, columns, neuron_columns, transmitter_signs)
    nodes = [row for _, row in graph.nodes(data=True)]
    for node in nodes:
        point = tuple(node.pop(axis) for axis in AXES if axis in node)
        if point:
            node["pos"] = point
    _name_by_label(graph)
    _place(nodes)
    _unpack_drawing(nodes)
    for *_, row in graph.edges(data=True):
        # The id of an edge only serves references within the file.
        row.pop("id", None)
    # convert would check a shape of any length, and take names from the nodes.
    late = {name: lists.pop(name) for name in ("names", "shape") if name in lists}
    graph.graph.clear()
    graph.graph.update(lists)
    if list(graph.nodes) == [str(number) for number in range(len(graph))]:
        graph = nx.convert_node_labels_to_integers(graph)
    data = convert(graph, duplicates).update(late)
    # An empty list of names would be replaced by the ids.
    tell(
        [*left_out, *unread(graph)],
        "pass columns= for attributes of edges and neuron_columns= for attributes of nodes that "
        "belong to a field",
    )
    return data


def _name_by_label(graph: nx.Graph[Any]) -> None:
    """Use labels as names if some label differs from the id, and no node has a name."""
    nodes = list(graph.nodes(data=True))
    if any(not isinstance(row.get("label"), str) for _, row in nodes):
        for node, row in nodes:
            if row.get("label", node) in (None, node):
                row.pop("label", None)
        return
    named = any("name" in row for _, row in nodes)
    differ = any(row["label"] != node for node, row in nodes)
    for node, row in nodes:
        if not named and differ:
            row["name"] = row["label"]
        if row["label"] in (node, row.get("name")):
            del row["label"]


def _place(nodes: list[dict[str, Any]]) -> None:
    """Use the positions in a drawing if no node has another one."""
    if any("pos" in row for row in nodes):
        return
    drawn = [row.get("viz", {}).get("position", row) for row in nodes]
    axes = [axis for axis in "xyz" if all(axis in point for point in drawn)]
    try:
        points = [tuple(float(point[axis]) for axis in axes) for point in drawn]
    except (TypeError, ValueError):
        return
    if axes not in (["x", "y"], ["x", "y", "z"]):
        return
    # Programs that draw in a plane write 0 as the third coordinate.
    flat = len(axes) == 3 and not any(point[2] for point in points)
    for row, point, drawing in zip(nodes, points, drawn, strict=True):
        row["pos"] = point[:2] if flat else point
        for axis in axes:
            del drawing[axis]


def _unpack_drawing(nodes: Iterable[dict[str, Any]]) -> None:
    """Rename the remaining attributes of the drawing, so that a warning can name them."""
    for row in nodes:
        for name, value in row.pop("viz", {}).items():
            if value:
                row[f"viz:{name}"] = value


def scan(file: BinaryIO, *, mutual: bool = False) -> Counter[str]:
    """Return the number of elements of each kind.

    Args:
        file: The open file, which is rewound.
        mutual: Whether an edge may be of type "mutual", which counts as two.

    Raises:
        ValueError: The file is not complete XML, or declares a DOCTYPE.
    """
    parser = expat.ParserCreate()
    elements: Counter[str] = Counter()

    refused = []

    def refuse(*_: Any) -> None:
        refused.append("DOCTYPE")
        raise ValueError(
            "it declares a DOCTYPE, by which XML can fetch files and grow without bound; "
            "delete the declaration"
        )

    def count(name: str, attributes: dict[str, str]) -> None:
        kind = name.rpartition(":")[2]
        if kind in ("node", "edge"):
            elements[kind] += 1 + (mutual and attributes.get("type") == "mutual")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = count
    try:
        parser.ParseFile(file)
    except expat.ExpatError as error:
        raise ValueError(
            f"it is not a complete XML file ({error}); take a whole copy, or save it again with "
            "graphs.save"
        ) from None
    except (LookupError, ValueError) as error:
        if refused:
            raise
        raise ValueError(f"it is not XML in a known encoding ({error}); save it as UTF-8") from None
    file.seek(0)
    return elements


def check_lists(found: dict[str, Any]) -> dict[str, Any]:
    """Return the lists of a graph among attributes that were decoded from JSON.

    Raises:
        ValueError: One of them is not a list.
    """
    lists = {name: found[name] for name in _LISTS if name in found}
    for name, values in lists.items():
        if not isinstance(values, list):
            raise ValueError(
                f"the attribute {name!r} of the graph must be a list in JSON, got "
                f"{str(values)[:100]!r}; delete the attribute"
            )
    if "shape" in lists:
        lists["shape"] = tuple(lists["shape"])
    return lists


def _apply_defaults(graph: nx.Graph[Any], chosen: Sequence[Any]) -> list[str]:
    """Give nodes and edges without a value the default of the file.

    Returns:
        The defaults that no field holds, as texts for a warning.
    """
    left_out = []
    rows = {
        "node_default": ([row for _, row in graph.nodes(data=True)], NODE_FIELDS, _DRAWN),
        "edge_default": ([row for *_, row in graph.edges(data=True)], EDGE_FIELDS, ()),
    }
    for name, (owners, fields, others) in rows.items():
        known = {*AXES, *others, *chosen, *(field.attribute for field in fields)}
        stated = graph.graph.pop(name, {})
        default = {key: each for key, each in stated.items() if key in known}
        kind = name.partition("_")[0]
        left_out += [f"{key!r} of {kind}s" for key in stated if key not in known]
        for row in owners if default else ():
            row.update({**default, **row})
    return left_out
