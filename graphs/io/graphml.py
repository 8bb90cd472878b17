"""GraphML, the XML of graph programs, by way of NetworkX."""

import json
from typing import Any, BinaryIO

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import check_lists, flatten, gather, scan


def write(data: Data, file: BinaryIO) -> None:
    """Write a connectome that keeps the contract."""
    import networkx as nx  # noqa: PLC0415

    graph, lists = flatten(data)
    graph.graph.update({name: json.dumps(values) for name, values in lists.items()})
    # write_graphml would take lxml where it is there: the same file on every machine.
    nx.write_graphml_xml(graph, file)


def read(file: BinaryIO, max_bytes: int, *, duplicates: Duplicates = "error") -> Data:
    """Read what `write` or another program wrote, of at most `max_bytes`, which files.py checks."""
    import networkx as nx  # noqa: PLC0415

    elements = scan(file)
    graph = nx.read_graphml(file)
    lists = check_lists({name: _decode(value) for name, value in graph.graph.items()})
    return gather(graph, lists, elements, duplicates)


def _decode(value: Any) -> Any:
    """Return what a text in JSON says; other programs' attributes as they are."""
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value
