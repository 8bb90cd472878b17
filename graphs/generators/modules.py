"""Modules: many synapses within, few between, side by side or nested."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build
from graphs.generators.bipartite import below_diagonal
from graphs.generators.drawing import distinct

Floats = NDArray[np.float64]

# Of two modules each.
_MOST_LEVELS = 20


def stochastic_block(
    sizes: Sequence[int],
    probabilities: Sequence[Sequence[float]],
    *,
    directed: bool | None = None,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return blocks of neurons, connected with a probability that their blocks decide.

    The stochastic block model [1]_: a neuron of block a sends to another of block b with
    probability :math:`p_{ab}`, independently of all other pairs, so that
    :math:`n_a n_b p_{ab}` synapses are expected from a to b, and
    :math:`n_a (n_a - 1) p_{aa}` within a. With equal probabilities it is the random graph of
    Erdos and Renyi.

    Parameters
    ----------
    sizes : sequence of int
        Number of neurons of each of the K blocks.
    probabilities : array [K, K]
        :math:`p_{ab}`, the block of the source by row, that of the target by column.
    directed : bool, optional
        Whether each direction of a pair is drawn by itself; otherwise there is one draw per pair,
        both directions are present or none, and `probabilities` must be symmetric.
        Left out, the graph is directed.
    self_loops : bool
        Whether each neuron also sends to itself; never drawn, all or none.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E]; ``node_type`` int64 [N] the block, and ``node_type_names``.
        Neurons are numbered block by block.

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer >= 1, or `probabilities` is no [K, K] array of probabilities, or
        not symmetric although undirected.

    Notes
    -----
    Each pair of blocks draws the number of its synapses from the binomial distribution, and then as
    many distinct pairs of neurons: O(N + K^2 + E) memory, O(N + K^2 + E log E) time.

    References
    ----------
    .. [1] P. W. Holland, K. B. Laskey, S. Leinhardt, "Stochastic blockmodels: first steps", Social
       Networks 5 (1983) 109-137.

    Examples
    --------
    >>> import graphs
    >>> data = graphs.stochastic_block([300, 100], [[0.1, 0.01], [0.0, 0.2]], seed=0)
    >>> counts = data.node_type[data.edge_index].unique(dim=1, return_counts=True)
    >>> counts[0].tolist()
    [[0, 0, 1], [0, 1, 1]]
    """
    widths = np.array(arguments.counts("sizes", sizes, "[300, 100]"))
    arguments.room("sizes", "pass smaller blocks", neurons=float(widths.sum(dtype=float)))
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
    arguments.room(
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
    r"""Return modules of modules of modules, with ever fewer synapses between larger ones.

    The smallest modules have n neurons each; b of them make a module of level 1, b of these one of
    level 2, and so on up to level L, which is the whole, of :math:`N = n b^L` neurons. Two neurons
    whose smallest common module is of level l are connected with probability

    .. math:: p_l = p \, r^l.

    That is the self-similar hierarchy of [1]_ with :math:`r = \xi / b`. A neuron expects to send
    :math:`(n - 1) p` synapses in its smallest module and :math:`n p (b - 1) b^{-1} (r b)^l` at each
    level l above: fewer from level to level for r < 1 / b, as many for r = 1 / b; and r = 1 is a
    random graph. What such hierarchies do to activity is explored in [2]_, and how to find them in
    [3]_.

    Parameters
    ----------
    module_size : int or sequence of int
        Number of neurons n >= 1 of the smallest modules; or one number for each of the
        :math:`b^L`.
    branching : int
        Modules b >= 2 in a module of the next level.
    levels : int
        Levels L >= 0 above the smallest modules. With 0 there is one module.
    probability : float
        Connection probability p within the smallest modules.
    ratio : float
        Factor r in [0, 1] by which it falls at each level.
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
        ``edge_index`` int64 [2, E]; ``node_type`` int64 [N] the smallest module, and
        ``node_type_names``, its place in each module from the largest down, as in "module 1.0.2".
        Neurons are numbered module by module, so that a module of any level is a range.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or of another type, or there is not one size for each module.

    Notes
    -----
    Each neuron draws the number of its synapses at a level from the binomial distribution, and then
    as many distinct partners: O(N L + E) memory, O(N L + E log E) time.

    References
    ----------
    .. [1] B. F. Maier, C. Huepe, D. Brockmann, "Modular hierarchical and power-law small-world
       networks bear structural optima for minimal first passage times and cover time",
       arXiv:1808.00240 (2018).
    .. [2] M. Kaiser, C. C. Hilgetag, "Optimal hierarchical modular topologies for producing limited
       sustained activation of neural networks", Frontiers in Neuroinformatics 4 (2010) 8.
    .. [3] M. Sales-Pardo, R. Guimera, A. A. Moreira, L. A. N. Amaral, "Extracting the hierarchical
       organization of complex systems", PNAS 104 (2007) 15224-15229.

    Examples
    --------
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
    arguments.room(
        "module_size, branching, levels and probability",
        "pass a smaller module_size, fewer levels or a lower probability",
        neurons=float(widths.sum(dtype=float)),
        synapses=_expected(widths, branching, levels, probability, ratio),
    )
    ends = np.cumsum(widths)
    module = np.repeat(np.arange(len(widths)), widths)
    sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    # The hole in a module is the next smaller one of the source; in the smallest, the source.
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
    expected = f"probabilities must be an array of shape [{blocks}, {blocks}] in [0, 1]"
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
