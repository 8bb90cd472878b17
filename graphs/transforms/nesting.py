"""Connectomes of connectomes.

All fields of the contract are carried along; fields outside of it are left out.
"""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, signs, validate_as
from graphs.fields import Array, array, ends, population_names, type_names, types
from graphs.generators import connectors
from graphs.generators.connectors import AllToAll, Connector, Rule


def nest(
    outer: Data,
    inner: Data,
    *,
    connect: Connector | Rule | None = None,
    spacing: float = 1.0,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a connectome of connectomes: each neuron of `outer` becomes a copy of `inner`.

    Parameters
    ----------
    outer : torch_geometric.data.Data
        How the copies are connected. A self-loop adds synapses within its copy.
    inner : torch_geometric.data.Data
        What is copied. Neuron i of the copy for neuron a of `outer` has the number
        a * inner.num_nodes + i.
    connect : rule, optional
        How each synapse a -> b of `outer` connects the copy for a with that for b: a rule of
        `graphs.generators.connectors` or a function, as in `graphs.populations`, drawn anew
        for each of them.
        All to all where it is left out. On a self-loop of `outer` no neuron is connected with
        itself, and pairs that `inner` already connects are left out.
    spacing : float
        Factor of the positions of `outer`, on which copies are centred as `inner` lies around 0.
    seed : int, numpy.random.Generator or None
        Source of randomness, which some rules need.

    Returns
    -------
    torch_geometric.data.Data
        The nested connectome, with these fields:

        - ``pos``, spacing * outer.pos + inner.pos, if both have as many coordinates.
        - ``node_type``: that of `inner`, of `outer` if `inner` has none, or each combination,
          "outer/inner", if both do; with names if all that have types have them.
        - ``names``: "outer/inner" if both have some, "outer/number" or "number/inner" if one does.
        - ``edge_weight`` if both have it: synapses within copies have that of `inner`, those
          between that of their synapse of `outer`.
        - ``edge_type`` if either has it: all copies share the types of `inner`; those of `outer`
          follow. Where one has none, each of its synapses is a type. ``edge_type_names`` if both
          have them.
        - ``node_sign`` of `inner`, if it has it: a copy's neurons keep their signs, within it and
          beyond. Otherwise ``edge_sign``, like the weights, if both know the signs of their
          synapses.

    Raises
    ------
    TypeError, ValueError
        If a connectome breaks the contract, or the rule does not fit the size of `inner`.

    Notes
    -----
    O(N + E) memory, O(N + E log E) time; a function is called once for each synapse of `outer`.

    Examples
    --------
    >>> import graphs
    >>> ring = graphs.small_world(5, 2, 0.0)
    >>> column = graphs.populations({"exc": 8, "inh": 2}, {("exc", "inh"): graphs.AllToAll()})
    >>> cortex = graphs.nest(ring, column, connect=graphs.FixedTotal(3), seed=0)
    >>> cortex.num_nodes, cortex.num_edges == 5 * 16 + 10 * 3
    (50, True)
    """
    validate_as("outer", outer)
    validate_as("inner", inner)
    rule = AllToAll() if connect is None else connectors.check(connect, "connect")
    spacing = arguments.real("spacing", spacing)
    rng = arguments.generator(seed)
    size, copies = int(inner.num_nodes), int(outer.num_nodes)
    arguments.room(
        "outer and inner",
        "pass smaller connectomes",
        neurons=copies * size,
        synapses=copies * inner.num_edges,
    )
    copy, inner_edge = np.divmod(np.arange(copies * inner.num_edges), max(inner.num_edges, 1))
    inner_source, inner_target = ends(inner)[:, inner_edge] + copy * size
    sender, receiver = ends(outer)
    outer_edge, source, target = _between(sender == receiver, rule, size, rng)
    source, target = sender[outer_edge] * size + source, receiver[outer_edge] * size + target
    if (sender == receiver).any() and "edge_type" not in outer and "edge_type" not in inner:
        key, held = (
            one * copies * size + other
            for one, other in ((source, target), (inner_source, inner_target))
        )
        new = ~np.isin(key, held)
        outer_edge, source, target = outer_edge[new], source[new], target[new]
    outer_neuron, inner_neuron = np.divmod(np.arange(copies * size), max(size, 1))
    nesting = _Nesting(
        outer, inner, spacing, outer_neuron, inner_neuron, inner_edge, outer_edge, source
    )
    fields = {name: nested(nesting) for name, nested in _NESTED.items()}
    fields["node_type"], fields["node_type_names"] = _nested_populations(nesting)
    return build(
        copies * size,
        np.concatenate((inner_source, source)),
        np.concatenate((inner_target, target)),
        **fields,
    )


def _between(
    self_loops: NDArray[np.bool_], rule: Connector | Rule, size: int, rng: np.random.Generator
) -> tuple[Index, Index, Index]:
    """For each synapse of the outer connectome those that it stands for, and its position."""
    parts = [np.empty((3, 0), np.int64)]
    for same in (False, True):
        which = np.flatnonzero(self_loops == same)
        if which.size:
            source, target = connectors.connect(rule, size, size, rng, same=same, times=len(which))
            number, source = np.divmod(source, max(size, 1))
            parts.append(np.stack((which[number], source, target)))
    row, source, target = np.concatenate(parts, axis=1)
    return row, source, target


class _Nesting(NamedTuple):
    """Where the neurons and synapses of a nested connectome come from.

    Synapses within copies come first, then those between them.
    """

    outer: Data
    inner: Data
    spacing: float
    outer_neuron: Index  # of each neuron [N]
    inner_neuron: Index  # of each neuron [N]
    inner_edge: Index  # of each synapse within a copy
    outer_edge: Index  # of each synapse between copies
    source: Index  # of each synapse between copies

    def both_have(self, name: str) -> bool:
        return name in self.outer and name in self.inner

    def of_synapses(self, inner: Array, outer: Array) -> Array:
        """Values of all synapses from those of the synapses of inner and outer."""
        return np.concatenate((inner[self.inner_edge], outer[self.outer_edge]))


def _nested_pos(nesting: _Nesting) -> Array | None:
    if (
        not nesting.both_have("pos")
        or nesting.outer["pos"].shape[1] != nesting.inner["pos"].shape[1]
    ):
        return None
    centres = nesting.spacing * array(nesting.outer, "pos").astype(np.float64)
    return centres[nesting.outer_neuron] + array(nesting.inner, "pos")[nesting.inner_neuron]


def _nested_names(nesting: _Nesting) -> list[str] | None:
    if "names" not in nesting.outer and "names" not in nesting.inner:
        return None
    outer, inner = (
        list(data["names"]) if "names" in data else range(int(data.num_nodes))
        for data in (nesting.outer, nesting.inner)
    )
    return [f"{one}/{other}" for one in outer for other in inner]


def _nested_node_sign(nesting: _Nesting) -> Array | None:
    return (
        array(nesting.inner, "node_sign")[nesting.inner_neuron]
        if "node_sign" in nesting.inner
        else None
    )


def _nested_weight(nesting: _Nesting) -> Array | None:
    if not nesting.both_have("edge_weight"):
        return None
    return nesting.of_synapses(
        array(nesting.inner, "edge_weight"), array(nesting.outer, "edge_weight")
    )


def _nested_edge_type(nesting: _Nesting) -> Index | None:
    if "edge_type" not in nesting.outer and "edge_type" not in nesting.inner:
        return None
    inner = types(nesting.inner)
    return nesting.of_synapses(inner, types(nesting.outer) + int(inner.max(initial=-1)) + 1)


def _nested_edge_type_names(nesting: _Nesting) -> list[str] | None:
    inner, outer = type_names(nesting.inner), type_names(nesting.outer)
    return None if inner is None or outer is None else inner + outer


def _nested_edge_sign(nesting: _Nesting) -> Array | None:
    within, between = signs(nesting.inner), signs(nesting.outer)
    if "node_sign" in nesting.inner:
        if "edge_sign" not in nesting.inner:
            return None
        sender = array(nesting.inner, "node_sign")[nesting.source % int(nesting.inner.num_nodes)]
        return np.concatenate((array(nesting.inner, "edge_sign")[nesting.inner_edge], sender))
    return None if within is None or between is None else nesting.of_synapses(within, between)


# How `nest` makes each field of those of outer and inner; None leaves it out.
_NESTED: dict[str, Callable[[_Nesting], Any]] = {
    "pos": _nested_pos,
    "names": _nested_names,
    "node_sign": _nested_node_sign,
    "edge_weight": _nested_weight,
    "edge_type": _nested_edge_type,
    "edge_type_names": _nested_edge_type_names,
    "edge_sign": _nested_edge_sign,
}


def _nested_populations(nesting: _Nesting) -> tuple[Index | None, list[str] | None]:
    """Each combination of the populations of those of outer and inner that have some."""
    levels = ((nesting.outer, nesting.outer_neuron), (nesting.inner, nesting.inner_neuron))
    typed = [(data, neuron) for data, neuron in levels if "node_type" in data]
    if not typed:
        return None, None
    node_type = np.zeros(len(nesting.outer_neuron), np.int64)
    for data, neuron in typed:
        node_type = node_type * len(population_names(data)) + array(data, "node_type")[neuron]
    if not all("node_type_names" in data for data, _ in typed):
        return node_type, None
    names = product(*(data["node_type_names"] for data, _ in typed))
    return node_type, ["/".join(each) for each in names]
