"""Random graphs: all pairs of neurons are alike, and what is fixed is told by the name."""

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build
from graphs.generators import bipartite, drawing
from graphs.generators.bipartite import Ends


def erdos_renyi(
    num_neurons: int,
    *,
    probability: float | None = None,
    synapses: int | None = None,
    directed: bool = True,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a random graph: G(N, p) of a given probability, or G(N, E) of a given size.

    In G(N, p) [1]_ each neuron sends to each other with probability p, independently of all other
    pairs; the number of synapses is binomial with mean :math:`p N (N - 1)`, degrees are binomial
    with mean :math:`p (N - 1)`. In G(N, E) [2]_ all graphs of E synapses are equally likely.
    Clustering and reciprocity are both p: what is above it in another graph is structure.

    Parameters
    ----------
    num_neurons : int
        Number of neurons N >= 0.
    probability : float
        p in [0, 1]; exactly one of `probability` and `synapses` is given.
    synapses : int
        Number of synapses E, self-loops not counted; even if not directed.
    directed : bool
        Whether each direction of a pair is drawn by itself; otherwise there is one draw per pair,
        and both directions are present or none.
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
        If both or none of `probability` and `synapses` are given, there are fewer than `synapses`
        pairs, or an argument is out of range or of another type.

    See Also
    --------
    fixed_in_degree, fixed_out_degree, fixed_total

    Notes
    -----
    First each neuron draws how many sources it has, then which. O(N + E) time and memory.

    References
    ----------
    .. [1] E. N. Gilbert, "Random graphs", Annals of Mathematical Statistics 30 (1959) 1141-1144.
    .. [2] P. Erdos, A. Renyi, "On random graphs I", Publicationes Mathematicae 6 (1959) 290-297.

    Examples
    --------
    >>> import graphs
    >>> graphs.erdos_renyi(784, synapses=17956, seed=0).num_edges
    17956
    >>> 17_000 < graphs.erdos_renyi(784, probability=0.029, seed=0).num_edges < 18_600
    True
    """
    neurons = arguments.count("num_neurons", num_neurons)
    if (probability is None) == (synapses is None):
        raise ValueError(
            f"probability or synapses must be given, and only one, got probability={probability} "
            f"and synapses={synapses}; pass probability=0.1"
        )
    directed = arguments.flag("directed", directed)
    loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    total, chance = 0, 0.0
    if probability is None:
        total = _total(synapses, neurons, directed)
    else:
        chance = arguments.real("probability", probability, at_most=1.0)
    if directed:
        ends = (
            bipartite.fixed_total(neurons, neurons, total, rng, same=True)
            if probability is None
            else bipartite.fixed_probability(neurons, neurons, chance, rng, same=True)
        )
    else:
        # Each neuron draws among those that are numbered below it.
        widths = np.arange(neurons)
        counts = (
            drawing.shares(widths, total, rng)
            if probability is None
            else rng.binomial(widths, chance)
        )
        one, other = drawing.distinct(widths, counts, rng)
        ends = np.concatenate((one, other)), np.concatenate((other, one))
    return _connected(neurons, ends, loops)


def fixed_in_degree(
    num_neurons: int,
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
    num_neurons : int
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
    neurons = arguments.count("num_neurons", num_neurons)
    degree = _degree("in_degree", in_degree, neurons)
    loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    return _connected(
        neurons, bipartite.fixed_in_degree(neurons, neurons, degree, rng, same=True), loops
    )


def fixed_out_degree(
    num_neurons: int,
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
    num_neurons : int
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
    neurons = arguments.count("num_neurons", num_neurons)
    degree = _degree("out_degree", out_degree, neurons)
    loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    return _connected(
        neurons, bipartite.fixed_out_degree(neurons, neurons, degree, rng, same=True), loops
    )


def fixed_total(
    num_neurons: int,
    synapses: int,
    *,
    directed: bool = True,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    """Return a random graph of exactly this number of synapses, all such graphs equally likely.

    ``fixed_total_number`` of NEST [1]_, without pairs that are connected twice; the same as
    ``erdos_renyi(num_neurons, synapses=synapses)``, number for number.

    Parameters
    ----------
    num_neurons : int
        Number of neurons N >= 0.
    synapses : int
        Number of synapses E, self-loops not counted; even if not directed.
    directed : bool
        Whether each direction of a pair is drawn by itself; otherwise both are present or none.
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
        If there are fewer than `synapses` pairs, or an argument is out of range or of another type.

    Notes
    -----
    O(N + E) time and memory.

    References
    ----------
    .. [1] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS Computational
       Biology 18 (2022) e1010086.

    Examples
    --------
    >>> import graphs
    >>> graphs.fixed_total(784, 17956, seed=0).num_edges
    17956
    """
    count = arguments.count("synapses", synapses)
    return erdos_renyi(
        num_neurons, synapses=count, directed=directed, self_loops=self_loops, seed=seed
    )


def _total(synapses: int | None, neurons: int, directed: bool) -> int:
    """Return the number of draws that make this number of synapses."""
    total = arguments.count("synapses", synapses)
    if not directed and total % 2:
        raise ValueError(
            f"synapses must be even if not directed, as both directions are stored, got {total}; "
            f"pass synapses={total - 1} or directed=True"
        )
    most = neurons * max(neurons - 1, 0)
    if total > most:
        raise ValueError(
            f"synapses must be at most num_neurons * (num_neurons - 1) = {most}, got {total}; "
            f"pass synapses={most} or more neurons"
        )
    return total if directed else total // 2


def _degree(name: str, degree: int, neurons: int) -> int:
    degree = arguments.count(name, degree)
    if degree > max(neurons - 1, 0):
        raise ValueError(
            f"{name} must be less than num_neurons = {neurons}, got {degree}; "
            f"pass {name}={max(neurons - 1, 0)} or num_neurons={degree + 1}"
        )
    return degree


def _connected(neurons: int, ends: Ends, self_loops: bool) -> Data:
    source, target = ends
    if self_loops:
        source, target = (np.concatenate((end, np.arange(neurons))) for end in ends)
    return build(neurons, source, target)
