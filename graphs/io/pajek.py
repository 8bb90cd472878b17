"""Pajek's networks, read by NetworkX."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import BinaryIO

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import gather

_VERTICES = re.compile(r"^\s*\*vertices\s+(\d+)", re.IGNORECASE | re.MULTILINE)
# Attributes of a drawing, and the number that Pajek gives each vertex.
_DRAWN = ("id", "shape")


def read(
    file: BinaryIO,
    max_bytes: int,
    *,
    columns: Mapping[str, str | int | None] | None = None,
    neuron_columns: Mapping[str, str | int | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Read a network; see `graphs.load` for the options.

    Raises:
        ValueError: The file is damaged or breaks the contract.
    """
    import networkx as nx  # noqa: PLC0415

    text = file.read().decode("utf-8-sig")
    stated = _VERTICES.search(text)
    if stated is None:
        raise ValueError(
            "it must begin with '*Vertices N', as networks of Pajek do; use the suffix of its "
            "format, or take a whole copy"
        )
    graph = nx.parse_pajek(text.replace("\r\n", "\n"))
    if len(graph) != int(stated[1][:20]):
        raise ValueError(
            f"it states {stated[1][:20]} vertices, got {len(graph)} with different labels; give "
            "each vertex a label of its own, or take a whole copy"
        )
    graph.graph.clear()
    for _, row in graph.nodes(data=True):
        for name in _DRAWN:
            row.pop(name, None)
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
