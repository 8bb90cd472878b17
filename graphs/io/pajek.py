"""Pajek's networks, read by NetworkX."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import BinaryIO

from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.markup import gather

_VERTICES = re.compile(r"^\*vertices[ \t]+(\d+)", re.IGNORECASE | re.MULTILINE)
_SYNAPSES = re.compile(r"^\*(arcs|edges|matrix)\w*", re.IGNORECASE | re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+(?=\*)", re.MULTILINE)
# Pajek writes both sections, even if one has no lines.
_EMPTY = re.compile(r"^\*(?:arcs|edges)\b.*\n\s*(?=\*|\Z)", re.IGNORECASE | re.MULTILINE)
# NetworkX takes time that grows with the square of the length, except in a matrix.
_LONGEST_LINE = 10_000
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

    # NetworkX skips a section whose name is indented.
    text = _INDENT.sub("", file.read().decode("utf-8-sig").replace("\r\n", "\n"))
    stated = _VERTICES.search(text)
    if stated is None:
        raise ValueError(
            "it must begin with '*Vertices N', as networks of Pajek do; use the suffix of its "
            "format, or take a whole copy"
        )
    text = _EMPTY.sub("", text)
    _check_sections(text)
    graph = nx.parse_pajek(text)
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


def _check_sections(text: str) -> None:
    """Refuse sections that NetworkX misreads, and lines that would take too long.

    Raises:
        ValueError: Synapses are in lists or in several sections, or a line is too long.
    """
    sections = list(_SYNAPSES.finditer(text))
    for section in sections:
        if section[0].lower() not in ("*arcs", "*edges", "*matrix"):
            raise ValueError(
                f"it must list each synapse in a line of its own, got the section "
                f"{section[0][:50]!r}; write a line 'source target weight' per synapse under *Arcs"
            )
    if len(sections) > 1:
        raise ValueError(
            f"it must have one section of synapses, got {len(sections)}, "
            f"{sections[0][0]!r} and {sections[1][0]!r}; write all synapses under one *Arcs, each "
            "edge of *Edges as two lines, one in each direction"
        )
    is_matrix = bool(sections) and sections[0][0].lower() == "*matrix"
    lines = text[: sections[0].start()] if is_matrix else text
    longest = max(map(len, lines.split("\n")))
    if longest > _LONGEST_LINE:
        raise ValueError(
            f"it must have lines of at most {_LONGEST_LINE} characters, got one of {longest}; "
            "shorten its label, or write one vertex or synapse per line"
        )
