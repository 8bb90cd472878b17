"""Connectomes that grow in space, neuron by neuron."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import Index, build_sorted
from graphs.generators.profiles import chance
from graphs.generators.proximity import Space, check_room, connect
from graphs.generators.spatial import box_sides, scattered

# Positions that are tried per neuron, and in addition for all neurons, before growth is given up.
_MOST_TRIES, _FIRST_TRIES = 100, 1_000_000
# If the first neuron expects fewer connections to all of these positions, growth is not tried.
_HOPELESS = 1e-3


def kaiser_hilgetag(
    num_nodes: int,
    alpha: float,
    beta: float = 1.0,
    extent: float | Sequence[float] = (1.0, 1.0),
    *,
    directed: bool | None = None,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a connectome that grows in space by the rule of Kaiser and Hilgetag.

    The first neuron is at the center of a box. Then positions are drawn uniformly in the box. A new
    neuron at distance d from an existing one is connected to it with probability :math:`P(d) =
    \beta e^{-\alpha d}`, and is kept only if it has a connection, until there are N neurons [1]_.
    For large :math:`\alpha` the connectome grows outwards from the center, without preferential
    attachment; for small :math:`\alpha` it fills the box at once.

    Whether two positions would be connected does not depend on what has grown before. The
    connections among many positions are therefore drawn at once, and the positions that the first
    neuron reaches along connections from earlier to later ones are kept. For M positions with P
    pairs within reach this takes O(M log M + P) time and O(M + E) memory. Connections with a
    probability below :math:`10^{-6} \beta` are left out.

    Args:
        num_nodes: Number of neurons N >= 0.
        alpha: Rate >= 0 at which the probability decays with distance.
        beta: Probability at distance 0, in (0, 1].
        extent: Side lengths of the box, 1 to 3 of them; the unit square in [1]_.
        directed: Whether the two directions of a pair are drawn independently; a neuron is kept if
            it has a synapse in either. Otherwise, as in [1]_, both synapses exist or neither.
            Default: undirected, as the model is defined.
        self_loops: Whether every neuron has a synapse onto itself (all neurons or none).
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E] and ``pos`` float32 [N, D]. Neurons are in the order of growth.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, 100 N + 1,000,000 positions do not yield N neurons,
            or the graph does not fit into memory.

    References:
        .. [1] M. Kaiser, C. C. Hilgetag, "Spatial growth of real-world networks", Physical Review E
           69 (2004) 036103.

    Example:
        >>> import graphs
        >>> data = graphs.kaiser_hilgetag(200, alpha=10, seed=0)
        >>> data.num_nodes, data.pos[0].tolist()
        (200, [0.5, 0.5])
        >>> graphs.strongly_connected(data)
        1.0
    """
    neurons = arguments.count("num_nodes", num_nodes)
    memory.check("num_nodes", "pass a smaller num_nodes", neurons=neurons)
    alpha = arguments.real("alpha", alpha)
    beta = arguments.real("beta", beta, at_most=1.0)
    if beta == 0:
        raise ValueError("beta must be > 0, or no neuron would stay, got 0.0; pass beta=1.0")
    sides = box_sides(extent)
    directed = arguments.directed(directed, by_default=False)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)

    # With alpha = 0 the length is so much larger than any box that the probability is beta.
    law = chance("exponential", 1 / max(alpha, 1e-40), beta)
    pos = np.asarray([sides], np.float32) * np.float32(0.5)
    numbers = rng.integers(2**64, size=(2, 1), dtype=np.uint64)
    limit = _MOST_TRIES * neurons + _FIRST_TRIES
    tries = min(max(1, 2 * neurons), limit)
    if neurons > 1 and limit * _mean_probability(alpha, beta, sides) < _HOPELESS:
        raise _isolated(alpha, limit, 1)
    while True:
        more = tries - len(pos)
        pos = np.concatenate((pos, scattered(more, sides, rng)))
        drawn = rng.integers(2**64, size=(2, more), dtype=np.uint64)
        numbers = np.concatenate((numbers, drawn), axis=1)
        space = Space(pos, np.ones(len(sides)), np.full(len(sides), np.inf))
        check_room("num_nodes and beta", space, law)
        edges = connect(
            space,
            law,
            directed=directed,
            self_loops=self_loops,
            sends=numbers[0],
            receives=numbers[1],
        )
        kept = _grown(edges, len(pos))[:neurons]
        if len(kept) == neurons:
            break
        if tries == limit:
            raise _isolated(alpha, tries, len(kept))
        tries = min(2 * tries, limit)
    numbered = np.full(len(pos), -1)
    numbered[kept] = np.arange(neurons)
    edges = numbered[edges]
    return build_sorted(
        neurons, np.ascontiguousarray(edges[:, (edges >= 0).all(axis=0)]), pos=pos[kept]
    )


def _mean_probability(alpha: float, beta: float, sides: Sequence[float]) -> float:
    """Return an upper bound on the mean probability of a synapse with the neuron at the center."""
    # The integrals of exp(-alpha r) over a line, a plane and a space.
    integral = (2.0, 2 * math.pi, 8 * math.pi)[len(sides) - 1]
    share = 1.0
    for side in sides:
        share /= max(alpha, 1e-40) * side
    return beta * min(1.0, integral * share)


def _isolated(alpha: float, places: int, connected: int) -> ValueError:
    return ValueError(
        f"alpha must leave neurons in reach of each other in this extent, got {alpha:g}: of "
        f"{places:,} positions only {connected:,} are connected; pass a smaller alpha, for example "
        f"alpha={alpha / 2:g}, a smaller extent or more neurons"
    )


def _grown(edges: Index, places: int) -> Index:
    """Return, in order, the positions that the first one reaches along synapses from earlier to
    later positions.
    """
    early, late = edges.min(axis=0), edges.max(axis=0)
    later = csr_array((np.ones(len(early), np.int8), (early, late)), shape=(places, places))
    reached = breadth_first_order(later, 0, directed=True, return_predecessors=False)
    return np.sort(reached).astype(np.int64)
