"""Communities: groups of neurons with more synapses within than expected by chance."""

import math
from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from torch_geometric.data import Data

from graphs import arguments, compiled
from graphs.contract import CheckedEdges, Index, checked
from graphs.measures.adjacency import single_edges
from graphs.measures.connectedness import by_size
from graphs.measures.louvain import louvain, whole
from graphs.measures.peers import directed_graph, seeded
from graphs.partitions import groups
from graphs.weights import Floats, matrix, weights

Method = Literal["louvain", "leiden"]
METHODS: tuple[Method, ...] = get_args(Method)

# At a resolution above the number of synapses every neuron is a group of its own.
_FINEST = 1e12
_MOST_TRIALS = 100_000


def modularity(
    data: Data,
    partition: ArrayLike | None = None,
    *,
    resolution: float = 1.0,
    weight: str | None = None,
) -> float:
    r"""Return the modularity of a partition of the directed graph.

    .. math:: Q = \frac{1}{E} \sum_{s, t} \left[ A_{st} -
              \gamma \frac{k^\text{out}_s k^\text{in}_t}{E} \right] \delta(c_s, c_t)

    The definition is that of Leicht and Newman [1]_. With ``weight``, :math:`A_{st}` is the weight
    of the synapses from s to t, and the degrees k and E are sums of weights.

    Args:
        data: A connectome. Self-loops are ignored, and signs are not used. Parallel synapses count
            once, or add up their weights.
        partition: The group c of each neuron, [N] integers or text. The default is ``node_type``.
        resolution: :math:`\gamma`, from 0 to 1e12. Larger values favor smaller groups.
        weight: None does not read weights. Otherwise the name of a field of weights >= 0, such as
            ``"edge_weight"``; a connectome without it has weights of 1.

    Returns:
        The modularity, at most 1. It is 0 if all neurons are in one group, and nan without
        synapses. It equals ``networkx.community.modularity(graph, groups, weight=weight)`` of the
        graph without self-loops and parallel edges, but NetworkX uses weights by default.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, ``partition`` is missing or has the wrong size,
            or ``resolution`` is out of range.

    See Also:
        :func:`graphs.communities`: finds a partition of high modularity.

    Note:
        O(N + E) time and memory.

    References:
        .. [1] E. A. Leicht, M. E. J. Newman, "Community structure in directed networks", Phys. Rev.
           Lett. 100 (2008) 118703.

    Example:
        >>> import graphs
        >>> chain = graphs.grid_local(4, 1)
        >>> round(graphs.modularity(chain, [0, 0, 1, 1]), 4)
        0.1667
    """
    seen = checked(data)
    resolution = arguments.real("resolution", resolution, at_most=_FINEST)
    group = groups(data, partition)
    values = weights(data, weight)
    if values is None:
        return _modularity(*single_edges(data, seen), group, resolution)
    apart = seen.edges[0] != seen.edges[1]
    return _weighted_modularity(seen.edges[:, apart], values[apart], group, resolution)


def _weighted_modularity(edges: Index, values: Floats, group: Index, resolution: float) -> float:
    total = float(values.sum())
    if total == 0:
        return math.nan
    outward, inward = group[edges]
    sent, received = (
        np.bincount(each, values, minlength=len(group)) / total for each in (outward, inward)
    )
    return float(values[outward == inward].sum() / total - resolution * (sent @ received))


def _modularity(edges: Index, self_loops: int, group: Index, resolution: float) -> float:
    synapses = edges.shape[1] - self_loops
    if synapses == 0:
        return math.nan
    inside, sent, received = _between(edges, group)
    share = (sent / synapses) @ (received / synapses)
    return float(inside / synapses - resolution * share)


def _between(edges: Index, group: Index) -> tuple[int, Index, Index]:
    """Count the synapses within groups, and those that each group sends and receives.

    Self-loops are not counted.
    """
    helpers = compiled.module()
    if helpers is not None:
        inside, sent, received = helpers.group_ends(*compiled.plain(*edges, group))
        return inside, sent, received
    outward, inward = group[edges[:, edges[0] != edges[1]]]
    sent, received = (
        np.bincount(each, minlength=len(group)).astype(np.int64) for each in (outward, inward)
    )
    return int(np.count_nonzero(outward == inward)), sent, received


def communities(
    data: Data,
    *,
    resolution: float = 1.0,
    trials: int = 3,
    weight: str | None = None,
    method: Method = "louvain",
    seed: int | np.random.Generator | None = 0,
) -> Index:
    """Return the partition with the highest modularity that Louvain's or Leiden's method finds.

    Louvain's method [1]_ is applied to directed modularity [2]_. It finds a local maximum. Quite
    different partitions can have nearly the same modularity. Leiden's method [3]_ also guarantees
    that each community is connected, and often finds a higher modularity.

    Args:
        data: A connectome. Self-loops are ignored, and signs are not used. Parallel synapses count
            once, or add up their weights.
        resolution: As in :func:`graphs.modularity`.
        trials: Number of runs, each of which visits the neurons in another random order. The best
            partition is returned.
        weight: None does not read weights. Otherwise the name of a field of weights >= 0, such as
            ``"edge_weight"``; a connectome without it has weights of 1.
        method: ``"louvain"``, or ``"leiden"``, which requires igraph (``pip install
            'sparsebrain[communities]'``).
        seed: Source of randomness of the orders.

    Returns:
        The group of each neuron, int64 [N]. Groups are numbered by decreasing size; groups of equal
        size are ordered by their first neurons. Each neuron without synapses is a separate group.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.
        ModuleNotFoundError: If ``method`` is ``"leiden"`` and igraph is not installed.

    Note:
        Louvain's method compares gains as whole numbers of synapses, so a seed gives the same
        partition on every machine. Weights are rounded to whole numbers, of which the sum is at
        most 2^31, unless they are such numbers already. The time is nearly linear: a third of a
        second to a second per trial for 10^6 synapses, and about fifteen times as long if
        ``graphs`` was installed without a compiler.

    References:
        .. [1] V. D. Blondel, J.-L. Guillaume, R. Lambiotte, E. Lefebvre, "Fast unfolding of
           communities in large networks", J. Stat. Mech. (2008) P10008.
        .. [2] N. Dugue, A. Perez, "Directed Louvain: maximizing modularity in directed networks",
           research report hal-01231784, Universite d'Orleans, 2015.
        .. [3] V. A. Traag, L. Waltman, N. J. van Eck, "From Louvain to Leiden: guaranteeing
           well-connected communities", Sci. Rep. 9 (2019) 5233.

    Example:
        >>> import graphs
        >>> import scipy.sparse
        >>> cliques = scipy.sparse.block_diag([[[1] * 3] * 3, [[1] * 4] * 4])
        >>> graphs.communities(graphs.from_scipy(cliques.tocsr()))
        array([1, 1, 1, 0, 0, 0, 0])
    """
    seen = checked(data)
    resolution = arguments.real("resolution", resolution, at_most=_FINEST)
    trials = arguments.count("trials", trials, at_least=1, at_most=_MOST_TRIALS)
    method = arguments.option("method", method, METHODS)
    rng = arguments.generator(seed)
    edges, values = _joined(data, seen, weights(data, weight))
    best, largest = np.arange(seen.num_nodes), -math.inf
    if not values.any():
        return best
    find = _found_by_louvain if method == "louvain" else _found_by_leiden
    for found in find(edges, values, seen.num_nodes, resolution, trials, rng):
        value = _weighted_modularity(edges, values, found, resolution)
        if value > largest:
            best, largest = found, value
    return by_size(best)


def _joined(data: Data, seen: CheckedEdges, values: Floats | None) -> tuple[Index, Floats]:
    """Return the connected pairs of different neurons [2, P] and the weight of each."""
    if values is not None:
        adjacency = matrix(data, values).tocoo()
        return np.stack((adjacency.row, adjacency.col)).astype(np.int64), adjacency.data
    edges, _ = single_edges(data, seen)
    edges = edges[:, edges[0] != edges[1]]
    return edges, np.ones(edges.shape[1])


def _found_by_louvain(
    edges: Index,
    values: Floats,
    neurons: int,
    resolution: float,
    trials: int,
    rng: np.random.Generator,
) -> Iterator[Index]:
    count = whole(values)
    edges, count = edges[:, count > 0], count[count > 0]
    for _ in range(trials):
        yield louvain(edges, count, rng.permutation(neurons), resolution)


def _found_by_leiden(
    edges: Index,
    values: Floats,
    neurons: int,
    resolution: float,
    trials: int,
    rng: np.random.Generator,
) -> Iterator[Index]:
    graph = directed_graph("communities(method='leiden')", edges, neurons)
    sent, received = (np.bincount(each, values, minlength=neurons) for each in edges)
    for _ in range(trials):
        with seeded(rng):
            # With the objective "modularity" igraph ignores the directions.
            found = graph.community_leiden(
                objective_function="CPM",
                weights=values,
                resolution=resolution / values.sum(),
                node_weights=sent,
                node_in_weights=received,
                n_iterations=-1,
            )
        yield np.asarray(found.membership, dtype=np.int64)
