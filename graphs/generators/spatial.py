"""Neurons at positions in space, connected with a probability that depends on distance."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch_geometric.data import Data

from graphs import arguments, memory
from graphs.contract import build_sorted
from graphs.generators.profiles import Floats, Law, ProfileName, chance
from graphs.generators.proximity import Space, check_room, connect

Placement = Literal["uniform", "lattice"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)

# Squares of longer distances would overflow float32.
_LONGEST = 1e18

# float32 coordinates differ by more than 1e-45 and less than 1e19, so lengths are clipped to these,
# whose squares are finite.
_SHORTEST_UNIT, _LONGEST_UNIT = 1e-50, 1e50


class Box(NamedTuple):
    """The box of the positions.

    Attributes:
        sides: Side lengths; coordinates are in [0, side).
        wraps: Which axes are periodic.
    """

    sides: tuple[float, ...]
    wraps: tuple[bool, ...]


def coordinate_random(
    num_nodes: int | None = None,
    extent: float | Sequence[float] | None = None,
    distance: float | Sequence[float] | None = None,
    *,
    profile: ProfileName | Law = "linear",
    p_max: float = 1.0,
    positions: Placement | ArrayLike = "uniform",
    jitter: float = 0.0,
    directed: bool | None = None,
    periodic: bool | Sequence[bool] = False,
    self_loops: bool = False,
    seed: int | np.random.Generator | None = None,
) -> Data:
    r"""Return neurons in a box, connected with a probability that depends on their distance.

    The graph of [1]_ has :math:`p(r) = \max(0, 1 - r / d)` with 2000 neurons in the box [20, 10]
    and d = 0.8. Far from the borders, at density :math:`\rho` on two axes, a neuron then has
    :math:`\rho \pi d^2 / 3` outgoing synapses of mean length d / 2; half of them are reciprocated.

    With P pairs within reach, the graph takes O(N log N + P) time and O(N + E) memory. On two axes
    there are about 3 pairs per synapse with the linear profile, 14 with the Gaussian and 95 with
    the exponential (440 on three axes). Distances are computed from the stored float32 positions.

    Args:
        num_nodes: Number of neurons N >= 0. Not needed if `positions` are coordinates.
        extent: Side lengths of the box, 1 to 3 of them. If `positions` are coordinates, it is only
            needed for periodic axes, and all positions must lie inside.
        distance: Length d >= 0 of the profile, or one length > 0 per axis: then r / d is
            :math:`\sqrt{\sum_a (x_a / d_a)^2}`, so that surfaces of equal probability are
            ellipsoids.
        profile: The function :math:`p(r) / p_{max}`. "linear" is max(0, 1 - r/d), "exponential"
            exp(-r/d), "gaussian" exp(-r^2 / (2 d^2)), and "step" 1 up to r = d. "mexican-hat" is

            .. math::
                \max\left(0, \frac{k^2 e^{-r^2 / 2 d^2} - e^{-r^2 / 2 k^2 d^2}}{k^2 - 1}\right)

            with k = 1.6, the difference of two Gaussians of equal volume on two axes [2]_. It is 1
            at r = 0 and 0 beyond r = 1.76 d, where the difference is negative. The exponential and
            the Gaussian are cut off where they fall below 1e-6, at r = 13.8 d and r = 5.26 d. A
            callable receives an array of distances r [P] (of r / d if there is a distance per
            axis) and returns probabilities [P]; pairs with r > d are never connected.
        p_max: Factor of the profile, in [0, 1].
        positions: "uniform" draws positions uniformly in the box. "lattice" places one neuron at
            the center of each cell of a lattice, in row-major order; cells are as close to cubes
            as `extent` and `num_nodes` allow. An array [N, D] gives the coordinates, which are
            stored as float32.
        jitter: Random displacement of neurons on a lattice, in [0, 1]: uniform and at most this
            fraction of half a cell along each axis. With 1, positions are uniform in their cells.
        directed: Whether the two directions of a pair are drawn independently. Otherwise there is
            one draw per pair, and both synapses exist or neither. Default: directed.
        periodic: Whether opposite sides of the box touch (a torus), for all axes or per axis.
        self_loops: Whether every neuron has a synapse onto itself (all neurons or none).
        seed: Random seed or generator. The same seed gives the same graph on every machine.

    Returns:
        ``edge_index`` int64 [2, E] and ``pos`` float32 [N, D].

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range; a callable returns another shape or values that
            are not probabilities; no lattice has `num_nodes` points; positions are not finite or
            outside the box; the reach is not below half of a periodic side, so that a pair could
            be connected both ways around; or the graph does not fit into memory.

    References:
        .. [1] A. Ejima, "Neurons regarded as Graph", figure 2.
        .. [2] D. Marr, E. Hildreth, "Theory of edge detection", Proceedings of the Royal Society of
           London B 207 (1980) 187-217.

    Example:
        >>> import graphs
        >>> data = graphs.coordinate_random(2000, (20, 10), 0.8, seed=0)
        >>> data.num_nodes, data.pos.shape
        (2000, torch.Size([2000, 2]))
        >>> 12_000 < data.num_edges < 14_000
        True
        >>> points = [[0.0], [1.0], [5.0]]
        >>> line = graphs.coordinate_random(positions=points, distance=2, profile="step")
        >>> line.edge_index.tolist()
        [[1, 0], [0, 1]]
        >>> sheet = graphs.coordinate_random(12, (4, 3), 1, positions="lattice", jitter=0.5, seed=0)
        >>> sheet.num_nodes
        12
    """
    rng = arguments.generator(seed)
    p_max = arguments.real("p_max", p_max, at_most=1.0)
    jitter = arguments.real("jitter", jitter, at_most=1.0)
    directed = arguments.directed(directed, by_default=True)
    self_loops = arguments.flag("self_loops", self_loops)
    placement: Placement | None = None
    if isinstance(positions, str):
        placement = arguments.option("positions", positions, PLACEMENTS)
        neurons = arguments.count("num_nodes", num_nodes)
        memory.check("num_nodes", "pass a smaller num_nodes", neurons=neurons)
        sides = box_sides(extent)
        box = Box(sides, arguments.flags("periodic", periodic, len(sides)))
    else:
        pos = _given(positions, num_nodes)
        neurons = len(pos)
        box = _box_of(pos, extent, arguments.flags("periodic", periodic, pos.shape[1]))
    length, scale = _lengths(distance, len(box.sides))
    law = chance(profile, length, p_max)
    _check_reach(law.reach * scale, box)
    if placement != "lattice" and jitter:
        raise ValueError(
            f"jitter must be 0 unless positions are a lattice, got {jitter}; pass jitter=0.0, or "
            'positions="lattice"'
        )
    if placement == "uniform":
        pos = scattered(neurons, box.sides, rng)
    elif placement == "lattice":
        pos = _lattice(neurons, box.sides, jitter, rng)
    sends, receives = rng.integers(2**64, size=(2, neurons), dtype=np.uint64)
    space = Space(pos, scale, np.where(box.wraps, box.sides, np.inf))
    check_room("num_nodes and distance", space, law)
    edges = connect(
        space,
        law,
        directed=directed,
        self_loops=self_loops,
        sends=sends,
        receives=receives,
    )
    return build_sorted(neurons, edges, pos=pos)


def box_sides(extent: Any) -> tuple[float, ...]:
    """Return the side lengths of a box.

    Args:
        extent: One side length, or a sequence of 1 to 3.

    Returns:
        The side lengths, which float32 can represent.

    Raises:
        TypeError: `extent` has the wrong type.
        ValueError: A side is not positive or too long, or there are more than three.
    """
    if arguments.is_list(extent):
        if not 1 <= len(extent) <= 3:
            raise ValueError(
                f"extent must have 1, 2 or 3 sides, got {len(extent)}; pass extent=(20.0, 10.0)"
            )
        sides = tuple(
            arguments.real(f"extent[{axis}]", side, positive=True)
            for axis, side in enumerate(extent)
        )
    else:
        sides = (arguments.real("extent", extent, positive=True),)
    if max(sides) > _LONGEST:
        raise ValueError(
            f"extent must be at most {_LONGEST:g}, because positions are float32, got "
            f"{max(sides):g}; pass it in a larger unit"
        )
    return sides


def scattered(
    neurons: int, sides: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return uniform random positions in the box, [N, D]."""
    return _stored(rng.random((neurons, len(sides))) * sides, sides)


def _stored(pos: Floats, sides: Sequence[float]) -> NDArray[np.float32]:
    # Rounding may move a coordinate onto the far side, which on a torus equals the near side.
    return np.minimum(
        pos.astype(np.float32), np.nextafter(np.asarray(sides, np.float32), np.float32(0))
    )


def _lattice(
    neurons: int, sides: Sequence[float], jitter: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    density = (neurons / math.prod(sides)) ** (1 / len(sides))
    shape = [max(1, round(side * density)) for side in sides]
    if neurons and math.prod(shape) != neurons:
        text = " x ".join(map(str, shape))
        raise ValueError(
            f"num_nodes must fill a lattice in the box {tuple(sides)}, got {neurons}; pass for "
            f"example num_nodes={math.prod(shape)}, which is {text}"
        )
    cells = np.indices(shape).reshape(len(shape), -1).T[:neurons]
    moved = (rng.random(cells.shape) - 0.5) * jitter
    return _stored((cells + 0.5 + moved) * (np.asarray(sides) / shape), sides)


def _given(positions: ArrayLike, num_nodes: int | None) -> NDArray[np.float32]:
    expected = 'positions must be "uniform", "lattice" or an array of numbers [N, D]'
    fix = "pass positions=np.random.default_rng(0).random((100, 2))"
    pos = arguments.array(expected, positions, fix)
    if pos.dtype.kind not in "iuf":
        raise TypeError(f"{expected}, got {arguments.described(positions)}; {fix}")
    if pos.ndim != 2 or pos.shape[1] not in (1, 2, 3):
        raise ValueError(
            f"positions must be an array [N, D] with D = 1, 2 or 3, got the shape {pos.shape}; "
            "pass positions=np.stack((x, y), axis=1)"
        )
    bad = ~(np.abs(pos) <= _LONGEST)
    if bad.any():
        at = int(np.flatnonzero(bad.any(axis=1))[0])
        raise ValueError(
            f"positions must be finite and within {_LONGEST:g}, got {pos[at].tolist()} at position "
            f"{at}; pass positions=positions[np.isfinite(positions).all(axis=1)]"
        )
    if num_nodes is not None and arguments.count("num_nodes", num_nodes) != len(pos):
        raise ValueError(
            f"num_nodes must be the number of positions, {len(pos)}, got {num_nodes}; pass "
            "num_nodes=None"
        )
    return pos.astype(np.float32)


def _box_of(
    pos: NDArray[np.float32], extent: float | Sequence[float] | None, wraps: tuple[bool, ...]
) -> Box:
    """Return the box of given positions: that of `extent`, or their bounding box."""
    if extent is None:
        if any(wraps):
            raise ValueError(
                "extent must be given with positions on a periodic axis, got None; pass for "
                f"example extent={tuple(1.0 for _ in wraps)}"
            )
        return Box(
            tuple(map(float, np.ptp(pos, axis=0) if len(pos) else np.zeros(pos.shape[1]))), wraps
        )
    sides = box_sides(extent)
    if len(sides) != pos.shape[1]:
        raise ValueError(
            f"extent must have one side for each of the {pos.shape[1]} axes of positions, got "
            f"{len(sides)}; pass extent={(sides[0],) * pos.shape[1]}"
        )
    outside = ((pos < 0) | (pos >= sides)).any(axis=1)
    if outside.any():
        at = int(np.flatnonzero(outside)[0])
        raise ValueError(
            f"positions must lie in [0, side) of the extent {sides}, got {pos[at].tolist()} at "
            f"position {at}; pass positions=positions - positions.min(axis=0), or a larger extent"
        )
    return Box(sides, wraps)


def _lengths(distance: Any, axes: int) -> tuple[float, Floats]:
    """Return the length of the profile, and the unit of length along each axis."""
    if not arguments.is_list(distance):
        length = arguments.real("distance", distance)
        if length:
            length = min(max(length, _SHORTEST_UNIT), _LONGEST_UNIT)
        return length, np.ones(axes)
    if len(distance) != axes:
        raise ValueError(
            f"distance must be one number, or one for each of the {axes} axes of extent, got "
            f"{len(distance)}; pass distance={(1.0,) * axes}"
        )
    each = [
        arguments.real(f"distance[{axis}]", value, positive=True)
        for axis, value in enumerate(distance)
    ]
    return 1.0, np.clip(each, _SHORTEST_UNIT, _LONGEST_UNIT)


def _check_reach(reaches: Floats, box: Box) -> None:
    for axis, (side, wrap, reach) in enumerate(
        zip(box.sides, box.wraps, reaches.tolist(), strict=True)
    ):
        if wrap and not reach < side / 2:
            raise ValueError(
                "distance must keep the reach on a periodic axis of extent below half of the side, "
                f"{side / 2:g}, got {reach:g} along axis {axis}; pass a smaller distance, or "
                "periodic=False"
            )
