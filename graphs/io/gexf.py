"""GEXF, the XML of Gephi, by way of NetworkX."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import check_lists, flatten, gather, scan

if TYPE_CHECKING:
    import networkx as nx

# A graph has no attributes in GEXF, but the file has a description.
_DESCRIPTION = "description"
# With and without "www.", of any version, and what a picture adds.
_SPACE = re.compile(r"\{https?://(www\.)?gexf\.net/[^/]+(/viz)?/?")


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
    elements = scan(file, mutual=True)
    graph = _read(file)
    if graph.graph.get("mode") == "static":
        del graph.graph["mode"]
    file.seek(0)
    lists = check_lists(_described(file))
    _fill_weights(graph)
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


def _read(file: BinaryIO) -> nx.Graph[Any]:
    """Return the graph of a file, whichever of the names of GEXF's versions it has."""
    from networkx.readwrite.gexf import GEXFReader  # noqa: PLC0415

    reader = GEXFReader()
    reader.xml = ElementTree.parse(file)
    for element in reader.xml.iter():
        space, _, name = element.tag.rpartition("}")
        if _SPACE.fullmatch(space):
            space = reader.NS_VIZ if space.endswith("viz") else reader.NS_GEXF
            element.tag = f"{{{space}}}{name}"
    graph = reader.xml.find(f"{{{reader.NS_GEXF}}}graph")
    if graph is None:
        raise ValueError(
            f"expected a <graph> in a namespace of GEXF such as {reader.NS_GEXF}, got the root "
            f"{reader.xml.getroot().tag!r}"
        )
    return reader.make_graph(graph)


def _fill_weights(graph: nx.Graph[Any]) -> None:
    """Give edges without a weight that of 1, which GEXF means by it, if others have another."""
    default = graph.graph.get("edge_default", {})
    rows = [row for *_, row in graph.edges(data=True)]
    if "weight" not in default and any("weight" in row for row in rows):
        for row in rows:
            row.setdefault("weight", 1.0)
