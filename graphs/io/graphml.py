"""GraphML, the XML of graph programs, read and written by NetworkX."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import check_lists, flatten, gather, scan

if TYPE_CHECKING:
    import networkx as nx


def write(data: Data, file: BinaryIO) -> None:
    """Write a valid connectome."""
    import networkx as nx  # noqa: PLC0415

    graph, lists = flatten(data)
    graph.graph.update({name: json.dumps(values) for name, values in lists.items()})
    # write_graphml would use lxml if it is installed, and files would differ between machines.
    nx.write_graphml_xml(graph, file)


def read(
    file: BinaryIO,
    max_bytes: int,
    *,
    columns: Mapping[str, str | int | None] | None = None,
    neuron_columns: Mapping[str, str | int | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Read a file of `write` or another program.

    Args:
        file: The open file, whose size has been checked.
        max_bytes: The largest size, which all formats receive.
        columns: The attribute of edges for some roles; see `graphs.load`.
        neuron_columns: The attribute of nodes for some roles.
        transmitter_signs: The signs of transmitters.
        duplicates: Whether synapses may repeat.

    Raises:
        ValueError: The file is damaged or breaks the contract.
    """
    elements = scan(file)
    graph = _read(file)
    lists = check_lists({name: _decode(value) for name, value in graph.graph.items()})
    return gather(
        graph,
        lists,
        elements,
        duplicates,
        columns=columns,
        neuron_columns=neuron_columns,
        transmitter_signs=transmitter_signs,
    )


def _decode(value: Any) -> Any:
    """Return the value of a text in JSON, and any other attribute unchanged."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


class _Types(dict[str, Any]):
    """The conversion of an attribute by its type; text of an unknown type stays text."""

    def __missing__(self, name: str) -> Any:
        # graph-tool has vector_double, vector_string and others.
        return _vector if name.startswith("vector_") else str


def _number(text: str | float) -> float:
    """Return a number that may be hexadecimal."""
    try:
        # graph-tool writes 0x1.8p+1. NetworkX converts defaults twice.
        return float.fromhex(str(text)) if "0x" in str(text).lower() else float(text)
    except ValueError:
        raise ValueError(
            f"an attribute that is a number by its key has the value {text!r:.60}; correct it, or "
            "take a whole copy of the file"
        ) from None


def _vector(text: str | tuple[float, ...]) -> Any:
    """Return a list of numbers as a tuple, and any other text unchanged."""
    if isinstance(text, tuple):
        return text
    try:
        return tuple(_number(each) for each in text.split(","))
    except ValueError:
        return text


def _read(file: BinaryIO) -> nx.Graph[Any]:
    """Return the first graph of a file of any program.

    Raises:
        ValueError: The file has no graph.
    """
    from networkx.readwrite.graphml import GraphMLReader  # noqa: PLC0415

    reader = GraphMLReader()
    numbers = dict.fromkeys(("float", "double", "long double"), _number)
    reader.python_type = _Types({**reader.python_type, "short": int, **numbers})
    root = reader.xml = ElementTree.parse(file).getroot()
    ports = _tidy(root, f"{{{reader.NS_GRAPHML}}}")
    keys, defaults = reader.find_graphml_keys(root)
    graph = root.find(f"{{{reader.NS_GRAPHML}}}graph")
    if graph is None:
        raise ValueError(
            f"expected a <graph> in the root of GraphML, got the root {root.tag!r:.60}; export the "
            "graph as GraphML, or use the suffix of its format"
        )
    read = reader.make_graph(graph, keys, defaults)
    if ports:
        read.graph["ports"] = ports
    return read


def _tidy(root: ElementTree.Element, space: str) -> int:
    """Add what GraphML lets a file omit, remove the ports of nodes, and return their number."""
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
