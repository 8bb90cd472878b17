"""Swaps of targets, many at once: the step of the null models' Markov chains."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graphs.contract import Index

Mask = NDArray[np.bool_]
# Numbers pairs of neurons: (one, other) or, without direction, {one, other}.
Key = Callable[[Index, Index], Index]
# Which of the swaps a -> d, c -> b for a -> b, c -> d a null model allows, of a, b, c, d.
Allowed = Callable[[Index, Index, Index, Index], Mask]


def swapped(
    a: Index,
    b: Index,
    key: Key,
    allowed: Allowed,
    pairing: Index,
    rng: np.random.Generator,
) -> Index:
    """Propose many swaps at once; return whose target each synapse a -> b has then.

    Neighbours in `pairing` are proposed with probability 1/2. A proposal has four keys: its two
    synapses, and the two that would be instead. It is made if it is allowed, and none of its keys
    is one of another proposal's, nor of a synapse that has no proposal. Making it leaves its keys
    what they were. So with the same draws the same proposals would be made from the graph that
    comes out, and lead back: each way between two graphs is as likely as its way back, and all
    graphs are equally likely in the long run. A refusal of only those swaps that collide with what
    is made would not be symmetric.
    """
    half = len(pairing) // 2
    chosen = rng.random(half) < 0.5
    first, second = (pairing[end : 2 * half : 2][chosen] for end in (0, 1))
    ends_of_both = a[first], b[first], a[second], b[second]
    one, other = key(a[first], b[second]), key(a[second], b[first])
    held = key(a, b)
    every = np.sort(np.concatenate((held, one, other)))
    twice = every[1:][every[1:] == every[:-1]]
    made = allowed(*ends_of_both)
    for keys in (one, other, held[first], held[second]):
        made &= ~_among(twice, keys)
    take = np.arange(len(a))
    take[first[made]], take[second[made]] = second[made], first[made]
    return take


def turned(a: Index, b: Index, neurons: int, rng: np.random.Generator) -> Index:
    """Turn cycles x -> y -> z -> x around; return the targets of the synapses a -> b then.

    Triples of neurons are drawn without a look at the synapses but for the degrees, which stay, and
    are disjoint: a cycle is turned with the same probability as it is turned back. No synapse is a
    self-loop.
    """
    degrees = [np.bincount(end, minlength=neurons) for end in (a, b)]
    nodes = np.lexsort((rng.random(neurons), *degrees))[rng.integers(3) :]
    triples = nodes[: len(nodes) // 3 * 3].reshape(-1, 3)
    triples = triples[rng.random(len(triples)) < 0.5]
    triple = np.full(neurons, -1)
    triple[triples] = np.arange(len(triples))[:, None]
    inside = np.flatnonzero((triple[a] == triple[b]) & (triple[a] >= 0))
    x, y = a[inside], b[inside]
    # Three synapses of which no two share a source, and no two a target, are a cycle.
    alone = (np.bincount(x, minlength=neurons)[x] == 1) & (
        np.bincount(y, minlength=neurons)[y] == 1
    )
    alone &= np.bincount(triple[x], minlength=1)[triple[x]] == 3
    whole = np.bincount(triple[x[alone]], minlength=len(triples))[triple[x]] == 3
    b = b.copy()
    b[inside[whole]] = (triples.sum(axis=1)[triple[x]] - x - y)[whole]
    return b


def _among(ordered: Index, values: Index) -> Mask:
    return np.append(ordered, -1)[np.searchsorted(ordered, values)] == values


def without_self_loops(a: Index, b: Index, c: Index, d: Index) -> Mask:
    """Allow swaps from which no neuron comes to send to itself."""
    return (a != d) & (c != b)
