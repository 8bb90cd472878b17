"""Synapses between neurons within reach of each other.

A synapse s -> t exists if its random number u(s, t) is below its probability p(r). u is a hash of
two numbers that NumPy draws, one for the source and one for the target. It does not depend on the
order in which pairs are visited, so the compiled code, which searches cells, and the k-d tree of
SciPy find the same graph.

Only NumPy computes p, because exp() differs in the last bit between libraries. If p never increases
with distance, the compiled code is given bounds on p in thin shells of distance. It decides almost
all pairs by these bounds and leaves the rest to NumPy.
"""

import math
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from graphs import compiled, memory
from graphs.contract import Index
from graphs.generators.profiles import Chance, Floats

Draws = NDArray[np.uint64]

# Number of pairs held at a time. The graph does not depend on it.
_BLOCK_PAIRS = 2_000_000
# Number of distance shells with bounds on p, about one per neuron: bounds leave about one pair in
# hundreds undecided, and small graphs need only a short table.
_FEWEST_SHELLS, _MOST_SHELLS = 256, 16_384
_FIRST_ROWS = 256
# Pairs sampled to estimate the number of synapses.
_SAMPLE = 4096

_UNIT = 2.0**53


class Space(NamedTuple):
    """Positions and metric.

    Attributes:
        points: Positions [N, D].
        scale: Unit of length along each axis [D].
        period: Period of each axis [D], inf if it is not periodic.
    """

    points: NDArray[np.float32]
    scale: Floats
    period: Floats


class _Finder(Protocol):
    """A search for the pairs within reach, target by target, that leaves some pairs undecided."""

    def search(self, last: int, /) -> tuple[Floats, Floats]:
        """Advance to target `last`; return squared distances and draws of the undecided pairs."""

    def settle(self, connected: NDArray[np.bool_], /) -> None:
        """Decide which of the undecided pairs are connected."""

    def edges(self) -> Index:
        """Return all synapses [2, E] in canonical order."""


def connect(
    space: Space,
    chance: Chance,
    *,
    directed: bool,
    self_loops: bool,
    sends: Draws,
    receives: Draws,
) -> Index:
    """Return the synapses between neurons within reach, [2, E] in canonical order.

    Args:
        space: Positions and metric.
        chance: The probability of a synapse at a distance.
        directed: Whether the directions of a pair are drawn independently; otherwise both have the
            random number u(lower, higher).
        self_loops: Whether every neuron has a synapse onto itself.
        sends: Random number of each neuron as a source [N].
        receives: Random number of each neuron as a target [N].

    Returns:
        Sources and targets.
    """
    neurons = len(space.points)
    if not chance.reach > 0:
        return np.tile(np.arange(neurons if self_loops else 0), (2, 1))
    helpers = compiled.module()
    finder: _Finder
    if helpers is None:
        finder = _Tree(space, chance.reach, directed, self_loops, sends, receives)
    else:
        bounds = _bounds(chance, min(max(neurons, _FEWEST_SHELLS), _MOST_SHELLS))
        finder = helpers.Cells(*space, chance.reach, sends, receives, *bounds, directed, self_loops)
    last, rows = 0, max(_FIRST_ROWS, _BLOCK_PAIRS // max(1, neurons))
    while last < neurons:
        last = min(neurons, last + rows)
        squares, draws = finder.search(last)
        distances = np.sqrt(squares)
        connected = distances <= chance.reach
        connected[connected] = draws[connected] < chance.law(distances[connected])
        finder.settle(connected)
        # Neurons may be denser among the targets to come, so that their rows are longer.
        rows = max(1, min(2 * rows, int(rows * _BLOCK_PAIRS / max(1, len(draws)))))
    return finder.edges()


def check_room(names: str, space: Space, chance: Chance) -> None:
    """Refuse a graph that does not fit into memory.

    Args:
        names: Names of the arguments that determine its size.
        space: Positions and metric.
        chance: The probability of a synapse at a distance.

    Raises:
        ValueError: The number of synapses, estimated from a sample of pairs, is too large.
    """
    neurons = len(space.points)
    if memory.fits(neurons, float(neurons) ** 2):
        return
    # A generator of its own, so that the graph of a seed does not depend on the check.
    source, target = np.random.default_rng(0).integers(neurons, size=(2, _SAMPLE))
    distances = np.sqrt(_squares(space, source, target))
    near = distances[distances <= chance.reach]
    memory.check(
        names,
        f"pass smaller {names}",
        neurons=neurons,
        synapses=float(neurons) ** 2 * float(chance.law(near).sum()) / _SAMPLE,
    )


def _bounds(chance: Chance, shells: int) -> tuple[Draws, Draws]:
    """Return two thresholds of a 53-bit random number for each shell of distance.

    Below the first a synapse is certain, and from the second on it is impossible. The squared radii
    of the shells are equally spaced.
    """
    if not chance.falls:
        return np.zeros(1, np.uint64), np.full(1, int(_UNIT), np.uint64)
    squares = np.linspace(0.0, 1.0, shells + 1)
    # Shells are widened by more than the rounding errors, here and in the search of a shell.
    inner = chance.reach * np.sqrt(squares[:-1] * (1 - 1e-9))
    outer = chance.reach * np.sqrt(squares[1:] * (1 + 1e-9))
    least = np.clip(chance.law(outer) - 1e-12, 0.0, 1.0)
    most = np.clip(chance.law(inner) + 1e-12, 0.0, 1.0)
    return np.floor(least * _UNIT).astype(np.uint64), np.ceil(most * _UNIT).astype(np.uint64)


def _mixed(values: Draws) -> Floats:
    """Return the finalizer of SplitMix64 as a number in [0, 1), as in csrc/keys.hpp."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return (values >> np.uint64(11)) / _UNIT


def _squares(space: Space, source: Index, target: Index) -> Floats:
    """Return the squared distances of pairs."""
    squares = np.zeros(len(source))
    for axis in range(space.points.shape[1]):
        points = space.points[:, axis].astype(np.float64)
        gap = np.abs(points[source] - points[target])
        if math.isfinite(space.period[axis]):
            gap = np.minimum(gap, space.period[axis] - gap)
        squares += (gap / space.scale[axis]) ** 2
    return squares


class _Tree:
    """The same search as in the compiled code, by a k-d tree; every pair in reach is undecided."""

    def __init__(
        self,
        space: Space,
        reach: float,
        directed: bool,
        self_loops: bool,
        sends: Draws,
        receives: Draws,
    ) -> None:
        self._space, self._directed, self._self_loops = space, directed, self_loops
        self._sends, self._receives = sends, receives
        # Slightly larger, so that rounding errors of the tree exclude no pair.
        self._reach = reach * (1 + 1e-9)
        self._scaled = space.points.astype(np.float64) / space.scale
        self._box = np.where(np.isinf(space.period), 0.0, space.period / space.scale)
        self._tree = KDTree(self._scaled, boxsize=self._box)
        self._done = 0
        self._open = np.empty((2, 0), np.int64)
        self._found = [self._open]

    def search(self, last: int, /) -> tuple[Floats, Floats]:
        part = KDTree(self._scaled[self._done : last], boxsize=self._box)
        near = part.sparse_distance_matrix(self._tree, self._reach, output_type="ndarray")
        neurons = len(self._scaled)
        # Sort by target and source.
        key = np.sort((near["i"] + self._done) * neurons + near["j"])
        target, source = np.divmod(key, neurons)
        self._open = np.stack((source, target))[:, source != target]
        self._done = last
        return self._pairs(*self._open)

    def settle(self, connected: NDArray[np.bool_], /) -> None:
        self._found.append(self._open[:, connected])

    def edges(self) -> Index:
        source, target = np.concatenate(self._found, axis=1)
        if self._self_loops:
            every = np.arange(len(self._scaled))
            at = np.searchsorted(target * len(every) + source, every * (len(every) + 1))
            source, target = np.insert(source, at, every), np.insert(target, at, every)
        return np.stack((source, target))

    def _pairs(self, source: Index, target: Index) -> tuple[Floats, Floats]:
        squares = _squares(self._space, source, target)
        if not self._directed:
            source, target = np.minimum(source, target), np.maximum(source, target)
        return squares, _mixed(self._sends[source] + self._receives[target])
