"""GML, the text of graph programs such as igraph and Gephi, read by NetworkX."""

from collections import Counter
from collections.abc import Mapping
from typing import BinaryIO

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import gather

# Floats no longer distinguish larger integers.
_EXACT = 2**53


def read(
    file: BinaryIO,
    max_bytes: int,
    *,
    columns: Mapping[str, str | int | None] | None = None,
    neuron_columns: Mapping[str, str | int | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Read a graph; see `graphs.load` for the options.

    Raises:
        ValueError: The file is damaged or breaks the contract.
    """
    import networkx as nx  # noqa: PLC0415

    graph = nx.read_gml(file, label="id")
    for node in graph.nodes:
        if isinstance(node, float) and not abs(node) < _EXACT:
            raise ValueError(
                f"it must have integers as ids of nodes, got {node}, a float that has lost digits; "
                'write each id as an integer, or number the nodes from 0 and write label "..." for '
                "their names"
            )
    for _, row in graph.nodes(data=True):
        # Drawings have their own coordinates.
        drawn = row.pop("graphics", None)
        if isinstance(drawn, dict):
            row.update({axis: drawn[axis] for axis in "xyz" if axis in drawn})
    for _, _, row in graph.edges(data=True):
        row.pop("graphics", None)
    labels = [row.get("label") for _, row in graph.nodes(data=True)]
    texts = [str(label) for label in labels if isinstance(label, int | str)]
    if len(set(texts)) == len(labels):
        # Some programs write labels that are integers without quotes.
        for (_, row), text in zip(graph.nodes(data=True), texts, strict=True):
            row["label"] = text
    named = all(isinstance(row.get("label"), str) for _, row in graph.nodes(data=True))
    nodes = list(graph.nodes)
    if not named or len({row["label"] for _, row in graph.nodes(data=True)}) < len(nodes):
        graph = nx.relabel_nodes(graph, {node: str(node) for node in nodes})
    else:
        graph = nx.relabel_nodes(graph, {n: row.pop("label") for n, row in graph.nodes(data=True)})
    graph.graph.clear()
    found = Counter(node=len(graph), edge=graph.number_of_edges())
    return gather(
        graph,
        {},
        found,
        duplicates,
        columns=columns,
        neuron_columns=neuron_columns,
        transmitter_signs=transmitter_signs,
    )
