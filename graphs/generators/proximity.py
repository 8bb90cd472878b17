"""Synapses between neurons in reach of each other, drawn pair by pair in no order.

A synapse s -> t exists where its draw u(s, t) lies below its probability p(r). A draw is mixed out
of two numbers that NumPy draws, one for each neuron as it sends and one as it receives; so it
depends on no order in which pairs are met, and compiled code that walks through cells finds the
very graph that a k-d tree and NumPy find.

Only NumPy computes p, because exp() differs in the last bit between libraries. Where p never rises,
compiled code gets bounds on it over thin shells of distance, decides all but a few pairs by them,
and leaves those few to NumPy.
"""

import math
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from graphs import arguments, compiled
from graphs.contract import Index
from graphs.generators.profiles import Chance, Floats

Draws = NDArray[np.uint64]

# Pairs held at a time. The graph does not depend on it.
_BLOCK_PAIRS = 2_000_000
# Shells of distance for which compiled code knows bounds on p, about one for each neuron: one pair
# in hundreds stays open, and few neurons wait for no long table.
_FEWEST_SHELLS, _MOST_SHELLS = 256, 16_384
_FIRST_ROWS = 256
# Pairs sampled to estimate the number of synapses.
_SAMPLE = 4096

_UNIT = 2.0**53


class Space(NamedTuple):
    """Points [N, D], and of each axis the length that counts as 1 and the period, or inf."""

    points: NDArray[np.float32]
    scale: Floats
    period: Floats


class _Finder(Protocol):
    """Looks up the pairs in reach target by target, and leaves some open to be decided."""

    def search(self, last: int, /) -> tuple[Floats, Floats]:
        """Go on up to the target `last`; return squared distances and draws of the open pairs."""

    def settle(self, connected: NDArray[np.bool_], /) -> None:
        """Say which of these are connected."""

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
    """Return synapses [2, E] in canonical order, all of whose pairs lie within the reach.

    Without direction both synapses of a pair have the draw u(lower, higher).
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
        # Neurons may crowd somewhere, so that the rows ahead are longer than those behind.
        rows = max(1, min(2 * rows, int(rows * _BLOCK_PAIRS / max(1, len(draws)))))
    return finder.edges()


def check_room(names: str, space: Space, chance: Chance) -> None:
    """Refuse a graph that does not fit into memory.

    Args:
        names: Names of the arguments that determine its size.
        space: Where the neurons are.
        chance: The probability of a synapse at a distance.

    Raises:
        ValueError: The number of synapses, estimated from a sample of pairs, is too large.
    """
    neurons = len(space.points)
    if arguments.fits(neurons, float(neurons) ** 2):
        return
    # A generator of its own, so that the graph of a seed does not depend on the check.
    source, target = np.random.default_rng(0).integers(neurons, size=(2, _SAMPLE))
    distances = np.sqrt(_squares(space, source, target))
    near = distances[distances <= chance.reach]
    arguments.room(
        names,
        f"pass smaller {names}",
        neurons=neurons,
        synapses=float(neurons) ** 2 * float(chance.law(near).sum()) / _SAMPLE,
    )


def _bounds(chance: Chance, shells: int) -> tuple[Draws, Draws]:
    """Thresholds of a draw of 53 bits in each shell: below the one a synapse is certain, and from
    the other on impossible. The squares of the shells' borders are equally spaced.
    """
    if not chance.falls:
        return np.zeros(1, np.uint64), np.full(1, int(_UNIT), np.uint64)
    squares = np.linspace(0.0, 1.0, shells + 1)
    # Wider by more than any rounding, here and where a pair finds its shell.
    inner = chance.reach * np.sqrt(squares[:-1] * (1 - 1e-9))
    outer = chance.reach * np.sqrt(squares[1:] * (1 + 1e-9))
    least = np.clip(chance.law(outer) - 1e-12, 0.0, 1.0)
    most = np.clip(chance.law(inner) + 1e-12, 0.0, 1.0)
    return np.floor(least * _UNIT).astype(np.uint64), np.ceil(most * _UNIT).astype(np.uint64)


def _mixed(values: Draws) -> Floats:
    """The finalizer of SplitMix64 as a number in [0, 1), the same as in csrc/keys.hpp."""
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
    """What the compiled cells do, by a k-d tree; every pair in reach stays open."""

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
        # Slightly too far, so that the tree's rounding decides nothing.
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
        # In the order of targets and sources.
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
