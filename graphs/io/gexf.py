"""GEXF, the XML of Gephi, read and written by NetworkX."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import check_lists, flatten, gather, scan

if TYPE_CHECKING:
    import networkx as nx

# GEXF has no attributes of a graph, so they are stored in the description of the file.
_DESCRIPTION = "description"
# Namespaces with or without "www.", of any version, and of the extension for drawings.
_SPACE = re.compile(r"\{https?://(www\.)?gexf\.net/[^/]+(/viz)?/?")


def write(data: Data, file: BinaryIO) -> None:
    """Write a valid connectome."""
    from networkx.readwrite.gexf import GEXFWriter  # noqa: PLC0415

    graph, lists = flatten(data)
    for _, node in graph.nodes(data=True):
        if "name" in node:
            node["label"] = node["name"]
    writer = GEXFWriter(graph)
    meta = writer.xml.find("meta")
    # The date would make files of the same connectome differ.
    meta.attrib.clear()
    if lists:
        ElementTree.SubElement(meta, _DESCRIPTION).text = json.dumps(lists)
    writer.write(file)


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
    elements = scan(file, mutual=True)
    graph = _read(file)
    if graph.graph.get("mode") == "static":
        del graph.graph["mode"]
    file.seek(0)
    lists = check_lists(_described(file))
    _fill_weights(graph)
    return gather(
        graph,
        lists,
        elements,
        duplicates,
        columns=columns,
        neuron_columns=neuron_columns,
        transmitter_signs=transmitter_signs,
    )


def _described(file: BinaryIO) -> dict[str, Any]:
    """Return the lists in the description; that of another program is prose."""
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
    """Return the graph of a file in any version of GEXF.

    Raises:
        ValueError: The file has no graph of GEXF.
    """
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
            f"{reader.xml.getroot().tag!r:.60}; export the graph as GEXF, or use the suffix of its "
            "format"
        )
    return reader.make_graph(graph)


def _fill_weights(graph: nx.Graph[Any]) -> None:
    """Give edges without a weight the default of GEXF, 1, if others have a weight."""
    default = graph.graph.get("edge_default", {})
    rows = [row for *_, row in graph.edges(data=True)]
    if "weight" not in default and any("weight" in row for row in rows):
        for row in rows:
            row.setdefault("weight", 1.0)
