"""Graphs that grow by preferential attachment, whose degrees follow a power law."""

from collections.abc import Callable, Container, Iterator

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments, compiled, memory
from graphs.contract import Index, build

# Size of the blocks in which random numbers are drawn. The graph does not depend on it.
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

    Neurons are added one by one, and each connects to m of the existing neurons with a probability
    proportional to their degree: the model of Barabasi and Albert [1]_. For large N a neuron has k
    neighbors with probability [2]_

    .. math:: P(k) = \frac{2 m (m + 1)}{k (k + 1) (k + 2)}, \quad k \ge m,

    a power law with exponent 3. Paths are short, but clustering vanishes as :math:`(\ln N)^2 / N`;
    `power_law_cluster` preserves it.

    Growth starts with m neurons, all of which the next neuron connects to. Each new neuron draws
    its neighbors one after another from the ends of all older synapses, and redraws those that it
    already has. Takes O(N + E) time and memory. Since each neuron depends on the previous ones,
    growth cannot be vectorized: without the compiled helpers it is about twenty times slower.

    Args:
        num_nodes: Number of neurons N > m.
        edges_per_node: Number m >= 1 of older neurons that each new neuron connects to.
        directed: Whether each pair is connected by one synapse. Otherwise both directions exist.
            Default: undirected, as the model is defined.
        outward: In a directed graph, the probability that the synapse of a pair goes from the new
            neuron to the older one. With 1/2 both the in-degree and the out-degree follow the power
            law, and there are cycles. 1 gives the model of Price [3]_, which has no cycles: every
            new neuron sends m synapses, and a neuron receives j synapses with probability
            :math:`P(j + m)`.
        self_loops: Whether every neuron has a synapse onto itself.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E]. There are m (N - m) pairs, so E = 2 m (N - m), or half of it if
        directed, plus N with self-loops. Neurons are numbered in the order in which they are added.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: N is not larger than m, an argument is out of range, or the graph does not fit
            into memory.

    References:
        .. [1] A.-L. Barabasi, R. Albert, "Emergence of scaling in random networks", Science 286
           (1999) 509-512.
        .. [2] S. N. Dorogovtsev, J. F. F. Mendes, A. N. Samukhin, "Structure of growing networks
           with preferential linking", Physical Review Letters 85 (2000) 4633-4636.
        .. [3] D. de Solla Price, "A general theory of bibliometric and other cumulative advantage
           processes", Journal of the American Society for Information Science 27 (1976) 292-306.

    Example:
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

    The model of Holme and Kim [1]_ extends `barabasi_albert`: after a new neuron has connected to a
    neuron w by preferential attachment, each further connection is made with probability p to a
    random neighbor of w instead, which closes a triangle. Degrees still follow a power law with
    exponent 3 and paths are still short, but clustering increases with p and does not vanish as N
    grows, so that the graph is a small world.

    If the new neuron is already connected to all neighbors of w, it attaches by preference. w is
    always the neuron found last by preferential attachment. With p = 0 the graph equals that of
    `barabasi_albert` for the same seed. Takes O(N + E) memory, and O(N + E) time if m is small: a
    step that closes a triangle examines up to 2 m neighbors.

    Args:
        num_nodes: Number of neurons N > m.
        edges_per_node: Number m >= 1 of older neurons that each new neuron connects to.
        triangle: Probability p of a step that closes a triangle. It has no effect if m = 1.
        directed: Whether each pair is connected by one synapse. Otherwise both directions exist.
            Default: undirected, as the model is defined.
        outward: In a directed graph, the probability that the synapse of a pair goes from the new
            neuron to the older one.
        self_loops: Whether every neuron has a synapse onto itself.
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E]. There are m (N - m) pairs, so E = 2 m (N - m), or half of it if
        directed, plus N with self-loops. Neurons are numbered in the order in which they are added.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: N is not larger than m, an argument is out of range, or the graph does not fit
            into memory.

    References:
        .. [1] P. Holme, B. J. Kim, "Growing scale-free networks with tunable clustering", Physical
           Review E 65 (2002) 026107.

    Example:
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
    memory.check(
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
    """Return the older neurons that the neurons m ... N - 1 connect to, m for each."""
    draws = _draws(min(2 * each * (neurons - each), _BLOCK), rng)
    helpers = compiled.module()
    if helpers is None:
        return _grow_plainly(neurons, each, triangle, draws)
    growth = helpers.Growth(neurons, each, triangle)
    left = np.empty(0)
    # The first new neuron connects to all of the m initial neurons, without random numbers.
    growth.advance(left)
    while not growth.complete:
        left = np.concatenate((left, next(draws)))
        left = left[growth.advance(left) :]
    targets: Index = growth.targets()
    return targets


def _grow_plainly(neurons: int, each: int, triangle: float, draws: Iterator[Floats]) -> Index:
    """Do the same as csrc/growth.cpp, with the same random numbers."""
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
                found = _neighbor(known, chosen_by[friend], own, draw)
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


def _neighbor(earlier: list[int], later: list[int], own: dict[int, None], draw: Draw) -> int:
    degree = len(earlier) + len(later)
    # At least half of the neighbors are certainly free, so a guess takes two draws on average.
    while degree >= 2 * (len(own) - 1):
        at = int(draw() * degree)
        found = earlier[at] if at < len(earlier) else later[at - len(earlier)]
        if found not in own:
            return found
    free = [neuron for neuron in (*earlier, *later) if neuron not in own]
    return free[int(draw() * len(free))] if free else -1
