"""Null models: random connectomes that preserve degrees and other properties.

The null models are Markov chains of swaps: two synapses a -> b and c -> d exchange their targets
[1]_. In the long run all graphs that the swaps reach are equally likely; `generators.swaps`
explains why this holds although many swaps are made at once. Each synapse keeps its source, and
therefore its weight, type and sign, so that Dale's law holds.

References:
    .. [1] S. Maslov, K. Sneppen, "Specificity and stability in topology of protein networks",
       Science 296 (2002) 910-913.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index
from graphs.fields import array
from graphs.generators.swaps import Allowed, Mask, swapped, turned, without_self_loops
from graphs.transforms.rewired import synapses, with_targets

# Number of length bins by default, and the fraction of synapses that should move at least.
_BINS, _FEW = 3, 0.01

# A thousand times the swaps after which even dense graphs are mixed.
_MOST_SWAPS = 100_000.0


def rewire_degrees(
    data: Data,
    *,
    swaps: float = 10.0,
    self_loops: bool = False,
    populations: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a random connectome in which every neuron keeps its in-degree and out-degree.

    Pairs of synapses exchange their targets [1]_. With self-loops, these swaps alone reach every
    graph with these degrees. Without self-loops, swaps cannot reverse some cycles of three neurons
    [3]_, so triples of neurons of equal degrees are also drawn, and reversed if they form such a
    cycle. Takes O(N + E) memory and O((N + E log E) swaps) time: some seconds for 10^6 synapses.

    Args:
        data: A connectome without parallel synapses.
        swaps: Average number of swaps proposed per synapse, at most 100,000. In a sparse graph,
            where almost all swaps are accepted, 10 move every synapse. Small or dense graphs need
            more; [2]_ finds about 100 more than adequate.
        self_loops: Whether self-loops are rewired and may arise. Otherwise existing self-loops
            stay.
        populations: Whether every pair of populations (``node_type``) also keeps its number of
            synapses, as in `rewire_populations`. Cycles are then not reversed, and fewer swaps are
            possible: pass three to ten times as many.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        The same neurons with all of their fields, and synapses with other targets. Each synapse
        keeps its source, weight, type and sign.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract or connects two neurons twice, or lacks the
            ``node_type`` that `populations` needs, or an argument is out of range.

    References:
        .. [1] S. Maslov, K. Sneppen, "Specificity and stability in topology of protein networks",
           Science 296 (2002) 910-913.
        .. [2] R. Milo, N. Kashtan, S. Itzkovitz, M. E. J. Newman, U. Alon, "On the uniform
           generation of random graphs with prescribed degree sequences", arXiv:cond-mat/0312028
           (2003).
        .. [3] A. Berger, M. Mueller-Hannemann, "Uniform sampling of digraphs with a fixed degree
           sequence", Graph-Theoretic Concepts in Computer Science (2010) 220-231.

    Example:
        >>> import graphs, torch
        >>> ring = graphs.small_world(1000, 10, 0.05, seed=0)
        >>> null = graphs.rewire_degrees(ring, seed=0)
        >>> torch.equal(null.edge_index[1].bincount(), ring.edge_index[1].bincount())
        True
        >>> graphs.clustering(ring).value > 0.5 > 0.05 > graphs.clustering(null).value
        True
    """
    self_loops = arguments.flag("self_loops", self_loops)
    rounds, rng = _rounds(swaps), arguments.generator(seed)
    sequence, source, target = synapses(data)
    kind = _populations(data, populations)
    neurons = int(data.num_nodes)
    moving = np.flatnonzero((source != target) | self_loops)
    a, b = source[moving], target[moving]

    def key(one: Index, other: Index) -> Index:
        return one * neurons + other

    def allowed(a: Index, b: Index, c: Index, d: Index) -> Mask:
        return without_self_loops(a, b, c, d) | self_loops

    for turn in range(rounds):
        pairing = rng.permutation(len(a))
        if kind is None:
            b = b[swapped(a, b, key, allowed, pairing, rng)]
        else:
            pairing = _alike(pairing, kind[(a, b)[turn % 2]])
            b = b[swapped(a, b, key, _within(kind, turn, allowed), pairing, rng)]
        if not self_loops and kind is None:
            b = turned(a, b, neurons, rng)
    target[moving] = b
    return with_targets(data, sequence, source, target)


def rewire_reciprocal(
    data: Data,
    *,
    swaps: float = 10.0,
    populations: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a random connectome that preserves degrees and the reciprocity of every neuron.

    Every neuron keeps its numbers of partners to which it is connected in both directions, to which
    it only sends, and from which it only receives [1]_. Reciprocal pairs swap partners with each
    other, and so do single synapses. [2]_ compares motifs with this model.

    As in `rewire_degrees`, cycles of three single synapses are reversed. All graphs that these
    moves reach are equally likely; if few pairs of neurons are unconnected, they do not reach all
    graphs. Takes O(N + E) memory and O((N + E log E) swaps) time.

    Args:
        data: A connectome without parallel synapses. Self-loops stay.
        swaps: Average number of swaps proposed per synapse or reciprocal pair, at most 100,000.
        populations: Whether every pair of populations (``node_type``) also keeps its number of
            synapses, as in `rewire_populations`. Cycles are then not reversed, and fewer swaps are
            possible: pass three to ten times as many.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        The same neurons with all of their fields, and synapses with other targets. Each synapse
        keeps its source, weight, type and sign.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract or connects two neurons twice, or lacks the
            ``node_type`` that `populations` needs, or an argument is out of range.

    References:
        .. [1] E. S. Roberts, A. C. C. Coolen, "Unbiased degree-preserving randomization of directed
           binary networks", Physical Review E 85 (2012) 046103.
        .. [2] R. Milo et al., "Network motifs: simple building blocks of complex networks", Science
           298 (2002) 824-827.

    Example:
        >>> import graphs
        >>> data = graphs.coordinate_random(500, (10, 10), 1.5, seed=0)
        >>> null = graphs.rewire_reciprocal(data, seed=0)
        >>> before, after = (graphs.to_scipy(each).astype(bool) for each in (data, null))
        >>> bool((before.multiply(before.T).sum(0) == after.multiply(after.T).sum(0)).all())
        True
    """
    rounds, rng = _rounds(swaps), arguments.generator(seed)
    sequence, source, target = synapses(data)
    kind = _populations(data, populations)
    neurons = int(data.num_nodes)
    single, one, other = _reciprocal(source, target, neurons)
    a, b = source[single], target[single]

    def key(one: Index, other: Index) -> Index:
        return np.minimum(one, other) * neurons + np.maximum(one, other)

    for turn in range(rounds):
        # A reciprocal pair has two synapses; either is the first one with probability 1/2.
        other_way = rng.random(len(one)) < 0.5
        one, other = np.where(other_way, other, one), np.where(other_way, one, other)
        first, second = np.append(a, source[one]), np.append(b, source[other])
        # An even number of single synapses, so that they are paired only with each other.
        alone = rng.permutation(len(a))[: len(a) // 2 * 2]
        pairs = len(a) + rng.permutation(len(one))
        allowed: Allowed = without_self_loops
        if kind is not None:
            near = kind[(first, second)[turn % 2]]
            alone, pairs = _alike(alone, near), _alike(pairs, near)
            allowed = _within(kind, turn, allowed)
        take = swapped(first, second, key, allowed, np.concatenate((alone, pairs)), rng)
        b, other = b[take[: len(a)]], other[take[len(a) :] - len(a)]
        if kind is None:
            b = turned(a, b, neurons, rng)
    target[single], target[one], target[other] = b, source[other], source[one]
    return with_targets(data, sequence, source, target)


def rewire_lengths(
    data: Data,
    tolerance: float | None = None,
    *,
    swaps: float = 10.0,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a random connectome that preserves degrees and the lengths of synapses.

    Lengths are counted in bins of width `tolerance`, starting from 0. A swap is made only if the
    two new synapses fall into the same bins as the two old ones. The number of synapses per bin is
    therefore preserved exactly, and sorted lengths change by less than `tolerance`.

    Lengths are Euclidean, even if the connectome was made on a torus. Synapses are paired
    alternately with others of nearby sources and of nearby targets, within cells of random size
    between `tolerance` and the longest length: a -> d is about as long as c -> d if a is near c.
    All graphs that these swaps, and reversals of cycles of three, reach are equally likely; a small
    `tolerance` puts some graphs out of reach. [1]_ preserves lengths in the same sense, for
    undirected graphs. Takes O(N + E) memory and O((N + E log E) swaps) time.

    Args:
        data: A connectome with ``pos``, without parallel synapses. Self-loops stay.
        tolerance: Width > 0 of a bin, in the unit of ``pos``. Default: a third of the longest
            length. Narrower bins allow fewer swaps.
        swaps: Average number of swaps proposed per synapse, at most 100,000. Most are refused, so
            that more are needed than in `rewire_degrees`: in a coordinate-random graph with ten
            synapses per neuron, 10 move 5 % of the synapses with ten bins, and 17 % with three.
            Check how many moved before relying on the result.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        The same neurons with all of their fields, and synapses with other targets. Each synapse
        keeps its source, weight, type and sign.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract, connects two neurons twice or has no ``pos``, or an
            argument is out of range.

    Warns:
        UserWarning: Fewer than one synapse in a hundred has another target afterwards.

    References:
        .. [1] R. F. Betzel, D. S. Bassett, "Specificity and robustness of long-distance connections
           in weighted, interareal connectomes", PNAS 115 (2018) E4880-E4889.

    Example:
        >>> import graphs
        >>> data = graphs.coordinate_random(500, (10, 10), 1.5, seed=0)
        >>> def bins(data):
        ...     source, target = data.edge_index
        ...     length = (data.pos[source].double() - data.pos[target].double()).norm(dim=1)
        ...     return (length / 0.3).long().bincount().tolist()
        >>> null = graphs.rewire_lengths(data, 0.3, seed=0)
        >>> bins(null) == bins(data)
        True
    """
    width = None if tolerance is None else arguments.real("tolerance", tolerance, positive=True)
    rounds, rng = _rounds(swaps), arguments.generator(seed)
    sequence, source, target = synapses(data)
    if "pos" not in data:
        raise ValueError(
            "data must have pos to keep lengths, got none; set data.pos, or pass it to "
            "graphs.rewire_degrees(data)"
        )
    neurons, pos = int(data.num_nodes), array(data, "pos").astype(np.float64)
    moving = np.flatnonzero(source != target)
    a, b = source[moving], target[moving]
    if width is None:
        longest = float(np.linalg.norm(pos[a] - pos[b], axis=1).max(initial=0.0))
        width = longest * (1 + 1e-9) / _BINS or 1.0

    def key(one: Index, other: Index) -> Index:
        return one * neurons + other

    def length(one: Index, other: Index) -> NDArray[np.float64]:
        return np.floor(np.sqrt(((pos[one] - pos[other]) ** 2).sum(axis=1)) / width)

    def allowed(a: Index, b: Index, c: Index, d: Index) -> Mask:
        ab, cd, ad, cb = length(a, b), length(c, d), length(a, d), length(c, b)
        same = (ad == ab) & (cb == cd) | (ad == cd) & (cb == ab)
        return same & without_self_loops(a, b, c, d)

    # No swap is possible between sources, or targets, further apart than twice the longest bin.
    reach = 2 * width * (length(a, b).max(initial=0) + 1)
    before = b
    for turn in range(rounds):
        cell = _cells(pos, width, reach, rng)
        pairing = _alike(rng.permutation(len(a)), cell[(a, b)[turn % 2]])
        b = b[swapped(a, b, key, _within(cell, turn, allowed), pairing, rng)]
        b = turned(a, b, neurons, rng)
    moved = np.count_nonzero(b != before)
    if rounds and moved + 1 <= _FEW * len(b):
        warnings.warn(
            f"only {moved} of {len(b)} synapses have another target; pass a larger tolerance than "
            f"{width:.3g}, or more swaps than {swaps:g}",
            stacklevel=2,
        )
    target[moving] = b
    return with_targets(data, sequence, source, target)


def _populations(data: Data, wanted: bool) -> Index | None:
    """Return the population of each neuron, or None if populations do not matter."""
    if not arguments.flag("populations", wanted):
        return None
    if "node_type" not in data:
        raise ValueError(
            "populations=True needs node_type, and data has none; set data.node_type, or pass "
            "populations=False"
        )
    return array(data, "node_type")


def _alike(pairing: Index, kind: Index) -> Index:
    """Return synapses in an order in which those of one kind follow each other."""
    return pairing[np.argsort(kind[pairing], kind="stable")]


def _within(kind: Index, turn: int, allowed: Allowed) -> Allowed:
    """Return which swaps are allowed between sources (even turns) or targets of one kind.

    A swap between targets of two kinds would change the order of `_alike`, in which the swap back
    might not be proposed, so that graphs would not be equally likely.
    """

    def also_alike(a: Index, b: Index, c: Index, d: Index) -> Mask:
        one, other = (b, d) if turn % 2 else (a, c)
        return allowed(a, b, c, d) & (kind[one] == kind[other])

    return also_alike


def _rounds(swaps: float) -> int:
    # On average half of the synapses take part in a proposal per round.
    return round(2 * arguments.real("swaps", swaps, at_most=_MOST_SWAPS))


def _cells(
    pos: NDArray[np.float64], shortest: float, longest: float, rng: np.random.Generator
) -> Index:
    """Return the cell of each neuron in a grid with a random side length and origin."""
    if len(pos) == 0:
        return np.empty(0, np.int64)
    low, extent = pos.min(axis=0), float(np.ptp(pos, axis=0).max())
    doublings = int(np.log2(max(min(longest, extent) / shortest, 1)))
    # With more than 2^20 cells along an axis their numbers could overflow.
    side = max(shortest * 2.0 ** rng.integers(doublings + 1), extent / 2**20)
    places = np.floor((pos - low) / side + rng.random(pos.shape[1])).astype(np.int64)
    cell = places[:, 0]
    for axis in places.T[1:]:
        cell = cell * (int(axis.max()) + 1) + axis
    return cell


def _reciprocal(source: Index, target: Index, neurons: int) -> tuple[Index, Index, Index]:
    """Return the single synapses and the two of each reciprocal pair; self-loops are neither."""
    forward, backward = source * neurons + target, target * neurons + source
    by_key = np.argsort(forward)
    at = np.searchsorted(forward[by_key], backward)
    answered = np.append(forward[by_key], -1)[at] == backward
    single = np.flatnonzero(~answered)
    one = np.flatnonzero(answered & (source < target))
    return single, one, by_key[at[one]]
