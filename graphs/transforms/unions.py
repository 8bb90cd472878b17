"""Disjoint unions of connectomes.

All fields of the contract are kept; other fields are dropped.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, signs, validate_as, weights
from graphs.fields import Array, array, ends, population_names, type_names, types


def join(parts: Sequence[Data], *, labels: Sequence[str] | None = None) -> Data:
    """Return the disjoint union of connectomes: all neurons and synapses, and none between parts.

    Takes O(N + E) memory and O(N + E log E) time.

    Args:
        parts: At least one connectome. Neurons are numbered part by part.
        labels: A name per part. It is prepended to the names of its neurons, populations and types
            of synapses, as in "left/V1", so that those of different parts stay distinct. A part
            without populations becomes one population with that name.

    Returns:
        The union. A field that some part lacks is dropped, with these exceptions:

        - ``node_type``: populations with the same name in different parts become one. If some part
          has no names, the populations of different parts stay distinct, without names.
        - ``edge_type``: parts share no types. In a part without types each synapse is a type of its
          own, as it has a weight of its own in a layer. Types without synapses are dropped.
        - ``edge_weight``: if some part has no signs, signs are dropped and the weights are those of
          :func:`graphs.signed_weights`.
        - ``edge_sign``: present if the signs of all synapses are known, from ``edge_sign`` in some
          parts and ``node_sign`` in others.
        - ``pos`` is dropped if the numbers of coordinates differ, and ``shape`` if there is more
          than one part.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no part, a part breaks the contract, or there is not one label per
            part.

    Example:
        >>> import graphs
        >>> pair = graphs.join([graphs.layered([3, 1])] * 2, labels=["left", "right"])
        >>> pair.num_nodes, pair.num_edges
        (8, 6)
        >>> pair.node_type_names
        ['left/layer 0', 'left/layer 1', 'right/layer 0', 'right/layer 1']
    """
    parts = _parts(parts)
    labels = None if labels is None else _labels(labels, len(parts))
    sizes = np.array([part.num_nodes for part in parts])
    first = np.cumsum(sizes) - sizes
    edges = [ends(part) + start for part, start in zip(parts, first, strict=True)]
    fields = {name: joined(name, parts) for name, joined in _JOINED.items()}
    fields["names"] = _labeled([part.get("names") for part in parts], labels)
    fields["edge_type_names"] = _labeled([type_names(part) for part in parts], labels)
    fields["node_type"], fields["node_type_names"] = _joined_populations(parts, labels)
    return build(int(sizes.sum()), *np.concatenate(edges, axis=1), **fields)


def _parts(parts: Sequence[Data]) -> list[Data]:
    if isinstance(parts, Data | str | bytes) or not isinstance(parts, Sequence):
        raise TypeError(
            f"parts must be a sequence of connectomes, got {arguments.described(parts)}; "
            "pass parts=[one, other]"
        )
    if not parts:
        raise ValueError(
            "parts must have at least one connectome, got none; pass parts=[one, other]"
        )
    checked: set[int] = set()
    for number, part in enumerate(parts):
        if id(part) not in checked:  # the same object may be several parts
            validate_as(f"parts[{number}]", part)
            checked.add(id(part))
    return list(parts)


def _labels(labels: Sequence[str], parts: int) -> list[str]:
    if (
        isinstance(labels, str)
        or not isinstance(labels, Sequence)
        or not all(isinstance(each, str) for each in labels)
    ):
        raise TypeError(
            f"labels must be a sequence of str, got {arguments.described(labels)}; "
            "pass labels=['left', 'right']"
        )
    if len(labels) != parts or len(set(labels)) != parts:
        raise ValueError(
            f"labels must have a different name for each of the {parts} parts, got {list(labels)}; "
            f"pass labels={[f'part {number}' for number in range(parts)]}"
        )
    return list(labels)


def _concatenated(name: str, parts: Sequence[Data]) -> Array | None:
    """Return the values of all parts if all parts have them with the same shape."""
    values = [array(part, name) for part in parts if name in part]
    alike = len(values) == len(parts) and len({value.shape[1:] for value in values}) == 1
    return np.concatenate(values) if alike else None


def _weights(name: str, parts: Sequence[Data]) -> Array | None:
    """Return the weights of all parts, signed if the signs of some part are dropped."""
    if all(signs(part) is not None for part in parts):
        return _concatenated(name, parts)
    known = [weights(part) for part in parts if name in part]
    return np.concatenate(known) if len(known) == len(parts) else None


def _known_signs(_: str, parts: Sequence[Data]) -> Array | None:
    """Return the signs of all synapses, unless some are unknown or ``node_sign`` gives them all."""
    if all("node_sign" in part and "edge_sign" not in part for part in parts):
        return None
    known = [sign for sign in map(signs, parts) if sign is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _separate_types(name: str, parts: Sequence[Data]) -> Index | None:
    """Return types that no two parts share, if any part has types."""
    return _apart([types(part) for part in parts]) if any(name in part for part in parts) else None


def _of_a_single_part(name: str, parts: Sequence[Data]) -> Any:
    return tuple(parts[0][name]) if len(parts) == 1 and name in parts[0] else None


# How `join` makes each field; a function that returns None leaves the field out. Names and
# populations, which also depend on the labels, are made separately.
_JOINED: dict[str, Callable[[str, Sequence[Data]], Any]] = {
    "pos": _concatenated,
    "node_sign": _concatenated,
    "edge_weight": _weights,
    "edge_sign": _known_signs,
    "edge_type": _separate_types,
    "shape": _of_a_single_part,
}


def _apart(types: list[Index]) -> Index:
    counts = np.array([int(each.max(initial=-1)) + 1 for each in types])
    first = np.cumsum(counts) - counts
    return np.concatenate([each + start for each, start in zip(types, first, strict=True)])


def _joined_populations(
    parts: list[Data], labels: list[str] | None
) -> tuple[Index | None, list[str] | None]:
    typed = [
        array(part, "node_type") if "node_type" in part else np.zeros(part.num_nodes, np.int64)
        for part in parts
    ]
    if labels is not None:
        names = [
            [f"{label}/{name}" for name in population_names(part)]
            if "node_type" in part
            else [label]
            for label, part in zip(labels, parts, strict=True)
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


def _labeled(names: list[list[str] | None], labels: list[str] | None) -> list[str] | None:
    """Return the names of all parts with the labels as prefixes, or None if a part has no names."""
    known = [each for each in names if each is not None]
    if len(known) < len(names):
        return None
    prefixes = [""] * len(names) if labels is None else [f"{label}/" for label in labels]
    return [prefix + name for prefix, each in zip(prefixes, known, strict=True) for name in each]
