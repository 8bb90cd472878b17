"""Functions that fit an argument of a generator to a number of synapses.

Each takes the generator, the name of the argument, all other arguments except the seed, the number
of synapses to match, and the seed. It returns the connectome.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch_geometric.data import Data

import graphs
from graphs import arguments as checks
from graphs.generators.profiles import PROFILES

Make = Callable[..., Data]
Fit = Callable[[Make, str, Mapping[str, Any], int, int], Data]

_HALVINGS = 16
_ATTEMPTS = 64
_STEP = 2e-4
_CLOSE_ENOUGH = 5e-4


class _Nearest:
    """Keeps the connectome whose number of synapses is closest to the wanted number."""

    def __init__(self, make: Callable[[Any], Data], num_edges: int) -> None:
        self._make = make
        self._wanted = num_edges
        self._best: Data | None = None

    def try_value(self, value: Any) -> int:
        """Make a connectome, and return by how many its synapses exceed the wanted number."""
        data = self._make(value)
        if self._best is None or self._off(data) < self._off(self._best):
            self._best = data
        return int(data.num_edges) - self._wanted

    @property
    def near(self) -> bool:
        """Whether the best connectome is close enough."""
        return self._off(self.best) <= _CLOSE_ENOUGH * self._wanted

    @property
    def best(self) -> Data:
        """The nearest connectome, the first of several."""
        assert self._best is not None
        return self._best

    def _off(self, data: Data) -> int:
        return abs(int(data.num_edges) - self._wanted)


def search(make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int) -> Data:
    """Fit a number, of which the synapses are an increasing function, by doubling and bisection.

    Integers start at 1. A value that the generator refuses counts as too large.
    """
    takes_seed = "seed" in inspect.signature(make).parameters
    others = {**arguments, "seed": seed} if takes_seed else arguments
    nearest = _Nearest(lambda value: make(**others, **{name: value}), num_edges)
    whole = typing.get_type_hints(make).get(name) is int
    # The search starts from below, so that no try has many more synapses than wanted.
    low, high = (0, 1) if whole else (0.0, _STEP)
    few = nearest.try_value(high) < 0

    def brings_few(value: float) -> bool:
        try:
            return nearest.try_value(value) < 0
        except ValueError:
            return False

    for _ in range(_ATTEMPTS):
        if not few:
            break
        low, high = high, 2 * high
        few = brings_few(high)
    for _ in range(_HALVINGS):
        middle = (low + high) // 2 if whole else (low + high) / 2
        if nearest.near or middle == low:
            break
        low, high = (middle, high) if brings_few(middle) else (low, middle)
    return nearest.best


def distance(
    make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int
) -> Data:
    """Fit the length scale of connections in a box."""
    sides = _sides(arguments)
    longest = math.hypot(*sides)
    if arguments["periodic"]:
        # On a torus, the reach must be below half a side.
        profile = PROFILES.get(arguments["profile"])
        longest = 0.499 * min(sides) / (profile.reach if profile else 1)
    nearest = _Nearest(lambda length: make(**arguments, **{name: length}, seed=seed), num_edges)
    return _fit_length(nearest, _spacing(arguments), longest)


def inverse_distance(
    make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int
) -> Data:
    """Fit the rate at which the connection probability decreases with distance."""
    nearest = _Nearest(lambda length: make(**arguments, **{name: 1 / length}, seed=seed), num_edges)
    # With ten times the diagonal, nearly all pairs are connected with probability beta.
    return _fit_length(nearest, _spacing(arguments), 10 * math.hypot(*_sides(arguments)))


def neighbors(
    make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int
) -> Data:
    """Fit the even number of neighbors on a ring; added shortcuts reduce it."""
    num_nodes = arguments["num_nodes"]
    per_neuron = num_edges / max(num_nodes, 1) - arguments["self_loops"]
    if arguments["method"] == "newman-watts":
        per_neuron /= 1 + arguments["rewire"]
    both_sides = 2 * max(min(round(per_neuron / 2), (num_nodes - 1) // 2), 0)
    return make(**arguments, **{name: both_sides}, seed=seed)


def degree(make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int) -> Data:
    """Fit a degree that all neurons share."""
    num_nodes = arguments["num_nodes"]
    per_neuron = num_edges / max(num_nodes, 1) - arguments["self_loops"]
    of_each = max(min(round(per_neuron), num_nodes - 1), 0)
    return make(**arguments, **{name: of_each}, seed=seed)


def newcomers_edges(
    make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int
) -> Data:
    """Fit the number of synapses of each new neuron of a growing graph."""
    num_nodes = arguments["num_nodes"]
    pairs = num_edges - num_nodes * arguments["self_loops"]
    # None means undirected.
    pairs /= 1 if arguments["directed"] else 2
    # The graph has m (N - m) pairs, which is largest at m = N / 2.
    of_each = min(
        range(1, max(num_nodes // 2, 1) + 1), key=lambda m: abs(m * (num_nodes - m) - pairs)
    )
    return make(**arguments, **{name: of_each}, seed=seed)


def exact_number(
    make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int
) -> Data:
    """Draw exactly the wanted number of pairs, instead of fitting their probability."""
    num_nodes = arguments["num_nodes"]
    drawn = num_edges - num_nodes * arguments["self_loops"]
    # None means directed.
    drawn -= drawn % (2 if arguments["directed"] is False else 1)
    drawn = max(min(drawn, num_nodes * (num_nodes - 1)), 0)
    return graphs.fixed_total(**arguments, num_edges=drawn, seed=seed)


def as_it_is(
    make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int
) -> Data:
    """Pass the number of synapses itself, to a generator that has it as an argument."""
    takes_seed = "seed" in inspect.signature(make).parameters
    return make(**arguments, **{name: num_edges}, **({"seed": seed} if takes_seed else {}))


def probability_of(count_pairs: Callable[..., float]) -> Fit:
    """Return the fit of a connection probability.

    The number of synapses is random. The fit takes the first of several connectomes that is close
    enough, or otherwise the closest one.

    Args:
        count_pairs: Returns the expected number of synapses at probability 1.
    """

    def fit(make: Make, name: str, arguments: Mapping[str, Any], num_edges: int, seed: int) -> Data:
        wanted = max(num_edges - arguments["num_nodes"] * arguments["self_loops"], 0)
        probability = min(wanted / max(count_pairs(**arguments), 1), 1.0)
        nearest = _Nearest(
            lambda rng: make(**arguments, **{name: probability}, seed=rng), num_edges
        )
        for attempt in range(_ATTEMPTS):
            nearest.try_value(np.random.default_rng([seed, attempt]))
            if nearest.near:
                break
        return nearest.best

    return fit


def _sides(arguments: Mapping[str, Any]) -> tuple[float, ...]:
    extent = arguments["extent"]
    sides = (extent,) if isinstance(extent, float | int) else tuple(extent)
    return tuple(checks.real("extent", side, positive=True) for side in sides)


def _spacing(arguments: Mapping[str, Any]) -> float:
    sides = _sides(arguments)
    return float((math.prod(sides) / max(arguments["num_nodes"], 1)) ** (1 / len(sides)))


def _fit_length(nearest: _Nearest, start: float, longest: float) -> Data:
    """Fit a length scale, and return the nearest connectome.

    The number of synapses increases with the length. If it does so only on average, because another
    length places other neurons, lengths near the last one are tried as well.
    """
    low, high = 0.0, min(start, longest)
    # The search starts from below, so that no try has many more synapses than wanted.
    while nearest.try_value(high) < 0 and high < longest:
        low, high = high, min(2 * high, longest)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if nearest.try_value(middle) < 0 else (low, middle)
    for step in range(1, _ATTEMPTS):
        if nearest.near:
            break
        nearest.try_value(min(high * (1 + (-1) ** step * step * _STEP), longest))
    return nearest.best
