"""Connection rules between two populations.

The concepts are those of [1]_, which NEST and PyNN share. Unlike in NEST, no pair is connected
twice and no neuron with itself.

=====================  =======================  ==========================================
here                   NEST                     PyNN
=====================  =======================  ==========================================
AllToAll()             all_to_all               AllToAllConnector
OneToOne()             one_to_one               OneToOneConnector
FixedProbability(p)    pairwise_bernoulli       FixedProbabilityConnector
FixedInDegree(k)       fixed_indegree           FixedNumberPreConnector
FixedOutDegree(k)      fixed_outdegree          FixedNumberPostConnector
FixedTotal(n)          fixed_total_number       FixedTotalNumberConnector
=====================  =======================  ==========================================

References:
    .. [1] J. Senk et al., "Connectivity concepts in neuronal network modeling", PLOS Computational
       Biology 18 (2022) e1010086.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphs import arguments, memory
from graphs.contract import Index
from graphs.generators import bipartite
from graphs.generators.bipartite import Ends

# A custom rule: a function of (number of sources, number of targets, random generator) that returns
# the sources and the targets of the synapses, both numbered from 0.
Rule = Callable[[int, int, np.random.Generator], tuple[Any, Any]]


class Connector(ABC):
    """A connection rule, whose arguments are checked when it is made."""

    @abstractmethod
    def connect(
        self, sources: int, targets: int, rng: np.random.Generator, *, same: bool, times: int
    ) -> Ends:
        """Return the synapses of `times` pairs of populations, stacked as in `bipartite`.

        Args:
            sources: Number of sources.
            targets: Number of targets.
            rng: Source of randomness.
            same: Whether sources and targets are the same neurons.
            times: Number of pairs of populations.

        Returns:
            Sources and targets of the synapses.

        Raises:
            ValueError: The rule does not fit these numbers of neurons.
        """


@dataclass(frozen=True)
class AllToAll(Connector):
    """Connect every source to every target."""

    def connect(  # noqa: D102
        self, sources: int, targets: int, rng: np.random.Generator, *, same: bool, times: int
    ) -> Ends:
        _fits(self, float(times) * sources * targets)
        return bipartite.all_to_all(sources, targets, same=same, times=times)


@dataclass(frozen=True)
class OneToOne(Connector):
    """Connect each source to the target with the same number, in populations of the same size."""

    def connect(  # noqa: D102
        self, sources: int, targets: int, rng: np.random.Generator, *, same: bool, times: int
    ) -> Ends:
        if same:
            raise ValueError(
                "OneToOne() must have two populations, got one with itself, which would be "
                "self-loops; pass self_loops=True for these, or another rule"
            )
        if sources != targets:
            raise ValueError(
                f"OneToOne() must have populations of one size, got {sources} sources and "
                f"{targets} targets; pass FixedInDegree(1) or FixedOutDegree(1)"
            )
        return bipartite.one_to_one(sources, times=times)


@dataclass(frozen=True)
class FixedProbability(Connector):
    """Connect each pair with the same probability, independently of all others.

    Args:
        probability: Connection probability in [0, 1].
    """

    probability: float

    def __post_init__(self) -> None:
        arguments.real("probability", self.probability, at_most=1.0)

    def connect(  # noqa: D102
        self, sources: int, targets: int, rng: np.random.Generator, *, same: bool, times: int
    ) -> Ends:
        _fits(self, float(times) * sources * targets * self.probability)
        return bipartite.fixed_probability(
            sources, targets, self.probability, rng, same=same, times=times
        )


@dataclass(frozen=True)
class FixedInDegree(Connector):
    """Connect each target to the same number of sources.

    Args:
        degree: In-degree >= 0 of every target.
    """

    degree: int

    def __post_init__(self) -> None:
        arguments.count("degree", self.degree)

    def connect(  # noqa: D102
        self, sources: int, targets: int, rng: np.random.Generator, *, same: bool, times: int
    ) -> Ends:
        _room(self, self.degree, sources - same if targets else self.degree, "sources per target")
        _fits(self, float(times) * targets * self.degree)
        return bipartite.fixed_in_degree(sources, targets, self.degree, rng, same=same, times=times)


@dataclass(frozen=True)
class FixedOutDegree(Connector):
    """Connect each source to the same number of targets.

    Args:
        degree: Out-degree >= 0 of every source.
    """

    degree: int

    def __post_init__(self) -> None:
        arguments.count("degree", self.degree)

    def connect(  # noqa: D102
        self, sources: int, targets: int, rng: np.random.Generator, *, same: bool, times: int
    ) -> Ends:
        _room(self, self.degree, targets - same if sources else self.degree, "targets per source")
        _fits(self, float(times) * sources * self.degree)
        return bipartite.fixed_out_degree(
            sources, targets, self.degree, rng, same=same, times=times
        )


@dataclass(frozen=True)
class FixedTotal(Connector):
    """Connect a given number of pairs, all sets of pairs equally likely.

    Args:
        num_edges: Number of synapses >= 0.
    """

    num_edges: int

    def __post_init__(self) -> None:
        _fits(self, arguments.count("num_edges", self.num_edges))

    def connect(  # noqa: D102
        self, sources: int, targets: int, rng: np.random.Generator, *, same: bool, times: int
    ) -> Ends:
        _room(self, self.num_edges, sources * (targets - same), "pairs")
        _fits(self, float(times) * self.num_edges)
        return bipartite.fixed_total(sources, targets, self.num_edges, rng, same=same, times=times)


def _room(rule: Connector, wanted: int, most: int, what: str) -> None:
    if wanted > most:
        raise ValueError(
            f"{rule} must have at least {wanted} {what}, got {most}; "
            f"pass {type(rule).__name__}({most}) or less"
        )


def _fits(rule: Connector, synapses: float) -> None:
    memory.check(str(rule), "pass another rule, or smaller populations", synapses=synapses)


def check(rule: Any, what: str) -> "Connector | Rule":
    """Return a connection rule.

    Args:
        rule: What the caller passed.
        what: Name of the argument.

    Returns:
        The rule.

    Raises:
        TypeError: `rule` is neither a connection rule nor a function.
    """
    if isinstance(rule, Connector) or arguments.is_function(rule):
        return rule
    fix = f"{rule.__name__}(...)" if isinstance(rule, type) else "graphs.FixedProbability(0.1)"
    raise TypeError(
        f"{what} must be a connection rule or a function of (sources, targets, rng), got "
        f"{arguments.described(rule)}; pass for example {fix}"
    )


def connect(
    rule: Connector | Rule,
    sources: int,
    targets: int,
    rng: np.random.Generator,
    *,
    same: bool = False,
    times: int = 1,
) -> Ends:
    """Return the synapses of a rule or function.

    Args:
        rule: A connection rule or function. What a function returns is checked.
        sources: Number of sources.
        targets: Number of targets.
        rng: Source of randomness.
        same: Whether sources and targets are the same neurons.
        times: Number of pairs of populations.

    Returns:
        Sources and targets of the synapses, stacked as in `bipartite`.

    Raises:
        TypeError: A function does not return two arrays.
        ValueError: The rule does not fit these numbers of neurons, or a function returns invalid
            pairs.
    """
    if isinstance(rule, Connector):
        return rule.connect(sources, targets, rng, same=same, times=times)
    parts = [_called(rule, sources, targets, rng, same) for _ in range(times)]
    none = np.empty(0, np.int64)
    source = [part[0] + number * sources for number, part in enumerate(parts)]
    return np.concatenate([*source, none]), np.concatenate([*(part[1] for part in parts), none])


def _called(rule: Rule, sources: int, targets: int, rng: np.random.Generator, same: bool) -> Ends:
    expected = (
        f"a connection rule must return sources in [0, {sources}) and targets in [0, {targets})"
    )
    result = rule(sources, targets, rng)
    fix = "return (source, target)"
    try:
        source, target = result
    except (TypeError, ValueError) as error:
        raise type(error)(f"{expected}, got {arguments.described(result)}; {fix}") from error
    source, target = (arguments.array(expected, end, fix) for end in (source, target))
    ends: list[Index] = []
    for end, size in ((source, sources), (target, targets)):
        if end.ndim != 1 or source.size != target.size or (end.size and end.dtype.kind not in "iu"):
            raise ValueError(
                f"{expected}, got {end.dtype} of shape {end.shape}; return two integer arrays of "
                "one length"
            )
        if end.size and (end.min() < 0 or end.max() >= size):
            raise ValueError(
                f"{expected}, got [{end.min()}, {end.max()}] where the size is {size}; number "
                "both from 0"
            )
        ends.append(end.astype(np.int64))
    key = np.sort(ends[0] * targets + ends[1])
    if (key[1:] == key[:-1]).any() or (same and (ends[0] == ends[1]).any()):
        raise ValueError(
            "a connection rule must return each pair once and no self-loops, got "
            "others; return numpy.unique(pairs, axis=1), and pass self_loops=True for "
            "self-loops"
        )
    return ends[0], ends[1]
