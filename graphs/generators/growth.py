"""Connectomes that grow in space, neuron by neuron."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build_sorted
from graphs.generators.profiles import chance
from graphs.generators.proximity import Space, check_room, connect
from graphs.generators.spatial import box_sides, scattered

# Places that are tried for each neuron, and for all of them, before growth is given up.
_MOST_TRIES, _FIRST_TRIES = 100, 1_000_000


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
    r"""Return a connectome grown in space by the rule of Kaiser and Hilgetag.

    The first neuron lies in the middle of a box. Then places are drawn, uniformly in the box; a
    neuron that is put at distance d from one that is already there is connected with it with
    probability :math:`P(d) = \beta e^{-\alpha d}`, and stays only if it is connected with any,
    until there are N neurons [1]_. Where :math:`\alpha` is large, connectomes grow outwards from
    the middle, without preferential attachment; where it is small they fill the box at once.

    Parameters
    ----------
    num_nodes : int
        Number of neurons N >= 0.
    alpha : float
        How fast the probability falls with distance, >= 0.
    beta : float
        Probability at distance 0, in (0, 1].
    extent : float or sequence of float
        Side lengths of the box, 1 to 3 of them; the paper's is the unit square.
    directed : bool, optional
        Whether each direction of a pair is drawn by itself, and one is enough for a neuron to stay;
        otherwise, as in the paper, both are present or none.
        Left out, the graph is undirected, as the model is defined.
    self_loops : bool
        Whether each neuron also sends to itself; never drawn, all or none.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E] and ``pos`` float32 [N, D]; neurons in the order of growth.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or of another type, or 100 N + 1,000,000 places do not bring
        N neurons.

    Notes
    -----
    Whether two places would be connected does not depend on what has grown. So all that could be
    are drawn at once for many places, and those are kept that the first neuron reaches along
    connections from earlier to later ones. O(M log M + P) time and O(M + E) memory for M places
    with P pairs in reach; connections below :math:`10^{-6} \beta` are left out.

    References
    ----------
    .. [1] M. Kaiser, C. C. Hilgetag, "Spatial growth of real-world networks", Physical Review E 69
       (2004) 036103.

    Examples
    --------
    >>> import graphs
    >>> data = graphs.kaiser_hilgetag(200, alpha=10, seed=0)
    >>> data.num_nodes, data.pos[0].tolist()
    (200, [0.5, 0.5])
    >>> graphs.strongly_connected(data)
    1.0
    """
    neurons = arguments.count("num_nodes", num_nodes)
    arguments.room("num_nodes", "pass a smaller num_nodes", neurons=neurons)
    alpha = arguments.real("alpha", alpha)
    beta = arguments.real("beta", beta, at_most=1.0)
    if beta == 0:
        raise ValueError("beta must be > 0, or no neuron would stay, got 0.0; pass beta=1.0")
    sides = box_sides(extent)
    directed = arguments.directed(directed, by_default=False)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)

    # Longer than any box by so much that the probability is beta everywhere.
    law = chance("exponential", 1 / max(alpha, 1e-40), beta)
    pos = np.asarray([sides], np.float32) * np.float32(0.5)
    numbers = rng.integers(2**64, size=(2, 1), dtype=np.uint64)
    limit = _MOST_TRIES * neurons + _FIRST_TRIES
    tries = min(max(1, 2 * neurons), limit)
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
            raise ValueError(
                f"alpha must leave neurons in reach of each other, got {alpha:g}: of {tries:,} "
                f"places only {len(kept):,} are connected; pass a smaller alpha, for example "
                f"alpha={alpha / 2:g}, or more neurons for this extent"
            )
        tries = min(2 * tries, limit)
    numbered = np.full(len(pos), -1)
    numbered[kept] = np.arange(neurons)
    edges = numbered[edges]
    return build_sorted(
        neurons, np.ascontiguousarray(edges[:, (edges >= 0).all(axis=0)]), pos=pos[kept]
    )


def _grown(edges: Index, places: int) -> Index:
    """Places that the first one reaches along synapses from earlier to later places, in order."""
    early, late = edges.min(axis=0), edges.max(axis=0)
    later = csr_array((np.ones(len(early), np.int8), (early, late)), shape=(places, places))
    reached = breadth_first_order(later, 0, directed=True, return_predecessors=False)
    return np.sort(reached).astype(np.int64)
