"""Random graphs with given degrees."""

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import Index, build
from graphs.generators.swaps import Mask, swapped, turned, without_self_loops

# Most rounds of switches for a matching: in total, and in a row without any success.
_ROUNDS = 300
_PATIENCE = 30

# Switches tried in a round, unless more synapses than this have to be switched.
_TRIES = 1 << 16

# Rounds of swaps of all synapses after a graph was constructed.
_MIXING = 30


def configuration(
    in_degrees: Sequence[int] | Index,
    out_degrees: Sequence[int] | Index,
    *,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a random graph in which every neuron has a given in-degree and out-degree.

    In the configuration model neuron i has :math:`d^{out}_i` outgoing and :math:`d^{in}_i` incoming
    half-synapses, which are matched at random. If degrees are small compared with the number of
    synapses E, i sends to j with probability :math:`d^{out}_i d^{in}_j / E`. It is the null model
    that shows which structure of a connectome follows from its degrees alone [1]_.

    Synapses that repeat a pair, or are forbidden self-loops, are switched with random ones:
    :math:`a \to b,\ c \to d` become :math:`a \to d,\ c \to b` [2]_, which preserves all degrees. If
    more than half of all pairs are connected, the graph of the unconnected pairs is drawn instead.
    If so few graphs have these degrees that switching does not finish, a graph is constructed [3]_
    and then randomized by many swaps as in `rewire_degrees`. All graphs with these degrees are
    almost, but not exactly, equally likely [1]_.

    Whether a graph with these degrees exists is decided beforehand by the theorem of Fulkerson,
    Chen and Anstee [4]_ (of Gale and Ryser if self-loops are allowed). Takes O(N + E) memory and
    O((N + E) log E) time.

    Args:
        in_degrees: In-degree of each of the N neurons.
        out_degrees: Out-degree of each neuron: N numbers with the same sum.
        self_loops: Whether self-loops are allowed. A self-loop counts in both degrees of its
            neuron.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E].

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The degrees are not two sequences of integers >= 0 with the same length and sum,
            no graph has these degrees, or the graph does not fit into memory.

    References:
        .. [1] B. K. Fosdick, D. B. Larremore, J. Nishimura, J. Ugander, "Configuring random graph
           models with fixed degree sequences", SIAM Review 60 (2018) 315-355.
        .. [2] A. R. Rao, R. Jana, S. Bandyopadhyay, "A Markov chain Monte Carlo method for
           generating random (0, 1)-matrices with given marginals", Sankhya A 58 (1996) 225-242.
        .. [3] D. J. Kleitman, D. L. Wang, "Algorithms for constructing graphs and digraphs with
           given valences and factors", Discrete Mathematics 6 (1973) 79-88.
        .. [4] R. P. Anstee, "Properties of a class of (0, 1)-matrices covering a given matrix",
           Canadian Journal of Mathematics 34 (1982) 438-453.

    Example:
        >>> import graphs
        >>> data = graphs.configuration([1, 1, 2, 0], [2, 1, 0, 1], seed=0)
        >>> data.edge_index[1].bincount(minlength=4).tolist()
        [1, 1, 2, 0]
        >>> graphs.configuration([2, 2, 0, 0], [2, 2, 0, 0])
        Traceback (most recent call last):
            ...
        ValueError: in_degrees and out_degrees must be those of a graph, got a sum of 2 for ...
    """
    received, sent = _degrees("in_degrees", in_degrees), _degrees("out_degrees", out_degrees)
    self_loops = arguments.flag("self_loops", self_loops)
    _check(received, sent, self_loops)
    memory.check(
        "in_degrees and out_degrees",
        "pass lower degrees",
        neurons=len(received),
        synapses=int(received.sum()),
    )
    rng = arguments.generator(seed)
    neurons = len(received)
    most = max(neurons - (not self_loops), 0)
    if 2 * received.sum() <= neurons * most:
        source, target = _simple(received, sent, self_loops, rng)
    else:
        source, target = _simple(most - received, most - sent, self_loops, rng)
        free = np.ones((neurons, neurons), dtype=bool)
        free[target, source] = False
        if not self_loops:
            np.fill_diagonal(free, False)
        target, source = np.nonzero(free)
    return build(neurons, source, target)


def _degrees(name: str, value: Any) -> Index:
    wanted = f"{name} must be a sequence of integers >= 0"
    fix = f"pass {name}=data.edge_index[...].bincount(minlength=N).tolist()"
    degrees = arguments.array(wanted, value, fix)
    if degrees.ndim != 1 or (degrees.dtype.kind not in "iu" and degrees.size):
        raise TypeError(f"{wanted}, got {arguments.described(degrees)}; {fix}")
    if degrees.size and degrees.min() < 0:
        raise ValueError(f"{wanted}, got {degrees.min()}; pass {name}=[0, ...]")
    # Unsigned integers beyond int64 would become negative.
    return np.minimum(degrees, np.iinfo(np.int64).max).astype(np.int64)


def _check(received: Index, sent: Index, self_loops: bool) -> None:
    """Refuse degrees that no graph has, and name the neurons whose degrees are too large."""
    neurons = len(received)
    if len(sent) != neurons:
        raise ValueError(
            f"in_degrees and out_degrees must have the same length, got {neurons} and {len(sent)}; "
            "pass one number for each neuron"
        )
    most = max(neurons - (not self_loops), 0)
    for name, degrees in (("in_degrees", received), ("out_degrees", sent)):
        if neurons and degrees.max() > most:
            raise ValueError(
                f"{name} must be at most {most}, the number of partners, got {degrees.max()}; "
                "pass lower ones"
            )
    if received.sum() != sent.sum():
        raise ValueError(
            "in_degrees and out_degrees must have the same sum, the number of synapses, got "
            f"{received.sum()} and {sent.sum()}; pass degrees of one graph"
        )
    # Each neuron can send at most min(k, sent) synapses to the k neurons of largest in-degree, and
    # one less if it is one of them and would have to send to itself.
    order = np.lexsort((-sent, -received))
    at_least = np.cumsum(np.bincount(sent, minlength=neurons + 1)[::-1])[::-1]
    room = np.cumsum(at_least[1 : neurons + 1])
    if not self_loops:
        first, last = np.arange(neurons), sent[order]
        change = np.bincount(first[last > first], minlength=neurons + 1)
        change -= np.bincount(last[last > first], minlength=neurons + 1)
        room = room - np.cumsum(change[:neurons])
    wanted = np.cumsum(received[order])
    bad = np.flatnonzero(wanted > room)
    if bad.size:
        number = int(bad[0])
        raise ValueError(
            "in_degrees and out_degrees must be those of a graph, got a sum of "
            f"{wanted[number]} for the {number + 1} largest in-degrees, although these neurons can "
            f"receive at most {room[number]}; pass lower ones"
        )


class _Matching:
    """Synapses with fixed sources whose targets are switched in pairs."""

    def __init__(self, source: Index, target: Index, neurons: int, self_loops: bool) -> None:
        self.source, self.target = source, target
        self.neurons, self.self_loops = neurons, self_loops
        self.taken = np.sort(self._key(source, target))

    def _key(self, source: Index, target: Index) -> Index:
        return source * self.neurons + target

    def bad(self) -> Index:
        """Return the synapses that are self-loops or repeat an earlier synapse."""
        key = self._key(self.source, self.target)
        twice = self.taken[1:][np.diff(self.taken) == 0]
        at = np.searchsorted(twice, key)
        same = np.flatnonzero(np.append(twice, -1)[at] == key)
        first = np.unique(key[same], return_index=True)[1]
        later = np.delete(same, first)
        if self.self_loops:
            return later
        return np.union1d(later, np.flatnonzero(self.source == self.target))

    def switch(self, one: Index, other: Index) -> Index:
        """Exchange the targets of pairs of synapses if that makes two new synapses.

        Args:
            one: The synapses to switch; each may occur several times, and its first switch that
                fits is made.
            other: The synapse to switch with; none occurs twice, or in `one`.

        Returns:
            The synapses of `one` that were switched.
        """
        fits, left = [np.empty(0, np.int64)], np.arange(len(one))
        waits = np.ones(len(self.source), dtype=bool)
        while left.size:
            first = _first(one[left], len(self.source))
            now = left[first]
            now = now[self._free(one[now], other[now])]
            fits.append(now)
            waits[one[now]] = False
            left = left[~first & waits[one[left]]]
        tried = np.sort(np.concatenate(fits))
        one, other = one[tried], other[tried]
        # If several switches would connect the same pair, only the first is made.
        wanted = self._wanted(one, other)
        alone = np.zeros(wanted.size, dtype=bool)
        alone[np.unique(wanted, return_index=True)[1]] = True
        done = alone.reshape(2, -1).all(axis=0)
        one, other, wanted = one[done], other[done], wanted[:, done]
        changed = np.concatenate((one, other))
        old = np.sort(self._key(self.source[changed], self.target[changed]))
        # Equal keys are consecutive; each gets its own position.
        at = np.searchsorted(self.taken, old) + np.arange(len(old)) - np.searchsorted(old, old)
        kept = np.delete(self.taken, at)
        new = np.sort(wanted, axis=None)
        self.taken = np.insert(kept, np.searchsorted(kept, new), new)
        self.target[one], self.target[other] = self.target[other], self.target[one]
        return one

    def _wanted(self, one: Index, other: Index) -> Index:
        """Return the keys of the pairs that a switch would connect, [2, S]."""
        return np.stack(
            (
                self._key(self.source[one], self.target[other]),
                self._key(self.source[other], self.target[one]),
            )
        )

    def _free(self, one: Index, other: Index) -> Mask:
        """Return which switches make two new synapses."""
        wanted = self._wanted(one, other)
        at = np.minimum(np.searchsorted(self.taken, wanted), len(self.taken) - 1)
        free = (self.taken[at] != wanted).all(axis=0)
        if not self.self_loops:
            free &= self.source[one] != self.target[other]
            free &= self.source[other] != self.target[one]
        return free


def _first(values: Index, bound: int) -> Mask:
    """Return for each value, all below `bound`, whether it is the first of its equals."""
    number = np.arange(len(values))
    first = np.empty(bound, np.int64)
    # The last assignment wins, so values are written in reverse.
    first[values[::-1]] = number[::-1]
    return first[values] == number


def _simple(
    received: Index, sent: Index, self_loops: bool, rng: np.random.Generator
) -> tuple[Index, Index]:
    neurons = len(received)
    source = np.repeat(np.arange(neurons), sent)
    target = rng.permutation(np.repeat(np.arange(neurons), received))
    matching = _Matching(source, target, neurons, self_loops)
    bad = matching.bad()
    failures = 0
    for _ in range(_ROUNDS):
        if not bad.size or failures == _PATIENCE:
            break
        # The fewer synapses are left, the more often each is tried.
        tried = np.tile(bad, max(min(_TRIES, len(source)) // len(bad), 1))
        partners = rng.integers(len(source), size=len(tried))
        good = _first(partners, len(source))
        is_bad = np.zeros(len(source), dtype=bool)
        is_bad[bad] = True
        good &= ~is_bad[partners]
        done = matching.switch(tried[good], partners[good])
        failures = 0 if done.size else failures + 1
        bad = np.setdiff1d(bad, done, assume_unique=True)
    if bad.size:
        return source, _mixed(*_construct(received, sent, self_loops), neurons, self_loops, rng)
    return source, matching.target


def _mixed(
    source: Index, target: Index, neurons: int, self_loops: bool, rng: np.random.Generator
) -> Index:
    """Return the targets of a simple graph after many rounds of swaps."""

    def key(one: Index, other: Index) -> Index:
        return one * neurons + other

    def anything(a: Index, b: Index, c: Index, d: Index) -> Mask:
        return np.ones(len(a), dtype=bool)

    for _ in range(_MIXING):
        pairing = rng.permutation(len(source))
        allowed = anything if self_loops else without_self_loops
        target = target[swapped(source, target, key, allowed, pairing, rng)]
        if not self_loops:
            target = turned(source, target, neurons, rng)
    return target


def _construct(received: Index, sent: Index, self_loops: bool) -> tuple[Index, Index]:
    """Make a graph neuron by neuron, each sending to those with the most free in-degree, and among
    these to those with the most free out-degree.
    """
    left = sent.tolist()
    heap = [(-wants, -left[neuron], neuron) for neuron, wants in enumerate(received.tolist())]
    heapq.heapify(heap)
    source, target = [], []
    for sender, number in enumerate(sent.tolist()):
        taken: list[tuple[int, int, int]] = []
        aside: list[tuple[int, int, int]] = []
        while len(taken) < number:
            wants, sends, receiver = heapq.heappop(heap)
            if -sends != left[receiver]:
                heapq.heappush(heap, (wants, -left[receiver], receiver))
            elif receiver == sender and not self_loops:
                aside.append((wants, sends, receiver))
            else:
                taken.append((wants + 1, sends, receiver))
        left[sender] = 0
        source += [sender] * number
        target += [receiver for _, _, receiver in taken]
        for entry in (*taken, *aside):
            heapq.heappush(heap, entry)
    return np.array(source, dtype=np.int64), np.array(target, dtype=np.int64)
