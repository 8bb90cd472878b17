"""GraphML, the XML of graph programs, by way of NetworkX."""

from typing import BinaryIO

from torch_geometric.data import Data

from graphs.io.markup import decode_lists, encode_lists, flatten, gather, scan


def write(data: Data, file: BinaryIO) -> None:
    """Write a connectome that keeps the contract."""
    import networkx as nx  # noqa: PLC0415

    graph, lists = flatten(data)
    graph.graph.update(encode_lists(lists))
    # write_graphml would take lxml where it is there: the same file on every machine.
    nx.write_graphml_xml(graph, file)


def read(file: BinaryIO, max_bytes: int, *, duplicates: str = "error") -> Data:
    """Read what `write` or another program wrote, of at most `max_bytes`, which files.py checks."""
    import networkx as nx  # noqa: PLC0415

    elements = scan(file)
    graph = nx.read_graphml(file)
    lists = decode_lists(graph.graph)
    return gather(graph, lists, elements, duplicates)
