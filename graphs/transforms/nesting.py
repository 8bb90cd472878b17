"""Connectomes of connectomes.

All fields of the contract are kept; other fields are dropped.
"""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import Index, build, signs, validate_as, weights
from graphs.fields import (
    Array,
    array,
    ends,
    population_names,
    type_names,
    types,
    under_signs,
)
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
    """Return a connectome of connectomes: each neuron of `outer` is replaced by a copy of `inner`.

    Takes O(N + E) memory and O(N + E log E) time. A `connect` function is called once per synapse
    of `outer`.

    Args:
        outer: The connectome of copies. A self-loop adds synapses within its copy.
        inner: The connectome that is copied. Neuron i in the copy for neuron a of `outer` has the
            number a * inner.num_nodes + i.
        connect: How each synapse a -> b of `outer` connects the copy for a to the copy for b: a
            connection rule or a function, as in `graphs.populations`, drawn independently for each
            synapse. Default: all to all. On a self-loop of `outer` no neuron is connected with
            itself, and pairs that `inner` already connects are left out.
        spacing: Factor of the positions of `outer`, which are the origins of the copies.
        seed: Random seed or generator, for random rules.

    Returns:
        The nested connectome, with these fields:

        - ``pos``: spacing * outer.pos + inner.pos, if both have the same number of coordinates.
        - ``node_type``: that of `inner`, or of `outer` if `inner` has none. If both have one, each
          combination "outer/inner" is a type. It has names if all that have types have names.
        - ``names``: "outer/inner" if both have names, "outer/number" or "number/inner" if one has.
        - ``edge_weight`` if both have it: that of `inner` for synapses within copies, that of the
          synapse of `outer` for synapses between copies. If signs are dropped, the weights are
          those of :func:`graphs.signed_weights`.
        - ``edge_type`` if either has it: all copies share the types of `inner`, and those of
          `outer` follow. If one has none, each of its synapses is a type. ``edge_type_names`` if
          both have them.
        - ``node_sign``: that of `inner`, if it has one. Otherwise ``edge_sign``, made like the
          weights, if the signs of all synapses of both are known.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A connectome breaks the contract, the rule does not fit the size of `inner`, or
            the result does not fit into memory or into float32.

    Example:
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
    memory.check(
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
    """Return, for all synapses between copies, the synapse of `outer`, and source and target within
    their copies.
    """
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

    Synapses within copies come first, then those between copies.

    Attributes:
        outer: The connectome of copies.
        inner: The connectome that is copied.
        spacing: Factor of the positions of `outer`.
        outer_neuron: The neuron of `outer` of each neuron [N].
        inner_neuron: The neuron of `inner` of each neuron [N].
        inner_edge: The synapse of `inner` of each synapse within a copy.
        outer_edge: The synapse of `outer` of each synapse between copies.
        source: The source of each synapse between copies.
    """

    outer: Data
    inner: Data
    spacing: float
    outer_neuron: Index
    inner_neuron: Index
    inner_edge: Index
    outer_edge: Index
    source: Index

    def both_have(self, name: str) -> bool:
        return name in self.outer and name in self.inner

    def of_synapses(self, inner: Array, outer: Array) -> Array:
        """Return the values of all synapses from those of the synapses of inner and outer."""
        return np.concatenate((inner[self.inner_edge], outer[self.outer_edge]))


def _nested_pos(nesting: _Nesting) -> Array | None:
    if (
        not nesting.both_have("pos")
        or nesting.outer["pos"].shape[1] != nesting.inner["pos"].shape[1]
    ):
        return None
    centers = nesting.spacing * array(nesting.outer, "pos").astype(np.float64)
    pos = centers[nesting.outer_neuron] + array(nesting.inner, "pos")[nesting.inner_neuron]
    if not np.abs(pos).max(initial=0.0) <= np.finfo(np.float32).max:
        raise ValueError(
            "spacing must keep positions within the range of float32, got "
            f"{nesting.spacing:g}; pass a smaller spacing"
        )
    return pos


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
    inner, outer = nesting.inner, nesting.outer
    if "node_sign" in inner:
        between = under_signs(outer, nesting.outer_edge, _sign_of_sender(nesting))
        return np.concatenate((array(inner, "edge_weight")[nesting.inner_edge], between))
    if signs(inner) is None or signs(outer) is None:
        return nesting.of_synapses(weights(inner), weights(outer))
    return nesting.of_synapses(array(inner, "edge_weight"), array(outer, "edge_weight"))


def _sign_of_sender(nesting: _Nesting) -> Array:
    """Return the ``node_sign`` of the source of each synapse between copies."""
    neuron = nesting.source % int(nesting.inner.num_nodes)
    sign: Array = array(nesting.inner, "node_sign")[neuron]
    return sign


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
        within = array(nesting.inner, "edge_sign")[nesting.inner_edge]
        return np.concatenate((within, _sign_of_sender(nesting)))
    return None if within is None or between is None else nesting.of_synapses(within, between)


# How `nest` makes each field; a function that returns None leaves the field out.
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
    """Return each combination of the populations of outer and inner that have some."""
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
