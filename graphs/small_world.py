"""Rings with shortcuts: short paths and high clustering at once."""

from collections.abc import Callable

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build

METHODS = ("watts-strogatz", "newman-watts")

# Rounds of redrawing before free targets are listed instead of guessed.
_ROUNDS = 64


def small_world(
    num_neurons: int,
    neighbors: int,
    rewire: float,
    *,
    method: str = "watts-strogatz",
    directed: bool = True,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a ring of neurons with random shortcuts.

    Each of the N neurons starts with its k nearest on a ring, where the clustering coefficient is
    :math:`C(0) = 3 (k - 2) / (4 (k - 1))`. A share p of shortcuts makes paths short long before
    clustering is lost: in the undirected model of Watts and Strogatz [1]_
    :math:`C(p) \approx C(0) (1 - p)^3` [3]_. In the undirected model of Newman and Watts [2]_ three
    times the triangles over the connected triples is
    :math:`3 (k - 2) / (4 (k - 1) + 4 k p (p + 2) - 2 p^2)`; the last term is missing where the
    number of shortcuts of a neuron is Poisson, as in [4]_.

    Parameters
    ----------
    num_neurons : int
        Number of neurons N >= 0.
    neighbors : int
        Neighbours k of a neuron on the ring, half on each side; even, less than N.
    rewire : float
        Probability p of a shortcut per synapse of the ring (per pair if not directed).
    method : {"watts-strogatz", "newman-watts"}
        Whether a shortcut replaces its synapse of the ring, or is added to it.
    directed : bool
        Whether each synapse is rewired by itself; otherwise each pair is, and both directions are
        stored.
    self_loops : bool
        Whether each neuron also sends to itself.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E], and ``pos`` float32 [N, 2] on the unit circle. Watts-Strogatz
        has exactly E = N k synapses, Newman-Watts N k (1 + p) on average; N more with self-loops.

    Raises
    ------
    TypeError, ValueError
        If `neighbors` is odd or too large, `rewire` is no probability, an option is unknown, or an
        argument is of another type.

    Notes
    -----
    A shortcut keeps its source; its target is uniform among the neurons that are neither its
    source nor already connected with it. All shortcuts are drawn at once, and those that collide
    are drawn again. A neuron that is connected with all others gets no shortcut. O(N + E) memory,
    O((N + E) log E) time.

    References
    ----------
    .. [1] D. J. Watts, S. H. Strogatz, "Collective dynamics of 'small-world' networks", Nature 393
       (1998) 440-442.
    .. [2] M. E. J. Newman, D. J. Watts, "Renormalization group analysis of the small-world network
       model", Physics Letters A 263 (1999) 341-346.
    .. [3] A. Barrat, M. Weigt, "On the properties of small-world network models", European Physical
       Journal B 13 (2000) 547-560.
    .. [4] M. E. J. Newman, "The structure and function of complex networks", SIAM Review 45 (2003)
       167-256.

    Examples
    --------
    >>> import graphs
    >>> graphs.small_world(784, 22, 0.1, seed=0).num_edges == 784 * 22
    True
    >>> graphs.small_world(5, 2, 0).edge_index.tolist()
    [[1, 4, 0, 2, 1, 3, 2, 4, 0, 3], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]
    """
    neurons = arguments.count("num_neurons", num_neurons)
    neighbors = _neighbors(neighbors, neurons)
    rewire = arguments.real("rewire", rewire, at_most=1.0)
    method = arguments.option("method", method, METHODS)
    directed = arguments.flag("directed", directed)
    rng = arguments.generator(seed)

    steps = np.arange(1, neighbors // 2 + 1)
    if directed:
        steps = np.concatenate((-steps[::-1], steps))
    source = np.repeat(np.arange(neurons), len(steps))
    target = source + np.tile(steps, neurons)
    target += neurons * ((target < 0).astype(np.int64) - (target >= neurons))
    chosen = np.flatnonzero(rng.random(len(source)) < rewire)
    if method == "newman-watts":
        added = source[chosen]
        chosen = len(source) + np.arange(len(chosen))
        source = np.concatenate((source, added))
        target = np.concatenate((target, np.full_like(added, -1)))
    ends = _shortcuts(np.stack((source, target)), chosen, neurons, directed, rng)
    source, target = ends[:, ends[1] >= 0]

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
            f"neighbors must be less than num_neurons = {neurons}, got {neighbors}; "
            f"pass neighbors={most} or num_neurons={neighbors + 1}"
        )
    return neighbors


def _shortcuts(
    ends: Index, chosen: Index, neurons: int, directed: bool, rng: np.random.Generator
) -> Index:
    """Draw the targets of the chosen synapses anew; a target of -1 is none as yet.

    A synapse holds its old place until it finds a new one, as in the original algorithm, so that
    the neighbours of a saturated neuron come to no dead end.
    """
    source, target = ends
    key = _key(neurons, directed)
    for _ in range(_ROUNDS):
        if chosen.size == 0:
            return ends
        sender = source[chosen]
        drawn = (sender + rng.integers(1, neurons, chosen.size)) % neurons
        wanted = key(sender, drawn)
        placed = target >= 0
        taken = np.sort(key(source[placed], target[placed]))
        free = np.zeros(chosen.size, dtype=bool)
        free[np.unique(wanted, return_index=True)[1]] = True  # the first of equals
        at = np.searchsorted(taken, wanted)
        free &= taken[np.minimum(at, len(taken) - 1)] != wanted
        target[chosen[free]] = drawn[free]
        chosen = chosen[~free]
    return _last_places(ends, chosen, neurons, directed, rng)


def _key(neurons: int, directed: bool) -> Callable[[Index, Index], Index]:
    """Number pairs of neurons; without direction both orders have the same number."""
    if directed:
        return lambda source, target: source * neurons + target
    return lambda one, other: np.minimum(one, other) * neurons + np.maximum(one, other)


def _last_places(
    ends: Index, chosen: Index, neurons: int, directed: bool, rng: np.random.Generator
) -> Index:
    """Do the same one by one, choosing among the free targets where guesses rarely hit one."""
    source, target = ends
    senders = np.unique(source[chosen])
    row = np.full(neurons, -1)
    row[senders] = np.arange(len(senders))
    # Guesses fail this often only where a sender is connected with most neurons, so that these rows
    # are hardly longer than the list of its synapses.
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
