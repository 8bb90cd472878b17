"""Neurons at random places, connected with a probability that falls with distance."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build

Floats = NDArray[np.float64]
Law = Callable[[Floats], Floats]


class Profile(NamedTuple):
    """A connection probability: `law` of r / d, which vanishes beyond `reach` times d."""

    law: Law
    reach: float


# Below this probability a pair counts as out of reach.
_NEGLIGIBLE = 1e-6

PROFILES = {
    "linear": Profile(lambda u: np.maximum(0.0, 1.0 - u), 1.0),
    "exponential": Profile(lambda u: np.exp(-u), -math.log(_NEGLIGIBLE)),
    "gaussian": Profile(lambda u: np.exp(-(u**2) / 2), math.sqrt(-2 * math.log(_NEGLIGIBLE))),
    "step": Profile(lambda u: np.where(u <= 1.0, 1.0, 0.0), 1.0),
}

# Squares of distances beyond it would overflow float32.
_LONGEST = 1e18

# Candidate pairs held at a time. The graph does not depend on it.
_BLOCK_PAIRS = 2_000_000


def coordinate_random(
    num_neurons: int,
    extent: float | Sequence[float],
    distance: float,
    *,
    profile: str | Law = "linear",
    directed: bool = True,
    periodic: bool | Sequence[bool] = False,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return neurons uniform in a box, connected with probability p(r) at distance r.

    The paper's graph [1]_ has :math:`p(r) = \max(0, 1 - r / d)` for 2000 neurons in the box
    [20, 10] with d = 0.8. In the bulk, of density :math:`\rho` on two axes, a neuron then sends
    :math:`\rho \pi d^2 / 3` synapses of mean length d / 2; half of them are answered
    (reciprocity 1/2).

    Parameters
    ----------
    num_neurons : int
        Number of neurons N >= 0.
    extent : float or sequence of float
        Side lengths of the box, 1 to 3 of them.
    distance : float
        Length d >= 0 of the profile.
    profile : {"linear", "exponential", "gaussian", "step"} or callable
        p(r): max(0, 1 - r/d), exp(-r/d), exp(-r^2 / (2 d^2)), or 1 up to r = d. The exponential and
        the gaussian are cut off where they fall below 1e-6, at r = 13.8 d and r = 5.26 d.
        A callable takes an array of distances [P] and returns their probabilities [P]; pairs with
        r > `distance` are never connected.
    directed : bool
        Whether each direction of a pair is drawn by itself; otherwise there is one draw per pair,
        and both directions are present or none.
    periodic : bool or sequence of bool
        Whether opposite sides of the box touch (a torus), for all axes or for each.
    self_loops : bool
        Whether each neuron also sends to itself; never drawn, all or none.
    seed : int, numpy.random.Generator or None
        Source of randomness. The same seed gives the same graph on every machine.

    Returns
    -------
    torch_geometric.data.Data
        ``edge_index`` int64 [2, E] and ``pos`` float32 [N, D].

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or of another type, an option is unknown, a callable returns
        another shape or no probabilities, or the reach is not below half of a periodic side, so
        that a pair could meet both ways around.

    Notes
    -----
    Pairs out of reach are never enumerated: O(N log N) time for the k-d tree and O(P log P) for the
    P pairs in reach, O(N + E) memory. Distances are taken between the positions as stored, and
    pairs are sorted before anything is drawn, so that the graph does not depend on the tree.

    References
    ----------
    .. [1] A. Ejima, "Neurons regarded as Graph", figure 2.

    Examples
    --------
    >>> import graphs
    >>> data = graphs.coordinate_random(2000, (20, 10), 0.8, seed=0)
    >>> data.num_nodes, data.pos.shape
    (2000, torch.Size([2000, 2]))
    >>> 12_000 < data.num_edges < 14_000
    True
    """
    neurons = arguments.count("num_neurons", num_neurons)
    sides = _sides(extent)
    if max(sides) > _LONGEST:
        raise ValueError(
            f"extent must stay below {_LONGEST:g}, as positions are float32, got {max(sides):g}; "
            "pass it in a larger unit"
        )
    law, reach = _resolve(profile, arguments.real("distance", distance))
    directed = arguments.flag("directed", directed)
    wraps = arguments.flags("periodic", periodic, len(sides))
    for axis, (side, wrap) in enumerate(zip(sides, wraps, strict=True)):
        if wrap and not reach < side / 2:
            raise ValueError(
                f"on a periodic axis the reach must stay below half of the side, {side / 2:g}, got "
                f"{reach:g} along axis {axis}; pass a smaller distance, or periodic=False"
            )
    rng = arguments.generator(seed)
    pos = _positions(neurons, sides, rng)
    period = np.where(wraps, sides, 0.0)
    sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first, second, distances in _pairs(pos, reach, period, sides):
        chance = _probabilities(law, distances)
        draws = rng.random((len(chance), 2 if directed else 1))
        forward, backward = draws[:, 0] < chance, draws[:, -1] < chance
        sources += [first[forward], second[backward]]
        targets += [second[forward], first[backward]]
    if arguments.flag("self_loops", self_loops):
        sources.append(np.arange(neurons))
        targets.append(np.arange(neurons))
    return build(neurons, np.concatenate(sources), np.concatenate(targets), pos=pos)


def _sides(extent: float | Sequence[float]) -> tuple[float, ...]:
    if isinstance(extent, Sequence | np.ndarray) and not isinstance(extent, str):
        if not 1 <= len(extent) <= 3:
            raise ValueError(
                f"extent must have 1, 2 or 3 sides, got {len(extent)}; pass extent=(20.0, 10.0)"
            )
        return tuple(
            arguments.real(f"extent[{axis}]", side, positive=True)
            for axis, side in enumerate(extent)
        )
    return (arguments.real("extent", extent, positive=True),)


def _resolve(profile: str | Law, distance: float) -> tuple[Law, float]:
    """Return p as a function of r, and the distance beyond which it vanishes."""
    if callable(profile):
        return profile, distance
    law, reach = PROFILES[arguments.option("profile", profile, PROFILES)]
    return lambda r: law(r / distance), reach * distance


def _positions(
    neurons: int, sides: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float32]:
    pos = (rng.random((neurons, len(sides))) * sides).astype(np.float32)
    # Rounding may lift a coordinate onto the far side, which on a torus is the near side.
    return np.minimum(pos, np.nextafter(np.asarray(sides, np.float32), np.float32(0)))


def _pairs(
    pos: NDArray[np.float32], reach: float, period: Floats, sides: Sequence[float]
) -> Iterator[tuple[Index, Index, Floats]]:
    """Yield all pairs i < j within reach with their distances, sorted by (i, j), in blocks of i."""
    neurons, axes = pos.shape
    if neurons < 2 or reach == 0:
        return
    points = pos.astype(np.float64)
    tree = KDTree(points, boxsize=period)
    reach = min(reach, 2 * math.hypot(*sides))
    ball = (2, math.pi, 4 * math.pi / 3)[axes - 1] * reach**axes
    neighbours = neurons * min(1.0, ball / math.prod(sides))
    block = max(1, int(_BLOCK_PAIRS / max(1.0, neighbours)))
    for start in range(0, neurons, block):
        part = KDTree(points[start : start + block], boxsize=period)
        # Slightly too far, so that the tree's rounding decides nothing.
        near = part.sparse_distance_matrix(tree, reach * (1 + 1e-9), output_type="ndarray")
        first, second = near["i"] + start, near["j"]
        key = np.sort((first * neurons + second)[first < second])
        first, second = np.divmod(key, neurons)
        gap = np.abs(points[first] - points[second])
        gap = np.where(period > 0, np.minimum(gap, period - gap), gap)
        distances = np.sqrt((gap**2).sum(axis=1))
        within = distances <= reach
        yield first[within], second[within], distances[within]


def _probabilities(law: Law, distances: Floats) -> Floats:
    if len(distances) == 0:
        return distances
    chance = np.asarray(law(distances))
    if chance.shape != distances.shape or chance.dtype.kind not in "biuf":
        raise ValueError(
            f"profile must return one probability for each of {len(distances)} distances, got "
            f"{chance.dtype} of shape {chance.shape}; pass profile=lambda r: np.exp(-r)"
        )
    bad = ~((chance >= 0) & (chance <= 1))
    if bad.any():
        raise ValueError(
            f"profile must return probabilities in [0, 1], got {chance[bad][0]} at r = "
            f"{distances[bad][0]:g}; pass profile=lambda r: np.clip(law(r), 0, 1)"
        )
    return chance
