"""GEXF, the XML of Gephi, by way of NetworkX."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import check_lists, flatten, gather, scan

if TYPE_CHECKING:
    import networkx as nx

# A graph has no attributes in GEXF, but the file has a description.
_DESCRIPTION = "description"


def write(data: Data, file: BinaryIO) -> None:
    """Write a connectome that keeps the contract."""
    from networkx.readwrite.gexf import GEXFWriter  # noqa: PLC0415

    graph, lists = flatten(data)
    for _, node in graph.nodes(data=True):
        if "name" in node:
            node["label"] = node["name"]
    writer = GEXFWriter(graph)
    meta = writer.xml.find("meta")
    # Today's date would make the same connectome another file tomorrow.
    meta.attrib.clear()
    if lists:
        ElementTree.SubElement(meta, _DESCRIPTION).text = json.dumps(lists)
    writer.write(file)


def read(file: BinaryIO, max_bytes: int, *, duplicates: Duplicates = "error") -> Data:
    """Read what `write` or another program wrote, of at most `max_bytes`, which files.py checks."""
    import networkx as nx  # noqa: PLC0415

    elements = scan(file, mutual=True)
    graph = nx.read_gexf(file)
    file.seek(0)
    lists = check_lists(_described(file))
    _name_by_label(graph)
    return gather(graph, lists, elements, duplicates)


def _described(file: BinaryIO) -> dict[str, Any]:
    """What `write` put into the description; another program's is prose."""
    for _, element in ElementTree.iterparse(file):
        if element.tag.rpartition("}")[2] == _DESCRIPTION:
            try:
                found = json.loads(element.text or "")
            except ValueError:
                return {}
            return found if isinstance(found, dict) else {}
        if element.tag.rpartition("}")[2] == "meta":
            break
    return {}


def _name_by_label(graph: nx.Graph[Any]) -> None:
    """Take labels for names where some node's differs from its id, and none has a name."""
    nodes = dict(graph.nodes(data=True))
    labels = {node: row.get("label") for node, row in nodes.items()}
    if any("name" in row for row in nodes.values()) or None in labels.values():
        return
    if any(label != node for node, label in labels.items()):
        for node, row in nodes.items():
            row["name"] = labels[node]
