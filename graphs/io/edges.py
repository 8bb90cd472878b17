"""Connectomes from arrays with the two ends of each synapse."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import Index, build, validate
from graphs.io.arrays import are_labels, floats, identifiers, integers, labels_fix, names_of
from graphs.io.callings import are_numbers, ordered
from graphs.io.duplicates import Duplicates, combine


def from_edges(
    source: ArrayLike,
    target: ArrayLike,
    *,
    num_nodes: int | None = None,
    names: Sequence[str] | None = None,
    edge_weight: ArrayLike | None = None,
    edge_type: ArrayLike | None = None,
    edge_sign: ArrayLike | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Return the connectome of arrays with the two ends of each synapse, in any order.

    Takes O(N + E) time and memory, and O(E log E) time without `num_nodes` and `names`.

    Args:
        source: The neuron that sends, [E]: its number in [0, N), its id or its name.
        target: The neuron that receives, [E], likewise.
        num_nodes: The number of neurons N; some may have no synapse. By default `source` and
            `target` are ids, integers >= 0 of up to 64 bits, or names: neurons are then those with
            synapses, ids in numeric and names in alphabetical order.
        names: Names or ids of the N neurons. Integers in `source` and `target` are then numbers in
            [0, N), and text refers to `names`.
        edge_weight: Weights [E].
        edge_type: Types >= 0, [E] int.
        edge_sign: Signs of -1, 0 (unknown) or +1, [E].
        duplicates: "error" refuses synapses with the same source, target and type; "sum" replaces
            them by one with the sum of their weights (1 each if there are none).

    Returns:
        A connectome whose synapses are sorted by (target, source, edge_type). Ids and names become
        ``names``, with all their digits, unless they are 0 to N - 1.

    Raises:
        TypeError: The ends are neither integers nor text, types are not integers, or weights or
            signs are not real.
        ValueError: The arrays differ in length, a value is out of range or not finite, a name is
            unknown or missing, synapses repeat without ``duplicates="sum"``, or synapses of both
            signs would be added up.

    Example:
        >>> import graphs
        >>> data = graphs.from_edges([0, 1, 0], [1, 2, 1], num_nodes=4, duplicates="sum")
        >>> data.edge_index.tolist(), data.edge_weight.tolist()
        ([[0, 1], [1, 2]], [2.0, 1.0])
        >>> graphs.from_edges([720575940596125868, 5], [5, 7]).names
        ['5', '7', '720575940596125868']
    """
    given = {"source": source, "target": target}
    known = None if names is None else names_of(names, num_nodes)
    if known is not None:
        neurons = len(known)
        ends = {name: _by_name(name, values, known) for name, values in given.items()}
    elif num_nodes is not None:
        neurons = arguments.count("num_nodes", num_nodes)
        by_name = "leave num_nodes out, and the names are numbered"
        ends = {name: integers(name, values, by_name) for name, values in given.items()}
    else:
        ends, known = _numbered(given)
        neurons = int(max(each.max(initial=-1) for each in ends.values())) + 1
    memory.check("num_nodes", "pass the number of neurons", neurons=neurons)
    _check_ends(ends, neurons)
    weight = None if edge_weight is None else floats("edge_weight", edge_weight)
    by_number = "pass numpy.unique(edge_type, return_inverse=True)[1]"
    kind = None if edge_type is None else integers("edge_type", edge_type, by_number)
    sign = None if edge_sign is None else floats("edge_sign", edge_sign)
    length = len(ends["source"])
    columns = {**ends, "edge_weight": weight, "edge_type": kind, "edge_sign": sign}
    for name, column in columns.items():
        if column is not None and len(column) != length:
            raise ValueError(
                f"{name} must have one value per synapse, as source has {length}, got "
                f"{len(column)}; pass {name} of that length"
            )
    synapses = combine(
        neurons,
        ends["source"],
        ends["target"],
        edge_weight=weight,
        edge_type=kind,
        edge_sign=sign,
        names=known,
        duplicates=duplicates,
    )
    return validate(build(neurons, **synapses, names=known))


def _numbered(given: dict[str, ArrayLike]) -> tuple[dict[str, Index], list[str] | None]:
    """Return the ends by number, and the names of neurons unless they are 0 to N - 1."""
    found = {name: identifiers(name, values) for name, values in given.items()}
    both: NDArray[np.generic]
    if any(each.dtype.kind == "U" for each in found.values()):
        both = np.concatenate([each.astype(np.str_) for each in found.values()])
        texts, codes = np.unique(both, return_inverse=True)
        order = np.array(ordered(texts.tolist()), dtype=np.int64)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        codes, names = rank[codes], texts[order].tolist()
    else:
        both = np.concatenate([each.astype(np.uint64) for each in found.values()])
        ids, codes = np.unique(both, return_inverse=True)
        names = list(map(str, ids.tolist()))
    cut = len(found["source"])
    ends = {"source": codes[:cut].astype(np.int64), "target": codes[cut:].astype(np.int64)}
    return ends, None if are_numbers(names) else names


def _by_name(name: str, values: ArrayLike, names: list[str]) -> Index:
    """Return ends by number, given as numbers or as some of the `names`."""
    found = identifiers(name, values)
    if found.dtype.kind != "U":
        return integers(name, values, "")
    index = {each: number for number, each in enumerate(names)}
    if len(index) < len(names):
        raise ValueError(
            f"names must differ, so that {name} can refer to them, got "
            f"{next(each for each in names if names.count(each) > 1)!r} twice; pass {name} as "
            "numbers"
        )
    texts = found.tolist()
    at = next((at for at, text in enumerate(texts) if text not in index), None)
    if at is not None:
        raise ValueError(
            f"{name} must hold some of the names, got {texts[at][:50]!r} at position {at}; add it "
            "to names, or pass names=None to number all that have synapses"
        )
    return np.array([index[text] for text in texts], dtype=np.int64)


def _check_ends(ends: dict[str, Index], neurons: int) -> None:
    """Refuse ends of synapses outside [0, neurons)."""
    for name, values in ends.items():
        bad = np.flatnonzero((values < 0) | (values >= neurons))
        if not bad.size:
            continue
        # A larger num_nodes would not help against a negative number, so that is reported first.
        at = bad[np.argmax(values[bad] < 0)]
        largest = max(int(each.max(initial=0)) for each in ends.values())
        fix = f"pass num_nodes={largest + 1}, or leave num_nodes out if these are ids"
        if values[at] < 0:
            fix = "leave this synapse out, or leave num_nodes out if these are ids"
        elif are_labels(largest, len(values)):
            fix = labels_fix()
        raise ValueError(
            f"{name} must hold neurons in [0, {neurons}), got {values[at]} at position {at}; {fix}"
        )
