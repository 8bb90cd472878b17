"""Many simultaneous swaps of targets: one step of the Markov chains of the null models."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graphs.contract import Index

Mask = NDArray[np.bool_]
# A function that numbers pairs of neurons: (one, other) or, if undirected, {one, other}.
Key = Callable[[Index, Index], Index]
# A function of a, b, c, d: which swaps of a -> b, c -> d to a -> d, c -> b a null model allows.
Allowed = Callable[[Index, Index, Index, Index], Mask]


def swapped(
    a: Index,
    b: Index,
    key: Key,
    allowed: Allowed,
    pairing: Index,
    rng: np.random.Generator,
) -> Index:
    """Propose many swaps at once and make those that are allowed and independent.

    Neighbors in `pairing` are proposed with probability 1/2. A proposal has four keys: those of its
    two synapses, and those of the two synapses that would replace them. It is made if it is allowed
    and none of its keys is a key of another proposal or of a synapse without a proposal.

    A proposal that is made keeps its set of keys. With the same random numbers, the same proposals
    would therefore be made from the new graph and lead back to the old one. The transition matrix
    is symmetric, so in the long run all graphs are equally likely. Refusing only the swaps that
    collide with swaps already made would not be symmetric.

    Args:
        a: Source of each synapse [E].
        b: Target of each synapse [E].
        key: A function that numbers pairs of neurons.
        allowed: Which swaps the null model allows.
        pairing: Synapses in random order; each even position is paired with the next one.
        rng: Source of randomness.

    Returns:
        For each synapse the synapse whose target it has after the swaps [E].
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
    """Reverse random cycles x -> y -> z -> x.

    Disjoint triples of neurons of similar degrees are drawn without regard to the synapses. Degrees
    are preserved, so a cycle is reversed with the same probability as it is reversed back.

    Args:
        a: Source of each synapse [E]; there are no self-loops.
        b: Target of each synapse [E].
        neurons: Number of neurons.
        rng: Source of randomness.

    Returns:
        The new target of each synapse [E].
    """
    degrees = [np.bincount(end, minlength=neurons) for end in (a, b)]
    nodes = np.lexsort((rng.random(neurons), *degrees))[rng.integers(3) :]
    triples = nodes[: len(nodes) // 3 * 3].reshape(-1, 3)
    triples = triples[rng.random(len(triples)) < 0.5]
    triple = np.full(neurons, -1)
    triple[triples] = np.arange(len(triples))[:, None]
    inside = np.flatnonzero((triple[a] == triple[b]) & (triple[a] >= 0))
    x, y = a[inside], b[inside]
    # Three synapses within a triple with distinct sources and distinct targets form a cycle.
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
    """Return which swaps create no self-loop."""
    return (a != d) & (c != b)
