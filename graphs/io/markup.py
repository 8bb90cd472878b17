"""What the XML formats share: a scan that bounds them, and fields as plain attributes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.parsers import expat

from torch_geometric.data import Data

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

# XML has no other characters, reads a carriage return as a newline, and loses empty text.
_PLAIN = re.compile("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_LISTS = (*GRAPH_FIELDS, EMPTY_FIELDS, "names")
# Of a graph: what is read otherwise, and what NetworkX puts there.
_KNOWN = {*_LISTS, "node_default", "edge_default"}
# How other programs call a node's name and place.
_DRAWN = ("name", "label", "x", "y", "z")


def flatten(data: Data) -> tuple[nx.DiGraph[int], dict[str, Any]]:
    """Return a connectome with numbers and plain text as attributes, and the lists of its graph."""
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
    graph: nx.Graph[Any], lists: dict[str, Any], found: Counter[str], duplicates: Duplicates
) -> Data:
    """Return the connectome of a parsed file, in which the scan has `found` so many elements."""
    import networkx as nx  # noqa: PLC0415

    # Whatever has the id of another, or stands at an undeclared node or in a second graph.
    told = len(graph), graph.number_of_edges()
    if told != (found["node"], found["edge"]):
        raise ValueError(
            f"expected one graph, in which all ids differ and edges end at its nodes, got "
            f"{found['node']} nodes and {found['edge']} edges of which {told[0]} and "
            f"{told[1]} can be told apart"
        )
    left_out = [f"{name!r} of the graph" for name in graph.graph if name not in _KNOWN]
    left_out += _apply_defaults(graph)
    nodes = [row for _, row in graph.nodes(data=True)]
    for node in nodes:
        point = tuple(node.pop(axis) for axis in AXES if axis in node)
        if point:
            node["pos"] = point
    _name_by_label(graph)
    _place(nodes)
    _unpack_drawing(nodes)
    for *_, row in graph.edges(data=True):
        # Every edge of a file has one, for what refers to it.
        row.pop("id", None)
    # from_networkx would check a shape of any length, and take names from the nodes.
    late = {name: lists.pop(name) for name in ("names", "shape") if name in lists}
    graph.graph.clear()
    graph.graph.update(lists)
    if list(graph.nodes) == [str(number) for number in range(len(graph))]:
        graph = nx.convert_node_labels_to_integers(graph)
    data = convert(graph, duplicates).update(late)
    # An empty list of names would be made anew from the ids.
    tell([*left_out, *unread(graph)], "rename what belongs to one, in the program that wrote it")
    return data


def _name_by_label(graph: nx.Graph[Any]) -> None:
    """Take labels for names where some node's differs from its id, and none has a name."""
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
    """Take where a program has drawn the nodes for their positions, if none has any."""
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
    # Programs that draw in a plane write a third coordinate of 0.
    flat = len(axes) == 3 and not any(point[2] for point in points)
    for row, point, drawing in zip(nodes, points, drawn, strict=True):
        row["pos"] = point[:2] if flat else point
        for axis in axes:
            del drawing[axis]


def _unpack_drawing(nodes: Iterable[dict[str, Any]]) -> None:
    """Turn what is left of each node's drawing into attributes that can be told by name."""
    for row in nodes:
        for name, value in row.pop("viz", {}).items():
            if value:
                row[f"viz:{name}"] = value


def scan(file: BinaryIO, *, mutual: bool = False) -> Counter[str]:
    """Count the elements of each kind in a stream, and refuse what can be told from it.

    Where there are `mutual` edges, each counts as two.
    """
    parser = expat.ParserCreate()
    elements: Counter[str] = Counter()

    def refuse(*_: Any) -> None:
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
        raise ValueError(f"it is no whole XML file ({error})") from None
    file.seek(0)
    return elements


def check_lists(found: dict[str, Any]) -> dict[str, Any]:
    """Return those out of what was `found` in JSON that are lists of a graph."""
    lists = {name: found[name] for name in _LISTS if name in found}
    for name, values in lists.items():
        if not isinstance(values, list):
            raise ValueError(
                f"the attribute {name!r} of the graph must be a list in JSON, got "
                f"{str(values)[:100]!r}"
            )
    if "shape" in lists:
        lists["shape"] = tuple(lists["shape"])
    return lists


def _apply_defaults(graph: nx.Graph[Any]) -> list[str]:
    """Give nodes and edges what the file states for those that have no value of their own.

    Returns the names of defaults that no field is made of.
    """
    left_out = []
    rows = {
        "node_default": ([row for _, row in graph.nodes(data=True)], NODE_FIELDS, _DRAWN),
        "edge_default": ([row for *_, row in graph.edges(data=True)], EDGE_FIELDS, ()),
    }
    for name, (owners, fields, others) in rows.items():
        known = {*AXES, *others, *(field.attribute for field in fields)}
        stated = graph.graph.pop(name, {})
        default = {key: each for key, each in stated.items() if key in known}
        kind = name.partition("_")[0]
        left_out += [f"{key!r} of {kind}s" for key in stated if key not in known]
        for row in owners if default else ():
            row.update({**default, **row})
    return left_out
