"""Attributes of nodes and edges in graphs of other programs, by their role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphs.io.columns import Labels, signs

if TYPE_CHECKING:
    import networkx as nx

Chosen = Mapping[str, str | int | None]
Rows = Sequence[dict[str, Any]]

_EDGES = {"weight": "weight", "type": "edge_type", "sign": "edge_sign", "transmitter": "edge_sign"}
_AXES = ("x", "y", "z")
_NODES = {
    "name": "name",
    "type": "node_type",
    "sign": "node_sign",
    "transmitter": "node_sign",
    **{axis: f"pos_{axis}" for axis in _AXES},
}


def select(
    graph: nx.Graph[Any],
    columns: Chosen | None,
    neuron_columns: Chosen | None,
    transmitter_signs: Mapping[str, float] | None,
) -> nx.Graph[Any]:
    """Return a graph whose chosen attributes have the names of fields in NetworkX.

    Args:
        graph: The graph, which is not changed.
        columns: The attribute of edges for some roles, or None to leave a role out.
        neuron_columns: The attribute of nodes for some roles.
        transmitter_signs: The signs of further transmitters.

    Raises:
        ValueError: A role is unknown, or no node or edge has the attribute.
    """
    if not columns and not neuron_columns:
        return graph
    graph = graph.copy()
    edges = [row for *_, row in graph.edges(data=True)]
    nodes = [row for _, row in graph.nodes(data=True)]
    _rename(edges, _EDGES, columns or {}, "columns", "edges", transmitter_signs)
    _rename(nodes, _NODES, neuron_columns or {}, "neuron_columns", "nodes", transmitter_signs)
    axes = [_NODES[axis] for axis in _AXES if (neuron_columns or {}).get(axis) is not None]
    for row in nodes if axes else ():
        row["pos"] = tuple(row.pop(axis) for axis in axes if axis in row)
    return graph


def _rename(
    rows: Rows,
    roles: Mapping[str, str],
    chosen: Chosen,
    option: str,
    owners: str,
    transmitter_signs: Mapping[str, float] | None,
) -> None:
    """Give the chosen attributes of all rows the names of fields."""
    known = list(dict.fromkeys(name for row in rows for name in row))
    found: dict[str, list[Any]] = {}
    for role, attribute in chosen.items():
        if role not in roles:
            raise ValueError(
                f"{option} must choose attributes for some of {', '.join(roles)}, got {role!r}; "
                f"pass {option}={{{next(iter(roles))!r}: {(known or ['name'])[0]!r}}}"
            )
        if attribute is not None and attribute not in known:
            raise ValueError(
                f"{option} must name attributes of {owners}, which are "
                f"{', '.join(map(repr, known[:20])) or 'none'}, got {attribute!r} for the {role}; "
                f"pass {option}={{{role!r}: {next(iter(known), None)!r}}}, or None for none"
            )
        if attribute is not None:
            found[role] = [row.get(str(attribute)) for row in rows]
    for role, attribute in chosen.items():
        gone = roles[role] if attribute is None else str(attribute)
        for row in rows:
            row.pop(gone, None)
    for role, values in found.items():
        given = values
        if role == "transmitter":
            labels = Labels()
            codes = labels.encode(["" if value is None else str(value) for value in values])
            given = signs(labels, codes, transmitter_signs, option).tolist()
        for row, value in zip(rows, given, strict=True):
            if value is not None:
                row[roles[role]] = value
