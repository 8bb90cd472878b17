"""Rings with random shortcuts, which combine short paths with high clustering."""

from collections.abc import Callable
from typing import Literal, Protocol, get_args

import numpy as np
from torch_geometric.data import Data

from graphs import arguments, compiled, memory
from graphs.contract import Index, build

Method = Literal["watts-strogatz", "newman-watts"]
METHODS: tuple[Method, ...] = get_args(Method)

# After this many rounds of redrawing, free targets are listed instead of guessed.
_ROUNDS = 64


def small_world(
    num_nodes: int,
    neighbors: int,
    rewire: float,
    *,
    method: Method = "watts-strogatz",
    directed: bool | None = None,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a ring of neurons with random shortcuts.

    Each of the N neurons is first connected to its k nearest neighbors on a ring, where the
    clustering coefficient is :math:`C(0) = 3 (k - 2) / (4 (k - 1))`. A fraction p of shortcuts
    makes paths short long before clustering is lost: in the undirected model of Watts and Strogatz
    [1]_ :math:`C(p) \approx C(0) (1 - p)^3` [3]_. In the undirected model of Newman and Watts [2]_
    the transitivity (three times the number of triangles over the number of connected triples) is
    :math:`3 (k - 2) / (4 (k - 1) + 4 k p (p + 2) - 2 p^2)`; the last term is absent if the number
    of shortcuts per neuron is Poisson, as in [4]_.

    A shortcut keeps its source. Its target is uniform among the neurons that are neither the source
    nor already connected to it. All shortcuts are drawn at once, and those that collide are
    redrawn. A neuron that is connected to all others gets no shortcut. Takes O(N + E) memory and
    O((N + E) log E) time.

    Args:
        num_nodes: Number of neurons N >= 0.
        neighbors: Number k of neighbors of a neuron on the ring, half of them on each side; even
            and less than N.
        rewire: Probability p of a shortcut per synapse of the ring (per pair if undirected).
        method: "watts-strogatz" replaces a synapse of the ring by its shortcut; "newman-watts" adds
            the shortcut and keeps the synapse.
        directed: Whether each synapse is rewired independently. Otherwise each pair is, and both
            directions exist. Default: directed.
        self_loops: Whether every neuron has a synapse onto itself.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E] and ``pos`` float32 [N, 2] on the unit circle. Watts-Strogatz
        has exactly E = N k synapses, Newman-Watts N k (1 + p) on average; N more with self-loops.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `neighbors` is odd or too large, `rewire` is not a probability, `method` is
            unknown, or the graph does not fit into memory.

    References:
        .. [1] D. J. Watts, S. H. Strogatz, "Collective dynamics of 'small-world' networks", Nature
           393 (1998) 440-442.
        .. [2] M. E. J. Newman, D. J. Watts, "Renormalization group analysis of the small-world
           network model", Physics Letters A 263 (1999) 341-346.
        .. [3] A. Barrat, M. Weigt, "On the properties of small-world network models", European
           Physical Journal B 13 (2000) 547-560.
        .. [4] M. E. J. Newman, "The structure and function of complex networks", SIAM Review 45
           (2003) 167-256.

    Example:
        >>> import graphs
        >>> graphs.small_world(784, 22, 0.1, seed=0).num_edges == 784 * 22
        True
        >>> graphs.small_world(5, 2, 0).edge_index.tolist()
        [[1, 4, 0, 2, 1, 3, 2, 4, 0, 3], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]
    """
    neurons = arguments.count("num_nodes", num_nodes)
    neighbors = _neighbors(neighbors, neurons)
    rewire = arguments.real("rewire", rewire, at_most=1.0)
    method = arguments.option("method", method, METHODS)
    directed = arguments.directed(directed, by_default=True)
    rng = arguments.generator(seed)
    memory.check(
        "num_nodes and neighbors",
        "pass a smaller num_nodes or neighbors",
        neurons=neurons,
        synapses=neurons * neighbors,
    )

    slots = neurons * (neighbors if directed else neighbors // 2)
    chosen = np.flatnonzero(rng.random(slots) < rewire)
    source, target = _shortcuts(neurons, neighbors, directed, chosen, method, rng)
    if not directed:
        source, target = np.concatenate((source, target)), np.concatenate((target, source))
    if arguments.flag("self_loops", self_loops):
        source, target = (np.concatenate((end, np.arange(neurons))) for end in (source, target))
    angle = 2 * np.pi * np.arange(neurons) / max(neurons, 1)
    pos = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    return build(neurons, source, target, pos=pos)


def _neighbors(neighbors: int, neurons: int) -> int:
    neighbors = arguments.count("neighbors", neighbors)
    if neighbors % 2:
        raise ValueError(
            f"neighbors must be even, half on each side, got {neighbors}; "
            f"pass neighbors={neighbors - 1}"
        )
    if neighbors > max(neurons - 1, 0):
        most = max(neurons - 1, 0) // 2 * 2
        raise ValueError(
            f"neighbors must be less than num_nodes = {neurons}, got {neighbors}; "
            f"pass neighbors={most} or num_nodes={neighbors + 1}"
        )
    return neighbors


class _Rounds(Protocol):
    """A ring, and those of its shortcuts that still need a target."""

    @property
    def waiting(self) -> int:
        """Return the number of shortcuts that need a target."""

    def place(self, ahead: Index, /) -> None:
        """Propose a target for each shortcut, that many neurons ahead of its source.

        Proposals of targets that are taken, or proposed twice, are dropped.
        """

    def ends(self) -> tuple[Index, Index]:
        """Return sources and targets [2, E], with target -1 if there is none yet, and the shortcuts
        that need a target.
        """


def _shortcuts(
    neurons: int,
    neighbors: int,
    directed: bool,
    chosen: Index,
    method: str,
    rng: np.random.Generator,
) -> Index:
    """Return the ring [2, E] with its shortcuts.

    A synapse keeps its old target until it finds a new one, as in the original algorithm, so that
    the neighbors of a saturated neuron are never stuck.
    """
    helpers = compiled.module()
    kind = _Ring if helpers is None else helpers.Shortcuts
    ring: _Rounds = kind(neurons, neighbors, directed, chosen, method == "newman-watts")
    for _ in range(_ROUNDS):
        if ring.waiting == 0:
            break
        ring.place(rng.integers(1, neurons, ring.waiting))
    ends, left = ring.ends()
    if left.size == 0:
        return ends
    ends = _last_places(ends, left, neurons, directed, rng)
    return ends[:, ends[1] >= 0]


class _Ring:
    """The same as csrc/shortcuts.cpp, vectorized over all synapses."""

    def __init__(
        self, neurons: int, neighbors: int, directed: bool, chosen: Index, added: bool
    ) -> None:
        steps = np.arange(1, neighbors // 2 + 1)
        if directed:
            steps = np.concatenate((-steps[::-1], steps))
        source = np.repeat(np.arange(neurons), len(steps))
        target = source + np.tile(steps, neurons)
        target += neurons * ((target < 0).astype(np.int64) - (target >= neurons))
        self._chosen = chosen
        if added:
            self._chosen = len(source) + np.arange(len(chosen))
            source = np.concatenate((source, source[chosen]))
            target = np.concatenate((target, np.full_like(chosen, -1)))
        self._source, self._target, self._neurons = source, target, neurons
        self._key = _key(neurons, directed)

    @property
    def waiting(self) -> int:
        return len(self._chosen)

    def place(self, ahead: Index, /) -> None:
        sender = self._source[self._chosen]
        drawn = (sender + ahead) % self._neurons
        wanted = self._key(sender, drawn)
        placed = self._target >= 0
        taken = np.sort(self._key(self._source[placed], self._target[placed]))
        free = np.zeros(len(wanted), dtype=bool)
        free[np.unique(wanted, return_index=True)[1]] = True  # the first of equals
        at = np.searchsorted(taken, wanted)
        free &= taken[np.minimum(at, len(taken) - 1)] != wanted
        self._target[self._chosen[free]] = drawn[free]
        self._chosen = self._chosen[~free]

    def ends(self) -> tuple[Index, Index]:
        return np.stack((self._source, self._target)), self._chosen


def _key(neurons: int, directed: bool) -> Callable[[Index, Index], Index]:
    """Return a function that numbers pairs of neurons, both orders alike if undirected."""
    if directed:
        return lambda source, target: source * neurons + target
    return lambda one, other: np.minimum(one, other) * neurons + np.maximum(one, other)


def _last_places(
    ends: Index, chosen: Index, neurons: int, directed: bool, rng: np.random.Generator
) -> Index:
    """Place the remaining shortcuts one by one, choosing among the free targets."""
    source, target = ends
    senders = np.unique(source[chosen])
    row = np.full(neurons, -1)
    row[senders] = np.arange(len(senders))
    # Guesses fail this often only if the source is connected to most neurons, so each of these rows
    # is hardly longer than the list of its synapses.
    taken = np.zeros((len(senders), neurons), dtype=bool)

    def mark(one: Index, other: Index, value: bool) -> None:
        for sender, receiver in ((one, other),) if directed else ((one, other), (other, one)):
            known = row[sender] >= 0
            taken[row[sender[known]], receiver[known]] = value

    mark(senders, senders, True)
    placed = target >= 0
    mark(source[placed], target[placed], True)
    for synapse in chosen:
        sender, old = source[synapse, None], target[synapse, None].copy()
        free = np.flatnonzero(~taken[row[sender[0]]])
        if free.size == 0:
            continue
        target[synapse] = free[rng.integers(free.size)]
        mark(sender, target[synapse, None], True)
        if old[0] >= 0:
            mark(sender, old, False)
    return ends
