"""GraphML, the XML of graph programs, by way of NetworkX."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import check_lists, flatten, gather, scan

if TYPE_CHECKING:
    import networkx as nx


def write(data: Data, file: BinaryIO) -> None:
    """Write a connectome that keeps the contract."""
    import networkx as nx  # noqa: PLC0415

    graph, lists = flatten(data)
    graph.graph.update({name: json.dumps(values) for name, values in lists.items()})
    # write_graphml would take lxml where it is there: the same file on every machine.
    nx.write_graphml_xml(graph, file)


def read(file: BinaryIO, max_bytes: int, *, duplicates: Duplicates = "error") -> Data:
    """Read what `write` or another program wrote, of at most `max_bytes`, which files.py checks."""
    elements = scan(file)
    graph = _read(file)
    lists = check_lists({name: _decode(value) for name, value in graph.graph.items()})
    return gather(graph, lists, elements, duplicates)


def _decode(value: Any) -> Any:
    """Return what a text in JSON says; other programs' attributes as they are."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


class _Types(dict[str, Any]):
    """How the text of an attribute is read by its type; text of a type unknown is left as it is."""

    def __missing__(self, name: str) -> Any:
        # Of graph-tool: vector_double, vector_string and others.
        return _vector if name.startswith("vector_") else str


def _number(text: str | float) -> float:
    # As graph-tool writes them, 0x1.8p+1. What NetworkX has read of a default, it reads again.
    return float.fromhex(text) if isinstance(text, str) and "0x" in text.lower() else float(text)


def _vector(text: str | tuple[float, ...]) -> Any:
    if isinstance(text, tuple):
        return text
    try:
        return tuple(_number(each) for each in text.split(","))
    except ValueError:
        return text


def _read(file: BinaryIO) -> nx.Graph[Any]:
    """Return the first graph of a file of any program."""
    from networkx.readwrite.graphml import GraphMLReader  # noqa: PLC0415

    reader = GraphMLReader()
    numbers = dict.fromkeys(("float", "double", "long double"), _number)
    reader.python_type = _Types({**reader.python_type, "short": int, **numbers})
    root = reader.xml = ElementTree.parse(file).getroot()
    ports = _tidy(root, f"{{{reader.NS_GRAPHML}}}")
    keys, defaults = reader.find_graphml_keys(root)
    graph = root.find(f"{{{reader.NS_GRAPHML}}}graph")
    if graph is None:
        raise ValueError(f"expected a <graph> in the root of GraphML, got the root {root.tag!r}")
    read = reader.make_graph(graph, keys, defaults)
    if ports:
        read.graph["ports"] = ports
    return read


def _tidy(root: ElementTree.Element, space: str) -> int:
    """State what GraphML lets a file leave out, drop the ports of nodes, and count these."""
    bare = not root.tag.startswith("{")
    ports = 0
    for element in root.iter():
        if bare and not element.tag.startswith("{"):
            element.tag = space + element.tag
        if element.tag == f"{space}key" and "yfiles.type" not in element.attrib:
            element.attrib.setdefault("attr.name", element.get("id", ""))
            element.attrib.setdefault("attr.type", "string")
        for port in [child for child in element if child.tag.rpartition("}")[2] == "port"]:
            element.remove(port)
            ports += 1
    return ports
