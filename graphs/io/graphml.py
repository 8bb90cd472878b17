"""GraphML, the XML of graph programs, by way of NetworkX."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.parsers import expat

from torch_geometric.data import Data

from graphs.io.networkx import EDGE_FIELDS, GRAPH_FIELDS, NODE_FIELDS, from_networkx, to_networkx

if TYPE_CHECKING:
    import networkx as nx

_AXES = ("pos_x", "pos_y", "pos_z")
# XML has no other characters, reads a carriage return as a newline, and loses empty text.
_PLAIN = re.compile("[\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


def write(data: Data, file: BinaryIO) -> None:
    """Write a connectome that keeps the contract."""
    import networkx as nx  # noqa: PLC0415

    graph = to_networkx(data)
    for _, node in graph.nodes(data=True):
        node.update(zip(_AXES, node.pop("pos", ()), strict=False))
    lists = {name: graph.graph[name] for name in GRAPH_FIELDS if name in graph.graph}
    if not all(_PLAIN.fullmatch(name) for name in data.get("names", ())):
        lists["names"] = data["names"]
        for _, node in graph.nodes(data=True):
            del node["name"]
    graph.graph.update({name: json.dumps(value) for name, value in lists.items()})
    # write_graphml would take lxml where it is there: the same file on every machine.
    nx.write_graphml_xml(graph, file)


def read(file: BinaryIO, max_bytes: int) -> Data:
    """Read what `write` or another program wrote, of at most `max_bytes`, which files.py checks."""
    import networkx as nx  # noqa: PLC0415

    elements = _scan(file)
    file.seek(0)
    graph = nx.read_graphml(file)
    # Whatever has the id of another, or stands at an undeclared node or in a second graph.
    found = len(graph), graph.number_of_edges()
    if found != (elements["node"], elements["edge"]):
        raise ValueError(
            f"expected one graph, in which all ids differ and edges end at its nodes, got "
            f"{elements['node']} nodes and {elements['edge']} edges of which {found[0]} and "
            f"{found[1]} can be told apart"
        )
    _apply_defaults(graph)
    _gather_pos(graph)
    lists = {
        name: _decode(name, graph.graph.pop(name))
        for name in (*GRAPH_FIELDS, "names")
        if name in graph.graph
    }
    if list(graph.nodes) == [str(number) for number in range(len(graph))]:
        graph = nx.convert_node_labels_to_integers(graph)
    data = from_networkx(graph)
    return data.update(lists)


def _scan(file: BinaryIO) -> Counter[str]:
    """Count the elements of each kind in a stream, and refuse what can be told from it."""
    parser = expat.ParserCreate()
    elements: Counter[str] = Counter()

    def refuse(*_: Any) -> None:
        raise ValueError(
            "it declares a DOCTYPE, by which XML can fetch files and grow without bound; "
            "delete the declaration"
        )

    def count(name: str, _: dict[str, str]) -> None:
        kind = name.rpartition(":")[2]
        if kind in ("node", "edge"):
            elements[kind] += 1

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = count
    try:
        parser.ParseFile(file)
    except expat.ExpatError as error:
        raise ValueError(f"it is no whole XML file ({error})") from None
    return elements


def _apply_defaults(graph: nx.Graph[Any]) -> None:
    """Give nodes and edges what the file states for those that have no value of their own."""
    rows = {
        "node_default": ([row for _, row in graph.nodes(data=True)], (*NODE_FIELDS,)),
        "edge_default": ([row for *_, row in graph.edges(data=True)], (*EDGE_FIELDS,)),
    }
    for name, (owners, fields) in rows.items():
        known = {*_AXES, *(field.attribute for field in fields)}
        default = {key: each for key, each in graph.graph.pop(name, {}).items() if key in known}
        for row in owners if default else ():
            row.update({**default, **row})


def _gather_pos(graph: nx.Graph[Any]) -> None:
    for _, node in graph.nodes(data=True):
        point = tuple(node.pop(axis) for axis in _AXES if axis in node)
        if point:
            node["pos"] = point


def _decode(name: str, text: Any) -> Any:
    try:
        values = json.loads(text)
    except (TypeError, ValueError):
        values = None
    if not isinstance(values, list):
        raise ValueError(
            f"the attribute {name!r} of the graph must be a list in JSON, got {str(text)[:100]!r}"
        )
    return tuple(values) if name == "shape" else values
