"""Populations of neurons with a connection rule for each pair of populations."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import build
from graphs.generators import connectors
from graphs.generators.connectors import Connector, Rule

Pair = tuple[str, str]


def populations(
    population_sizes: Mapping[str, int],
    connect: Mapping[Pair, Connector | Rule],
    *,
    signs: Mapping[str, int] | None = None,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return populations of neurons that are connected by a rule for each pair of populations.

    Populations are numbered one after the other. A rule connects each pair of neurons at most once,
    and no neuron with itself. Takes O(N + E) memory and O(N + E log E) time. The connection rules
    are those of [1]_; the network in the example is that of [2]_.

    Args:
        population_sizes: Number of neurons of each population, in the order in which they are
            numbered.
        connect: The rule from the first population of a pair to the second: ``AllToAll()``,
            ``OneToOne()``, ``FixedProbability(p)``, ``FixedInDegree(k)``, ``FixedOutDegree(k)``,
            ``FixedTotal(n)``, or a function ``(num_sources, num_targets, rng)`` that returns the
            sources and targets of the synapses, numbered from 0 within each population. Pairs that
            are not listed have no synapses.
        signs: Sign of the neurons of each population (Dale's law): +1 excitatory, -1 inhibitory, 0
            unknown. For all populations or none.
        self_loops: Whether every neuron has a synapse onto itself (all neurons or none).
        seed: Random seed or generator. The same seed gives the same graph on every machine, for any
            order of the pairs in `connect`.

    Returns:
        ``edge_index`` int64 [2, E]; ``node_type`` int64 [N], the population in the order of
        `population_sizes`; ``node_type_names``; and ``node_sign`` float32 [N] if `signs` are given.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, a pair names an unknown population, a rule needs
            more neurons than there are, a function returns invalid pairs, or the graph does not fit
            into memory.

    References:
        .. [1] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS
           Computational Biology 18 (2022) e1010086.
        .. [2] N. Brunel, "Dynamics of sparsely connected networks of excitatory and inhibitory
           spiking neurons", Journal of Computational Neuroscience 8 (2000) 183-208.

    Example:
        >>> import graphs
        >>> rules = {
        ...     (sender, receiver): graphs.FixedInDegree({"exc": 80, "inh": 20}[sender])
        ...     for sender in ("exc", "inh") for receiver in ("exc", "inh")
        ... }
        >>> brunel = graphs.populations(
        ...     {"exc": 800, "inh": 200}, rules, signs={"exc": +1, "inh": -1}, seed=0
        ... )
        >>> brunel.num_edges, brunel.node_type_names
        (100000, ['exc', 'inh'])
    """
    sizes = _sizes(population_sizes)
    rules = _rules(connect, sizes)
    sign = None if signs is None else _signs(signs, sizes)
    self_loops = arguments.flag("self_loops", self_loops)
    rng = arguments.generator(seed)
    widths = np.array(list(sizes.values()))
    first = dict(zip(sizes, (np.cumsum(widths) - widths).tolist(), strict=True))
    total = int(widths.sum())
    memory.check("population_sizes", "pass smaller populations", neurons=sum(sizes.values()))
    sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for (sender, receiver), rule in rules.items():
        try:
            source, target = connectors.connect(
                rule, sizes[sender], sizes[receiver], rng, same=sender == receiver
            )
        except ValueError as error:
            raise ValueError(f"connect[{sender!r}, {receiver!r}]: {error}") from error
        sources.append(first[sender] + source)
        targets.append(first[receiver] + target)
    if self_loops:
        sources.append(np.arange(total))
        targets.append(np.arange(total))
    return build(
        total,
        np.concatenate(sources),
        np.concatenate(targets),
        node_type=np.repeat(np.arange(len(widths)), widths),
        node_type_names=list(sizes),
        node_sign=None if sign is None else np.repeat(sign, widths),
    )


def _mapping(name: str, value: Any, example: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} must be a mapping, got {arguments.described(value)}; pass {name}={example}"
        )
    return value


def _sizes(population_sizes: Mapping[str, int]) -> dict[str, int]:
    example = "{'exc': 800, 'inh': 200}"
    if not _mapping("population_sizes", population_sizes, example):
        raise ValueError(
            "population_sizes must name at least one population, got none; "
            f"pass population_sizes={example}"
        )
    for name in population_sizes:
        if not isinstance(name, str):
            raise TypeError(
                f"population_sizes must name populations by str, got "
                f"{arguments.described(name)}; pass population_sizes={example}"
            )
    return {
        name: arguments.count(f"population_sizes[{name!r}]", population_sizes[name])
        for name in population_sizes
    }


def _rules(
    connect: Mapping[Pair, Connector | Rule], sizes: dict[str, int]
) -> dict[Pair, Connector | Rule]:
    """Check the rules and return them in the order of the populations."""
    one = next(iter(sizes))
    example = f"{{({one!r}, {one!r}): graphs.FixedProbability(0.1)}}"
    for pair in _mapping("connect", connect, example):
        if not (isinstance(pair, tuple) and len(pair) == 2 and set(pair) <= set(sizes)):
            raise ValueError(
                f"connect must name pairs of the populations {list(sizes)}, got "
                f"{arguments.described(pair)}; pass for example connect={example}"
            )
    return {
        (sender, receiver): connectors.check(
            connect[sender, receiver], f"connect[{sender!r}, {receiver!r}]"
        )
        for sender in sizes
        for receiver in sizes
        if (sender, receiver) in connect
    }


def _signs(
    signs: Mapping[str, int], sizes: dict[str, int]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    example = dict.fromkeys(sizes, 1)
    if set(_mapping("signs", signs, str(example))) != set(sizes):
        raise ValueError(
            f"signs must name the populations {list(sizes)}, all or none, got {list(signs)}; "
            f"pass for example signs={example}"
        )
    for name, sign in signs.items():
        if not isinstance(sign, Real) or isinstance(sign, bool) or sign not in (-1, 0, 1):
            raise ValueError(
                f"signs[{name!r}] must be -1, 0 (unknown) or +1, got {arguments.described(sign)}; "
                f"pass signs={example}"
            )
    return np.array([signs[name] for name in sizes], np.float32)
