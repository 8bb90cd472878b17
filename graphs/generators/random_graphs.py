"""Random graphs in which all pairs of neurons are alike."""

import numpy as np
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import Index, build
from graphs.generators import bipartite, drawing
from graphs.generators.bipartite import Ends


def erdos_renyi(
    num_nodes: int,
    probability: float,
    *,
    directed: bool | None = None,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a random graph G(N, p), in which every pair is connected with the same probability.

    Each neuron sends to each other neuron with probability p, independently of all other pairs
    [1]_. The number of synapses is binomial with mean :math:`p N (N - 1)`, and degrees are binomial
    with mean :math:`p (N - 1)`. Clustering and reciprocity both equal p; higher values in another
    graph are evidence of structure. `fixed_total` gives the random graph G(N, E) with an exact
    number of synapses; `fixed_in_degree` and `fixed_out_degree` fix the degrees.

    Each neuron first draws its number of sources, and then the sources. Takes O(N + E) time and
    memory.

    Args:
        num_nodes: Number of neurons N >= 0.
        probability: Connection probability p in [0, 1].
        directed: Whether the two directions of a pair are drawn independently. Otherwise there is
            one draw per pair, and both synapses exist or neither. Default: directed.
        self_loops: Whether every neuron has a synapse onto itself (all neurons or none).
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E].

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or the graph does not fit into memory.

    References:
        .. [1] E. N. Gilbert, "Random graphs", Annals of Mathematical Statistics 30 (1959)
           1141-1144.

    Example:
        >>> import graphs
        >>> 17_000 < graphs.erdos_renyi(784, 0.029, seed=0).num_edges < 18_600
        True
    """
    neurons = arguments.count("num_nodes", num_nodes)
    chance = arguments.real("probability", probability, at_most=1.0)
    directed = arguments.directed(directed, by_default=True)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    _room("probability", neurons, chance * neurons * neurons)
    if directed:
        ends = bipartite.fixed_probability(neurons, neurons, chance, rng, same=True)
    else:
        ends = _both_ways(rng.binomial(np.arange(neurons), chance), rng)
    return _connected(neurons, ends, self_loops)


def fixed_in_degree(
    num_nodes: int,
    in_degree: int,
    *,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a random graph in which all neurons have the same in-degree.

    The sources of a neuron are k of the N - 1 other neurons. All sets are equally likely, and
    neurons draw independently, so that the out-degree is binomial with mean k. Sparse networks of
    balanced excitation and inhibition are of this kind [1]_. NEST calls the rule ``fixed_indegree``
    [2]_.

    No pair is connected twice, which NEST allows by default. Takes O(N + E) time and memory.

    Args:
        num_nodes: Number of neurons N >= 0.
        in_degree: In-degree k of every neuron, less than N.
        self_loops: Whether every neuron has a synapse onto itself, in addition to the k others.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E] with E = N k, or N (k + 1) with self-loops.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `in_degree` is not less than N, an argument is out of range, or the graph does
            not fit into memory.

    References:
        .. [1] N. Brunel, "Dynamics of sparsely connected networks of excitatory and inhibitory
           spiking neurons", Journal of Computational Neuroscience 8 (2000) 183-208.
        .. [2] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS
           Computational Biology 18 (2022) e1010086.

    Example:
        >>> import graphs
        >>> data = graphs.fixed_in_degree(784, 22, seed=0)
        >>> data.edge_index[1].bincount().unique().tolist()
        [22]
    """
    neurons = arguments.count("num_nodes", num_nodes)
    degree = _degree("in_degree", in_degree, neurons)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    return _connected(
        neurons, bipartite.fixed_in_degree(neurons, neurons, degree, rng, same=True), self_loops
    )


def fixed_out_degree(
    num_nodes: int,
    out_degree: int,
    *,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a random graph in which all neurons have the same out-degree.

    This is `fixed_in_degree` with all synapses reversed: the targets of a neuron are k of the N - 1
    other neurons, all sets are equally likely, and the in-degree is binomial with mean k.

    NEST calls the rule ``fixed_outdegree`` [1]_, and connects pairs twice by default. Takes O(N +
    E) time and memory.

    Args:
        num_nodes: Number of neurons N >= 0.
        out_degree: Out-degree k of every neuron, less than N.
        self_loops: Whether every neuron has a synapse onto itself, in addition to the k others.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E] with E = N k, or N (k + 1) with self-loops.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `out_degree` is not less than N, an argument is out of range, or the graph does
            not fit into memory.

    References:
        .. [1] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS
           Computational Biology 18 (2022) e1010086.

    Example:
        >>> import graphs
        >>> data = graphs.fixed_out_degree(784, 22, seed=0)
        >>> data.edge_index[0].bincount().unique().tolist()
        [22]
    """
    neurons = arguments.count("num_nodes", num_nodes)
    degree = _degree("out_degree", out_degree, neurons)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    return _connected(
        neurons, bipartite.fixed_out_degree(neurons, neurons, degree, rng, same=True), self_loops
    )


def fixed_total(
    num_nodes: int,
    num_edges: int,
    *,
    directed: bool | None = None,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a random graph G(N, E); all graphs with exactly E synapses are equally likely.

    The model is that of Erdos and Renyi [1]_. NEST calls the rule ``fixed_total_number`` [2]_, and
    connects pairs twice by default. `erdos_renyi` is the random graph with a given probability.
    Takes O(N + E) time and memory.

    Args:
        num_nodes: Number of neurons N >= 0.
        num_edges: Number of synapses E, not counting self-loops. It must be even if the graph is
            undirected.
        directed: Whether the two directions of a pair are drawn independently. Otherwise both
            synapses exist or neither. Default: directed.
        self_loops: Whether every neuron has a synapse onto itself (all neurons or none).
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E], or [2, E + N] with self-loops.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There are fewer than `num_edges` pairs, an argument is out of range, or the
            graph does not fit into memory.

    References:
        .. [1] P. Erdos, A. Renyi, "On random graphs I", Publicationes Mathematicae 6 (1959)
           290-297.
        .. [2] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS
           Computational Biology 18 (2022) e1010086.

    Example:
        >>> import graphs
        >>> graphs.fixed_total(784, 17956, seed=0).num_edges
        17956
    """
    neurons = arguments.count("num_nodes", num_nodes)
    total = arguments.count("num_edges", num_edges)
    directed = arguments.directed(directed, by_default=True)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    if not directed and total % 2:
        raise ValueError(
            f"num_edges must be even if not directed, as both directions are stored, got {total}; "
            f"pass num_edges={total - 1} or directed=True"
        )
    most = neurons * max(neurons - 1, 0)
    if total > most:
        raise ValueError(
            f"num_edges must be at most num_nodes * (num_nodes - 1) = {most}, got {total}; "
            f"pass num_edges={most} or more neurons"
        )
    _room("num_edges", neurons, total)
    if directed:
        ends = bipartite.fixed_total(neurons, neurons, total, rng, same=True)
    else:
        ends = _both_ways(drawing.shares(np.arange(neurons), total // 2, rng), rng)
    return _connected(neurons, ends, self_loops)


def _both_ways(counts: Index, rng: np.random.Generator) -> Ends:
    """Return pairs in both directions: neuron i draws ``counts[i]`` neurons with a lower number."""
    one, other = drawing.distinct(np.arange(len(counts)), counts, rng)
    return np.concatenate((one, other)), np.concatenate((other, one))


def _degree(name: str, degree: int, neurons: int) -> int:
    degree = arguments.count(name, degree)
    if degree > max(neurons - 1, 0):
        raise ValueError(
            f"{name} must be less than num_nodes = {neurons}, got {degree}; "
            f"pass {name}={max(neurons - 1, 0)} or num_nodes={degree + 1}"
        )
    _room(name, neurons, neurons * degree)
    return degree


def _room(name: str, neurons: int, synapses: float) -> None:
    memory.check(
        f"num_nodes and {name}",
        f"pass a smaller num_nodes or {name}",
        neurons=neurons,
        synapses=synapses,
    )


def _connected(neurons: int, ends: Ends, self_loops: bool) -> Data:
    source, target = ends
    if self_loops:
        source, target = (np.concatenate((end, np.arange(neurons))) for end in ends)
    return build(neurons, source, target)
