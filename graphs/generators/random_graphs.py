"""Random graphs: all pairs of neurons are alike, and what is fixed is told by the name."""

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
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
    r"""Return a random graph G(N, p), in which every pair is connected with one probability.

    Each neuron sends to each other with probability p, independently of all other pairs [1]_; the
    number of synapses is binomial with mean :math:`p N (N - 1)`, degrees are binomial with mean
    :math:`p (N - 1)`. Clustering and reciprocity are both p: what is above it in another graph is
    structure. The random graph G(N, E) of an exact number of synapses is `fixed_total`.

    Parameters
    ----------
    num_nodes : int
        Number of neurons N >= 0.
    probability : float
        p in [0, 1].
    directed : bool, optional
        Whether each direction of a pair is drawn by itself; otherwise there is one draw per pair,
        and both directions are present or none.
        Left out, the graph is directed.
    self_loops : bool
        Whether each neuron also sends to itself; never drawn, all or none.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E].

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or of another type.

    See Also
    --------
    fixed_in_degree, fixed_out_degree, fixed_total

    Notes
    -----
    First each neuron draws how many sources it has, then which. O(N + E) time and memory.

    References
    ----------
    .. [1] E. N. Gilbert, "Random graphs", Annals of Mathematical Statistics 30 (1959) 1141-1144.

    Examples
    --------
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
    r"""Return a random graph in which every neuron receives the same number of synapses.

    The sources of a neuron are k of the N - 1 others, all sets equally likely and independent of
    those of other neurons; the number of synapses that a neuron sends is then binomial with mean k.
    The sparse networks of balanced excitation and inhibition are of this kind [1]_, and
    ``fixed_indegree`` of NEST is its name among the rules of connection [2]_.

    Parameters
    ----------
    num_nodes : int
        Number of neurons N >= 0.
    in_degree : int
        Synapses k that each neuron receives, less than N.
    self_loops : bool
        Whether each neuron also sends to itself; one more than k then.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E] with E = N k; N more with self-loops.

    Raises
    ------
    TypeError, ValueError
        If k is not less than N, or an argument is out of range or of another type.

    Notes
    -----
    O(N + E) time and memory. No pair is connected twice, which NEST allows unless told otherwise.

    References
    ----------
    .. [1] N. Brunel, "Dynamics of sparsely connected networks of excitatory and inhibitory spiking
       neurons", Journal of Computational Neuroscience 8 (2000) 183-208.
    .. [2] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS Computational
       Biology 18 (2022) e1010086.

    Examples
    --------
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
    r"""Return a random graph in which every neuron sends the same number of synapses.

    `fixed_in_degree` with all synapses turned around: the targets of a neuron are k of the N - 1
    others, all sets equally likely, and the number that a neuron receives is binomial with mean k.

    Parameters
    ----------
    num_nodes : int
        Number of neurons N >= 0.
    out_degree : int
        Synapses k that each neuron sends, less than N.
    self_loops : bool
        Whether each neuron also sends to itself; one more than k then.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E] with E = N k; N more with self-loops.

    Raises
    ------
    TypeError, ValueError
        If k is not less than N, or an argument is out of range or of another type.

    Notes
    -----
    O(N + E) time and memory. ``fixed_outdegree`` of NEST [1]_, without pairs that are connected
    twice.

    References
    ----------
    .. [1] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS Computational
       Biology 18 (2022) e1010086.

    Examples
    --------
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
    """Return a random graph G(N, E), all graphs of exactly E synapses equally likely.

    The model is that of Erdos and Renyi [1]_; ``fixed_total_number`` of NEST [2]_, without pairs
    that are connected twice. `erdos_renyi` is the random graph of a given probability.

    Parameters
    ----------
    num_nodes : int
        Number of neurons N >= 0.
    num_edges : int
        Number of synapses E, self-loops not counted; even if not directed.
    directed : bool, optional
        Whether each direction of a pair is drawn by itself; otherwise both are present or none.
        Left out, the graph is directed.
    self_loops : bool
        Whether each neuron also sends to itself; never drawn, all or none.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E]; N more with self-loops.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than `num_edges` pairs, or an argument is out of range or of another
        type.

    Notes
    -----
    O(N + E) time and memory.

    References
    ----------
    .. [1] P. Erdos, A. Renyi, "On random graphs I", Publicationes Mathematicae 6 (1959) 290-297.
    .. [2] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS Computational
       Biology 18 (2022) e1010086.

    Examples
    --------
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
    """Pairs in both directions: neuron i draws ``counts[i]`` of the neurons numbered below it."""
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
    arguments.room(
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
