"""Modules with many synapses inside and few between them, side by side or nested."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import Index, build
from graphs.generators.bipartite import below_diagonal
from graphs.generators.drawing import distinct

Floats = NDArray[np.float64]

# With two modules per level, this makes a million modules.
_MOST_LEVELS = 20


def stochastic_block(
    sizes: Sequence[int],
    probabilities: Sequence[Sequence[float]],
    *,
    directed: bool | None = None,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return blocks of neurons that are connected with a probability per pair of blocks.

    In the stochastic block model [1]_ a neuron of block a sends to another neuron of block b with
    probability :math:`p_{ab}`, independently of all other pairs. The expected number of synapses is
    :math:`n_a n_b p_{ab}` from a to b and :math:`n_a (n_a - 1) p_{aa}` within a. If all
    probabilities are equal, the graph is that of Erdos and Renyi.

    For each pair of blocks the number of synapses is drawn from the binomial distribution, and then
    as many distinct pairs of neurons. Takes O(N + K^2 + E) memory and O(N + K^2 + E log E) time.

    Args:
        sizes: Number of neurons of each of the K blocks.
        probabilities: Array [K, K] of connection probabilities :math:`p_{ab}`; rows are the block
            of the source, columns the block of the target.
        directed: Whether the two directions of a pair are drawn independently. Otherwise there is
            one draw per pair, both synapses exist or neither, and `probabilities` must be
            symmetric. Default: directed.
        self_loops: Whether every neuron has a synapse onto itself (all neurons or none).
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E], ``node_type`` int64 [N] with the block of each neuron, and
        ``node_type_names``. Neurons are numbered block by block.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A size is < 1; `probabilities` is not a [K, K] array of probabilities, or not
            symmetric although the graph is undirected; or the graph does not fit into memory.

    References:
        .. [1] P. W. Holland, K. B. Laskey, S. Leinhardt, "Stochastic blockmodels: first steps",
           Social Networks 5 (1983) 109-137.

    Example:
        >>> import graphs
        >>> data = graphs.stochastic_block([300, 100], [[0.1, 0.01], [0.0, 0.2]], seed=0)
        >>> counts = data.node_type[data.edge_index].unique(dim=1, return_counts=True)
        >>> counts[0].tolist()
        [[0, 0, 1], [0, 1, 1]]
    """
    widths = np.array(arguments.counts("sizes", sizes, "[300, 100]"))
    memory.check("sizes", "pass smaller blocks", neurons=float(widths.sum(dtype=float)))
    chance = _probabilities(probabilities, len(widths))
    directed = arguments.directed(directed, by_default=True)
    if not directed and not np.array_equal(chance, chance.T):
        raise ValueError(
            "probabilities must be symmetric if not directed, got another; "
            "pass directed=True, or (p + p.T) / 2"
        )
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    blocks = len(widths)
    sender, receiver = (
        np.divmod(np.arange(blocks**2), blocks) if directed else np.tril_indices(blocks)
    )
    own = sender == receiver
    places = widths[sender] * (widths[receiver] - own)
    places[own] //= 1 if directed else 2
    expected = float(places @ chance[sender, receiver]) * (1 if directed else 2)
    memory.check(
        "sizes and probabilities",
        "pass smaller blocks or lower probabilities",
        neurons=int(widths.sum()),
        synapses=expected,
    )
    row, place = distinct(places, rng.binomial(places, chance[sender, receiver]), rng)
    width = (widths[receiver] - own)[row]
    source, target = np.divmod(place, np.maximum(width, 1))
    within = own[row]
    if directed:
        target += within & (target >= source)
    else:
        source[within], target[within] = below_diagonal(place[within])
    first = np.cumsum(widths) - widths
    return _modules(
        source + first[sender[row]],
        target + first[receiver[row]],
        widths,
        [f"block {number}" for number in range(blocks)],
        directed,
        self_loops,
    )


def hierarchical_modules(
    module_size: int | Sequence[int],
    branching: int,
    levels: int,
    probability: float,
    ratio: float,
    *,
    directed: bool | None = None,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return nested modules, with fewer synapses between larger modules.

    The smallest modules have n neurons each. b of them form a module of level 1, b of these a
    module of level 2, and so on up to level L, the whole graph of :math:`N = n b^L` neurons. Two
    neurons whose smallest common module is of level l are connected with probability

    .. math:: p_l = p \, r^l.

    This is the self-similar hierarchy of [1]_ with :math:`r = \xi / b`. A neuron has on average
    :math:`(n - 1) p` outgoing synapses within its smallest module and :math:`n p (b - 1) b^{-1} (r
    b)^l` at each level l >= 1: fewer from level to level if r < 1 / b, and equally many if r = 1 /
    b. r = 1 gives a random graph. [2]_ studies the activity of such hierarchies, and [3]_ how to
    detect them.

    For each level a neuron draws the number of its synapses from the binomial distribution, and
    then as many distinct partners. Takes O(N L + E) memory and O(N L + E log E) time.

    Args:
        module_size: Number of neurons n >= 1 of the smallest modules, or one number for each of the
            :math:`b^L` modules.
        branching: Number of modules b >= 2 in a module of the next level.
        levels: Number of levels L >= 0 above the smallest modules. With 0 there is one module.
        probability: Connection probability p within the smallest modules.
        ratio: Factor r in [0, 1] by which the probability falls from level to level.
        directed: Whether the two directions of a pair are drawn independently. Otherwise there is
            one draw per pair, and both synapses exist or neither. Default: directed.
        self_loops: Whether every neuron has a synapse onto itself (all neurons or none).
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E]; ``node_type`` int64 [N] with the smallest module of each
        neuron; and ``node_type_names``, the position of the module at each level from the largest
        down, such as "module 1.0.2". Neurons are numbered module by module, so that a module of any
        level is a range.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, there is not one size per module, or the graph does
            not fit into memory.

    References:
        .. [1] B. F. Maier, C. Huepe, D. Brockmann, "Modular hierarchical and power-law small-world
           networks bear structural optima for minimal first passage times and cover time",
           arXiv:1808.00240 (2018).
        .. [2] M. Kaiser, C. C. Hilgetag, "Optimal hierarchical modular topologies for producing
           limited sustained activation of neural networks", Frontiers in Neuroinformatics 4 (2010)
           8.
        .. [3] M. Sales-Pardo, R. Guimera, A. A. Moreira, L. A. N. Amaral, "Extracting the
           hierarchical organization of complex systems", PNAS 104 (2007) 15224-15229.

    Example:
        >>> import graphs
        >>> data = graphs.hierarchical_modules(50, 4, 2, probability=0.3, ratio=0.25, seed=0)
        >>> data.num_nodes, data.node_type_names[6]
        (800, 'module 1.2')
    """
    branching = arguments.count("branching", branching, at_least=2)
    levels = arguments.count("levels", levels)
    if levels * np.log2(branching) > _MOST_LEVELS:
        raise ValueError(
            f"levels must keep branching ** levels below 2 ** {_MOST_LEVELS} modules, got "
            f"{branching} ** {levels}; pass fewer levels, levels={int(20 / np.log2(branching))}"
        )
    widths = _module_sizes(module_size, branching**levels)
    probability = arguments.real("probability", probability, at_most=1.0)
    ratio = arguments.real("ratio", ratio, at_most=1.0)
    directed = arguments.directed(directed, by_default=True)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    memory.check(
        "module_size, branching, levels and probability",
        "pass a smaller module_size, fewer levels or a lower probability",
        neurons=float(widths.sum(dtype=float)),
        synapses=_expected(widths, branching, levels, probability, ratio),
    )
    ends = np.cumsum(widths)
    module = np.repeat(np.arange(len(widths)), widths)
    sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    # Targets at a level exclude the next smaller module of the source, the hole; at level 0 the
    # hole is the source itself.
    inner_first = np.arange(int(ends[-1]))
    inner_end = inner_first + 1
    for level in range(levels + 1):
        number = module // branching**level
        closed = ends[branching**level - 1 :: branching**level]
        outer_first, outer_end = np.append(0, closed)[number], closed[number]
        hole = inner_end - inner_first
        places = outer_end - outer_first - hole if directed else outer_end - inner_end
        counts = rng.binomial(places, probability * ratio**level)
        source, place = distinct(places, counts, rng)
        start, hole_first = outer_first[source], inner_first[source]
        if directed:
            target = start + place
            target += hole[source] * (target >= hole_first)
        else:
            target = inner_end[source] + place
        sources.append(source)
        targets.append(target)
        inner_first, inner_end = outer_first, outer_end
    return _modules(
        np.concatenate(sources),
        np.concatenate(targets),
        widths,
        [f"module {_digits(number, branching, levels)}" for number in range(len(widths))],
        directed,
        self_loops,
    )


def _modules(
    source: Index, target: Index, widths: Index, names: list[str], directed: bool, self_loops: bool
) -> Data:
    neurons = int(widths.sum())
    if not directed:
        source, target = np.concatenate((source, target)), np.concatenate((target, source))
    if self_loops:
        source, target = (np.concatenate((end, np.arange(neurons))) for end in (source, target))
    return build(
        neurons,
        source,
        target,
        node_type=np.repeat(np.arange(len(widths)), widths),
        node_type_names=names,
    )


def _module_sizes(module_size: int | Sequence[int], modules: int) -> Index:
    if not arguments.is_list(module_size):
        return np.full(modules, arguments.count("module_size", module_size, at_least=1))
    widths = np.array(arguments.counts("module_size", module_size, "[50, 60]"))
    if len(widths) != modules:
        raise ValueError(
            f"module_size must have one size for each of branching ** levels = {modules} modules, "
            f"got {len(widths)}; pass one int for all, module_size={int(widths[0])}"
        )
    return widths


def _expected(
    widths: Index, branching: int, levels: int, probability: float, ratio: float
) -> float:
    """Return the expected number of synapses."""
    total, inner = 0.0, float(widths.sum(dtype=float))
    for level in range(levels + 1):
        modules = widths.reshape(-1, branching**level).sum(axis=1, dtype=float)
        pairs = float(modules @ modules)
        total += (pairs - inner) * probability * ratio**level
        inner = pairs
    return total


def _digits(number: int, branching: int, levels: int) -> str:
    places = [number // branching**level % branching for level in reversed(range(levels))]
    return ".".join(map(str, places or [0]))


def _probabilities(probabilities: Any, blocks: int) -> Floats:
    expected = (
        f"probabilities must be an array of shape [{blocks}, {blocks}] in [0, 1], as sizes has "
        f"{blocks} blocks"
    )
    fix = "pass for example probabilities=numpy.full((K, K), 0.1)"
    chance = arguments.array(expected, probabilities, fix)
    if chance.dtype.kind not in "iuf":
        raise TypeError(f"{expected}, got {arguments.described(probabilities)}; {fix}")
    if chance.shape != (blocks, blocks):
        raise ValueError(f"{expected}, got the shape {chance.shape}; {fix}")
    bad = ~((chance >= 0) & (chance <= 1))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{expected}, got {chance[bad][0]} in row {row}, column {column}; "
            "pass probabilities=numpy.clip(p, 0, 1)"
        )
    return chance.astype(np.float64)
