"""The triad census: the type of connection of every three neurons."""

from itertools import permutations

import numpy as np
from torch_geometric.data import Data

from graphs.contract import validate
from graphs.measures.adjacency import simple
from graphs.measures.triangles import triangles

# M-A-N labels: the numbers of mutual, asymmetric and null pairs.
TRIADS = (
    "003", "012", "102", "021D", "021U", "021C", "111D", "111U",
    "030T", "030C", "201", "120D", "120U", "120C", "210", "300",
)  # fmt: skip

# Triads with three connected pairs, as synapses among neurons 0, 1 and 2.
_CLOSED = {
    "030T": "01 02 12",
    "030C": "01 12 20",
    "120D": "10 12 02 20",
    "120U": "01 21 02 20",
    "120C": "01 12 02 20",
    "210": "01 12 21 02 20",
    "300": "01 10 12 21 02 20",
}

# Triads with two connected pairs, by whether the neuron in the middle sends, receives or both.
_SENDS, _RECEIVES, _BOTH = 0, 1, 2
_OPEN = {
    "021D": (_SENDS, _SENDS),
    "021U": (_RECEIVES, _RECEIVES),
    "021C": (_SENDS, _RECEIVES),
    "111D": (_RECEIVES, _BOTH),
    "111U": (_SENDS, _BOTH),
    "201": (_BOTH, _BOTH),
}


def triad_census(data: Data) -> dict[str, int]:
    """Count the triples of neurons of each of the sixteen types of directed triads.

    The types are named after Holland and Leinhardt [1]_: the numbers of mutual, asymmetric and null
    pairs, and a letter (down, up, cyclic, transitive) if these are ambiguous.

    Args:
        data: A connectome. Self-loops are ignored, parallel synapses count once, and weights and
            signs are not used.

    Returns:
        The number of triples of all sixteen types, in the order of [2]_. They add up to N (N - 1)
        (N - 2) / 6 and equal ``networkx.triadic_census``.

    Raises:
        TypeError: If ``data`` or one of its fields has the wrong type.
        ValueError: If ``data`` breaks the contract.

    Note:
        At most O(N + E^1.5) time. Only triangles are enumerated, while [2]_ enumerates all
        connected pairs of synapses. The number of triples with two connected pairs follows from the
        neighbors of each neuron, minus those within triangles, and the numbers with one or none
        from the degrees.

    References:
        .. [1] P. W. Holland, S. Leinhardt, "A method for detecting structure in sociometric data",
           Am. J. Sociol. 76 (1970) 492-513.
        .. [2] V. Batagelj, A. Mrvar, "A subquadratic triad census algorithm for large sparse
           networks with small maximum degree", Social Networks 23 (2001) 237-243.

    Example:
        >>> import graphs
        >>> found = graphs.triad_census(graphs.grid_local(5, 1))  # a chain of five
        >>> {kind: number for kind, number in found.items() if number}
        {'003': 1, '102': 6, '201': 3}
    """
    neurons = validate(data).num_nodes
    adjacency = simple(data)
    found = triangles(adjacency)
    out = np.diff(adjacency.indptr).astype(np.int64)
    received = np.bincount(adjacency.indices, minlength=neurons)
    sends, receives = found.neighbors - received, found.neighbors - out
    mutual = found.neighbors - sends - receives
    census = dict.fromkeys(TRIADS, 0)
    corners = dict.fromkeys(_OPEN, 0)
    for code, number in enumerate(found.types.tolist()):
        if number:
            kind, held = _TYPES[code]
            census[kind] += number
            for each in held:
                corners[each] += number
    sides = [sends, receives, mutual]
    if neurons * float(found.neighbors.max(initial=0)) ** 2 >= 2**63:
        # The number of pairs at the hubs of a large graph may overflow int64.
        sides = [each.astype(object) for each in sides]
    for kind, (one, other) in _OPEN.items():
        pairs = sides[one] @ (sides[other] - (one == other))
        census[kind] = int(pairs) // (2 if one == other else 1) - corners[kind]
    _count_pairs(census, neurons, sides)
    return census


def _count_pairs(census: dict[str, int], neurons: int, sides: list[np.ndarray]) -> None:
    """Fill in the numbers of triples with one connected pair and with none.

    Each connected pair forms a triple with each third neuron. Triples with more pairs are
    subtracted.
    """
    asymmetric, mutual = int(sides[0].sum()), int(sides[2].sum()) // 2
    for kind, pairs, letter in (("012", asymmetric, 1), ("102", mutual, 0)):
        more = sum(int(other[letter]) * number for other, number in census.items())
        census[kind] = pairs * (neurons - 2) - more
    census["003"] = neurons * (neurons - 1) * (neurons - 2) // 6 - sum(census.values())


def _types() -> dict[int, tuple[str, list[str]]]:
    """Return the triad and the open triads at its corners by code, as in ``Triangles.types``."""
    found = {}
    for kind, text in _CLOSED.items():
        for order in permutations(range(3)):
            sent = {(order[int(pair[0])], order[int(pair[1])]) for pair in text.split()}
            side = [
                ((one, other) in sent) + 2 * ((other, one) in sent)
                for one, other in ((0, 1), (1, 2), (0, 2))
            ]
            found[side[0] + 4 * side[1] + 16 * side[2]] = (
                kind,
                [_corner(sent, neuron) for neuron in range(3)],
            )
    return found


def _corner(sent: set[tuple[int, int]], neuron: int) -> str:
    has = sorted(
        _BOTH
        if {(neuron, other), (other, neuron)} <= sent
        else _SENDS
        if (neuron, other) in sent
        else _RECEIVES
        for other in range(3)
        if other != neuron
    )
    return next(kind for kind, sides in _OPEN.items() if sorted(sides) == has)


_TYPES = _types()
