"""Connectomes made of others: joined side by side, or nested.

All fields of the contract are carried along; fields outside of it are left out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, signs, validate
from graphs.fields import Array, array, ends, population_names, types
from graphs.generators import connectors
from graphs.generators.connectors import AllToAll, Connector, Rule


def join(parts: Sequence[Data], *, labels: Sequence[str] | None = None) -> Data:
    """Return the disjoint union of connectomes: all of their neurons and synapses, none between.

    Parameters
    ----------
    parts : sequence of torch_geometric.data.Data
        Connectomes; at least one. Neurons are numbered part by part.
    labels : sequence of str, optional
        A name for each part. It goes before the names of its neurons and populations, as in
        "left/V1", which keeps those of different parts apart; a part without populations becomes
        one of that name.

    Returns
    -------
    torch_geometric.data.Data
        The union. A field that some part lacks is left out, with these exceptions:

        - ``node_type``: populations of one name in different parts become one. Where some part
          names none, those of different parts stay apart, and have no names.
        - ``edge_type``: synapses of different parts share no type. In a part without types each
          synapse is one of its own, as each has a weight of its own in a layer.
        - ``edge_sign``: where all parts know the signs of their synapses, some by ``edge_sign`` and
          some by ``node_sign``, all synapses get theirs.
        - ``pos`` is left out if the number of coordinates differs, ``shape`` if there are more
          parts than one.

    Raises
    ------
    TypeError, ValueError
        If there is no part, a part breaks the contract, or there is not one label for each.

    Notes
    -----
    O(N + E) memory, O(N + E log E) time.

    Examples
    --------
    >>> import graphs
    >>> pair = graphs.join([graphs.layered([3, 1])] * 2, labels=["left", "right"])
    >>> pair.num_nodes, pair.num_edges
    (8, 6)
    >>> pair.node_type_names
    ['left/layer 0', 'left/layer 1', 'right/layer 0', 'right/layer 1']
    """
    parts = _parts(parts)
    tags = None if labels is None else _labels(labels, len(parts))
    sizes = np.array([part.num_nodes for part in parts])
    first = np.cumsum(sizes) - sizes
    fields: dict[str, Any] = {
        name: np.concatenate(values)
        for name in ("pos", "node_sign", "edge_weight")
        if (values := _all_have(name, parts)) and len({value.shape[1:] for value in values}) == 1
    }
    sign = [signs(part) for part in parts]
    if "node_sign" not in fields or any("edge_sign" in part for part in parts):
        known = [each for each in sign if each is not None]
        fields["edge_sign"] = np.concatenate(known) if len(known) == len(parts) else None
    if any("edge_type" in part for part in parts):
        fields["edge_type"] = _apart([types(part) for part in parts])
    fields["node_type"], fields["node_type_names"] = _joined_populations(parts, tags)
    fields["names"] = _joined_names(parts, tags)
    fields["shape"] = tuple(parts[0]["shape"]) if len(parts) == 1 and "shape" in parts[0] else None
    synapses = [ends(part) + start for part, start in zip(parts, first, strict=True)]
    return build(int(sizes.sum()), *np.concatenate(synapses, axis=1), **fields)


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
          follow. Where one has none, each of its synapses is a type.
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
    validate(outer)
    validate(inner)
    rule = AllToAll() if connect is None else connectors.check(connect, "connect")
    spacing = arguments.real("spacing", spacing)
    rng = arguments.generator(seed)
    size, copies = int(inner.num_nodes), int(outer.num_nodes)
    sender, receiver = ends(outer)
    row, source, target = _between(sender == receiver, rule, size, rng)
    source, target = sender[row] * size + source, receiver[row] * size + target
    within = ends(inner)
    copied = np.arange(len(within[0])) % max(len(within[0]), 1)
    shift = np.repeat(np.arange(copies) * size, len(copied))
    inner_source, inner_target = (np.tile(end, copies) + shift for end in within)
    if (sender == receiver).any() and "edge_type" not in outer and "edge_type" not in inner:
        key, held = (
            one * copies * size + other
            for one, other in ((source, target), (inner_source, inner_target))
        )
        new = ~np.isin(key, held)
        row, source, target = row[new], source[new], target[new]
    fields = _nested_synapses(outer, inner, row, source)
    fields.update(_nested_neurons(outer, inner, spacing))
    return build(
        copies * size,
        np.concatenate((inner_source, source)),
        np.concatenate((inner_target, target)),
        **fields,
    )


def _all_have(name: str, parts: Sequence[Data]) -> list[Array]:
    return [array(part, name) for part in parts] if all(name in part for part in parts) else []


def _apart(types: list[Index]) -> Index:
    counts = np.array([int(each.max(initial=-1)) + 1 for each in types])
    first = np.cumsum(counts) - counts
    return np.concatenate([each + start for each, start in zip(types, first, strict=True)])


def _parts(parts: Sequence[Data]) -> list[Data]:
    if isinstance(parts, Data) or not isinstance(parts, Sequence):
        raise TypeError(
            f"parts must be a sequence of connectomes, got {type(parts).__name__}; "
            "pass [one, other]"
        )
    if not parts:
        raise ValueError("parts must have at least one connectome, got none; pass [one, other]")
    for part in {id(part): part for part in parts}.values():
        validate(part)
    return list(parts)


def _labels(labels: Sequence[str], parts: int) -> list[str]:
    if (
        isinstance(labels, str)
        or not isinstance(labels, Sequence)
        or not all(isinstance(each, str) for each in labels)
    ):
        raise TypeError(f"labels must be a sequence of str, got {labels!r}; pass ['left', 'right']")
    if len(labels) != parts or len(set(labels)) != parts:
        raise ValueError(
            f"labels must have another name for each of the {parts} parts, got {list(labels)}; "
            f"pass {[f'part {number}' for number in range(parts)]}"
        )
    return list(labels)


def _joined_populations(
    parts: list[Data], tags: list[str] | None
) -> tuple[Index | None, list[str] | None]:
    typed = [
        array(part, "node_type") if "node_type" in part else np.zeros(part.num_nodes, np.int64)
        for part in parts
    ]
    if tags is not None:
        names = [
            [f"{tag}/{name}" for name in population_names(part)] if "node_type" in part else [tag]
            for tag, part in zip(tags, parts, strict=True)
        ]
    elif not all("node_type" in part for part in parts):
        return None, None
    elif not all("node_type_names" in part for part in parts):
        return _apart(typed), None
    else:
        names = [list(part["node_type_names"]) for part in parts]
    every = list(dict.fromkeys(name for each in names for name in each))
    number = {name: position for position, name in enumerate(every)}
    node_type = [
        np.array([number[name] for name in each], np.int64)[kind]
        for each, kind in zip(names, typed, strict=True)
    ]
    return np.concatenate(node_type), every


def _joined_names(parts: list[Data], tags: list[str] | None) -> list[str] | None:
    if not all("names" in part for part in parts):
        return None
    if tags is None:
        return [name for part in parts for name in part["names"]]
    return [
        f"{tag}/{name}" for tag, part in zip(tags, parts, strict=True) for name in part["names"]
    ]


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


def _nested_synapses(outer: Data, inner: Data, row: Index, source: Index) -> dict[str, Any]:
    def both(within: Array, between: Array) -> Array:
        return np.concatenate((np.tile(within, int(outer.num_nodes)), between))

    fields: dict[str, Any] = {}
    if "edge_weight" in outer and "edge_weight" in inner:
        weight = array(outer, "edge_weight")[row]
        fields["edge_weight"] = both(array(inner, "edge_weight"), weight)
    if "edge_type" in outer or "edge_type" in inner:
        own = types(inner)
        fields["edge_type"] = both(own, types(outer)[row] + int(own.max(initial=-1)) + 1)
    within, between = signs(inner), signs(outer)
    if "node_sign" in inner:
        if "edge_sign" in inner:
            sender = array(inner, "node_sign")[source % int(inner.num_nodes)]
            fields["edge_sign"] = both(array(inner, "edge_sign"), sender)
    elif within is not None and between is not None:
        fields["edge_sign"] = both(within, between[row])
    return fields


def _nested_neurons(outer: Data, inner: Data, spacing: float) -> dict[str, Any]:
    size, copies = int(inner.num_nodes), int(outer.num_nodes)
    fields: dict[str, Any] = {}
    if "pos" in outer and "pos" in inner and outer["pos"].shape[1] == inner["pos"].shape[1]:
        centres = np.repeat(spacing * array(outer, "pos").astype(np.float64), size, axis=0)
        fields["pos"] = centres + np.tile(array(inner, "pos"), (copies, 1))
    if "node_sign" in inner:
        fields["node_sign"] = np.tile(array(inner, "node_sign"), copies)
    if "names" in outer or "names" in inner:
        whole = list(outer["names"]) if "names" in outer else range(copies)
        part = list(inner["names"]) if "names" in inner else range(size)
        fields["names"] = [f"{one}/{other}" for one in whole for other in part]
    whole_type = np.repeat(array(outer, "node_type"), size) if "node_type" in outer else None
    part_type = np.tile(array(inner, "node_type"), copies) if "node_type" in inner else None
    if whole_type is None or part_type is None:
        fields["node_type"] = part_type if whole_type is None else whole_type
        typed = outer if part_type is None else inner
        if "node_type_names" in typed:
            fields["node_type_names"] = list(typed["node_type_names"])
    else:
        kinds = population_names(inner)
        fields["node_type"] = whole_type * len(kinds) + part_type
        if "node_type_names" in outer and "node_type_names" in inner:
            fields["node_type_names"] = [
                f"{one}/{other}" for one in outer["node_type_names"] for other in kinds
            ]
    return fields
