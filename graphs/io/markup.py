"""What the XML formats share: a scan that bounds them, and fields as plain attributes."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.parsers import expat

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.networkx import (
    AXES,
    EDGE_FIELDS,
    EMPTY_FIELDS,
    GRAPH_FIELDS,
    NODE_FIELDS,
    from_networkx,
    to_networkx,
)

if TYPE_CHECKING:
    import networkx as nx

# XML has no other characters, reads a carriage return as a newline, and loses empty text.
_PLAIN = re.compile("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_LISTS = (*GRAPH_FIELDS, EMPTY_FIELDS, "names")


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
    _apply_defaults(graph)
    for _, node in graph.nodes(data=True):
        point = tuple(node.pop(axis) for axis in AXES if axis in node)
        if point:
            node["pos"] = point
    # from_networkx would check a shape of any length, and take names from the nodes.
    late = {name: lists.pop(name) for name in ("names", "shape") if name in lists}
    graph.graph.clear()
    graph.graph.update(lists)
    if list(graph.nodes) == [str(number) for number in range(len(graph))]:
        graph = nx.convert_node_labels_to_integers(graph)
    return from_networkx(graph, duplicates=duplicates).update(late)


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


def _apply_defaults(graph: nx.Graph[Any]) -> None:
    """Give nodes and edges what the file states for those that have no value of their own."""
    rows = {
        "node_default": ([row for _, row in graph.nodes(data=True)], (*NODE_FIELDS,)),
        "edge_default": ([row for *_, row in graph.edges(data=True)], (*EDGE_FIELDS,)),
    }
    for name, (owners, fields) in rows.items():
        known = {*AXES, *(field.attribute for field in fields)}
        default = {key: each for key, each in graph.graph.pop(name, {}).items() if key in known}
        for row in owners if default else ():
            row.update({**default, **row})
