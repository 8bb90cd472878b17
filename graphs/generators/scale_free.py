"""Graphs that grow: the rich get richer, and degrees follow a power law."""

from collections.abc import Callable, Container, Iterator

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments, compiled
from graphs.contract import Index, build

# Random numbers drawn at a time. The graph does not depend on it.
_BLOCK = 1 << 16

Floats = NDArray[np.float64]
Draw = Callable[[], float]


def barabasi_albert(
    num_nodes: int,
    edges_per_node: int,
    *,
    directed: bool | None = None,
    outward: float = 0.5,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a graph grown by preferential attachment, whose degrees follow a power law.

    Neurons come one by one, and each connects with m of those that are there, with a chance in
    proportion to their degree: the model of Barabasi and Albert [1]_. For large N a neuron has k
    neighbours with probability [2]_

    .. math:: P(k) = \frac{2 m (m + 1)}{k (k + 1) (k + 2)}, \quad k \ge m,

    which falls with the exponent 3. Paths are short, but clustering vanishes as
    :math:`(\ln N)^2 / N`; `power_law_cluster` keeps it.

    Parameters
    ----------
    num_nodes : int
        Number of neurons N > m.
    edges_per_node : int
        Number of older neurons m >= 1 that a newcomer connects with.
    directed : bool, optional
        Whether each pair is one synapse; otherwise both directions are stored.
        Left out, the graph is undirected, as the model is defined.
    outward : float
        Probability, for each pair of a directed graph, that the newcomer sends and the older neuron
        receives. With 1/2 both degrees of a neuron follow the power law, and paths close to cycles.
        With 1 it is the model of Price [3]_, which has no cycles: every newcomer sends m synapses,
        and :math:`j` are received with the probability :math:`P(j + m)`.
    self_loops : bool
        Whether each neuron also sends to itself.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E]; m (N - m) pairs, thus E = 2 m (N - m), or half of it if
        directed. N more with self-loops. Neurons are numbered in the order in which they come.

    Raises
    ------
    TypeError, ValueError
        If N is not larger than m, or an argument is out of range or of another type.

    Notes
    -----
    It starts with m neurons; the next one connects with them all. A newcomer draws its partners
    one after another from the ends of all older synapses, and again if it has that one already.
    O(N + E) time and memory. Newcomers wait for one another, so that there is no block of them to
    work on: without the compiled helpers it is some twenty times as slow.

    References
    ----------
    .. [1] A.-L. Barabasi, R. Albert, "Emergence of scaling in random networks", Science 286 (1999)
       509-512.
    .. [2] S. N. Dorogovtsev, J. F. F. Mendes, A. N. Samukhin, "Structure of growing networks with
       preferential linking", Physical Review Letters 85 (2000) 4633-4636.
    .. [3] D. de Solla Price, "A general theory of bibliometric and other cumulative advantage
       processes", Journal of the American Society for Information Science 27 (1976) 292-306.

    Examples
    --------
    >>> import graphs
    >>> graphs.barabasi_albert(784, 11, seed=0).num_edges == 2 * 11 * (784 - 11)
    True
    >>> graphs.barabasi_albert(4, 3).edge_index.tolist()
    [[3, 3, 3, 0, 1, 2], [0, 1, 2, 3, 3, 3]]
    """
    return _grown(num_nodes, edges_per_node, 0.0, directed, outward, self_loops, seed)


def power_law_cluster(
    num_nodes: int,
    edges_per_node: int,
    triangle: float,
    *,
    directed: bool | None = None,
    outward: float = 0.5,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return a graph grown by preferential attachment that closes triangles.

    The model of Holme and Kim [1]_ is that of `barabasi_albert` with another step: after a newcomer
    has connected with a neuron w by preference, each further synapse goes, with probability p, to a
    random neighbour of w instead, which closes a triangle. Degrees still fall with the exponent 3,
    paths are still short, and clustering rises with p and stays when N grows: all three properties
    of a small world at once.

    Parameters
    ----------
    num_nodes : int
        Number of neurons N > m.
    edges_per_node : int
        Number of older neurons m >= 1 that a newcomer connects with.
    triangle : float
        Probability p of a step that closes a triangle. None can follow where m = 1.
    directed : bool, optional
        Whether each pair is one synapse; otherwise both directions are stored.
        Left out, the graph is undirected, as the model is defined.
    outward : float
        Probability, for each pair of a directed graph, that the newcomer sends and the older neuron
        receives.
    self_loops : bool
        Whether each neuron also sends to itself.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E]; m (N - m) pairs, thus E = 2 m (N - m), or half of it if
        directed. N more with self-loops. Neurons are numbered in the order in which they come.

    Raises
    ------
    TypeError, ValueError
        If N is not larger than m, p is no probability, or an argument is out of range or of another
        type.

    Notes
    -----
    Where all neighbours of w are connected with the newcomer already, it is a step by preference;
    w is always the last neuron found by preference. With p = 0 it is the graph of
    `barabasi_albert`, number for number. O(N + E) memory, and as much time as long as m is small:
    a step that closes a triangle looks at up to 2 m neighbours.

    References
    ----------
    .. [1] P. Holme, B. J. Kim, "Growing scale-free networks with tunable clustering", Physical
       Review E 65 (2002) 026107.

    Examples
    --------
    >>> import graphs
    >>> grown = graphs.power_law_cluster(2000, 5, 0.9, seed=0)
    >>> plain = graphs.barabasi_albert(2000, 5, seed=0)
    >>> graphs.clustering(grown).value > 5 * graphs.clustering(plain).value
    True
    """
    triangle = arguments.real("triangle", triangle, at_most=1.0)
    return _grown(num_nodes, edges_per_node, triangle, directed, outward, self_loops, seed)


def _grown(
    num_nodes: int,
    edges_per_node: int,
    triangle: float,
    directed: bool | None,
    outward: float,
    self_loops: bool,
    seed: int | np.random.Generator | None,
) -> Data:
    neurons = arguments.count("num_nodes", num_nodes)
    each = arguments.count("edges_per_node", edges_per_node, at_least=1)
    if each >= neurons:
        raise ValueError(
            f"edges_per_node must be less than num_nodes = {neurons}, got {each}; "
            f"pass num_nodes={each + 1} or more"
        )
    directed = arguments.directed(directed, by_default=False)
    outward = arguments.real("outward", outward, at_most=1.0)
    rng = arguments.generator(seed)
    arguments.room(
        "num_nodes and edges_per_node",
        "pass a smaller num_nodes or edges_per_node",
        neurons=neurons,
        synapses=(1 if directed else 2) * each * (neurons - each),
    )
    target = _targets(neurons, each, triangle, rng)
    source = np.repeat(np.arange(each, neurons), each)
    if directed:
        turned = rng.random(len(source)) >= outward
        source, target = np.where(turned, target, source), np.where(turned, source, target)
    else:
        source, target = np.concatenate((source, target)), np.concatenate((target, source))
    if arguments.flag("self_loops", self_loops):
        source, target = (np.concatenate((end, np.arange(neurons))) for end in (source, target))
    return build(neurons, source, target)


def _targets(neurons: int, each: int, triangle: float, rng: np.random.Generator) -> Index:
    """Return whom the newcomers connect with, m numbers for each of the neurons m ... N - 1."""
    draws = _draws(min(2 * each * (neurons - each), _BLOCK), rng)
    helpers = compiled.module()
    if helpers is None:
        return _grow_plainly(neurons, each, triangle, draws)
    growth = helpers.Growth(neurons, each, triangle)
    left = np.empty(0)
    # The first newcomer needs no luck.
    growth.advance(left)
    while not growth.complete:
        left = np.concatenate((left, next(draws)))
        left = left[growth.advance(left) :]
    targets: Index = growth.targets()
    return targets


def _grow_plainly(neurons: int, each: int, triangle: float, draws: Iterator[Floats]) -> Index:
    """Do the same as csrc/growth.cpp, draw for draw."""
    draw = (each for block in draws for each in block.tolist()).__next__
    targets = list(range(each))
    chosen_by: list[list[int]] = [[each] * (neuron < each) for neuron in range(neurons)]
    for newcomer in range(each + 1, neurons):
        own: dict[int, None] = {}
        friend = -1
        while len(own) < each:
            found = -1
            if own and triangle > 0 and draw() < triangle:
                start = (friend - each) * each
                known = targets[start : start + each] if friend >= each else []
                found = _neighbour(known, chosen_by[friend], own, draw)
            if found < 0:
                found = _preferred(targets, each, own, draw)
                friend = found
            own[found] = None
        targets += own
        for found in own:
            chosen_by[found].append(newcomer)
    return np.array(targets)


def _draws(size: int, rng: np.random.Generator) -> Iterator[Floats]:
    while True:
        yield rng.random(size)


def _preferred(targets: list[int], each: int, own: Container[int], draw: Draw) -> int:
    while True:
        end = int(draw() * (2 * len(targets)))
        found = targets[end // 2] if end % 2 else each + end // 2 // each
        if found not in own:
            return found


def _neighbour(earlier: list[int], later: list[int], own: dict[int, None], draw: Draw) -> int:
    degree = len(earlier) + len(later)
    # Where at least half of them are free, for certain, it takes two guesses on average.
    while degree >= 2 * (len(own) - 1):
        at = int(draw() * degree)
        found = earlier[at] if at < len(earlier) else later[at - len(earlier)]
        if found not in own:
            return found
    free = [neuron for neuron in (*earlier, *later) if neuron not in own]
    return free[int(draw() * len(free))] if free else -1
