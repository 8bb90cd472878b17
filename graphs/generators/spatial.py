"""Neurons at places in space, connected with a probability that falls with distance."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build_sorted
from graphs.generators.profiles import Floats, Law, ProfileName, chance
from graphs.generators.proximity import Space, check_room, connect

Placement = Literal["uniform", "lattice"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)

# Squares of distances beyond it would overflow float32.
_LONGEST = 1e18

# No two coordinates in float32 differ by less than 1e-45 or by more than 1e19: shorter and longer
# distances mean the same as these, whose squares are still finite.
_SHORTEST_UNIT, _LONGEST_UNIT = 1e-50, 1e50


class Box(NamedTuple):
    """Where neurons may lie: [0, side) along each axis, and which of the axes close to a ring."""

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
    r"""Return neurons in a box, connected with probability p(r) at distance r.

    The paper's graph [1]_ has :math:`p(r) = \max(0, 1 - r / d)` for 2000 neurons in the box
    [20, 10] with d = 0.8. In the bulk, of density :math:`\rho` on two axes, a neuron then sends
    :math:`\rho \pi d^2 / 3` synapses of mean length d / 2; half of them are answered
    (reciprocity 1/2).

    Parameters
    ----------
    num_nodes : int, optional
        Number of neurons N >= 0. Left out if `positions` are given.
    extent : float or sequence of float, optional
        Side lengths of the box, 1 to 3 of them. If `positions` are given, it is only needed for
        periodic axes, and they must lie in it.
    distance : float or sequence of float
        Length d >= 0 of the profile, or one length > 0 for each axis: then r / d is
        :math:`\sqrt{\sum_a (x_a / d_a)^2}`, so that equal probabilities lie on an ellipsoid.
    profile : {"linear", "exponential", "gaussian", "step", "mexican-hat"} or callable
        :math:`p(r) / p_{max}`: max(0, 1 - r/d), exp(-r/d), exp(-r^2 / (2 d^2)), 1 up to r = d, or

        .. math:: \max\left(0, \frac{k^2 e^{-r^2 / 2 d^2} - e^{-r^2 / 2 k^2 d^2}}{k^2 - 1}\right)

        with k = 1.6: the difference of two gaussians of equal volume on two axes [2]_, 1 at r = 0
        and 0 from r = 1.76 d on, as an inhibiting surround is no probability. The exponential and
        the gaussian are cut off where they fall below 1e-6, at r = 13.8 d and r = 5.26 d. A
        callable takes an array of r [P], or of r / d if there is a distance for each axis, and
        returns the probabilities [P]; pairs with r > d are never connected.
    p_max : float
        Factor of the profile in [0, 1].
    positions : {"uniform", "lattice"} or array [N, D]
        Uniform in the box, or one neuron in the middle of each cell of a lattice whose cells are as
        nearly cubes as `extent` and `num_nodes` permit, in row-major order; or given coordinates,
        which are stored as float32.
    jitter : float
        How far neurons leave their place on the lattice, in [0, 1]: uniformly by at most this share
        of half a cell along each axis. With 1 they are uniform in their cells.
    directed : bool, optional
        Whether each direction of a pair is drawn by itself; otherwise there is one draw per pair,
        and both directions are present or none.
        Left out, the graph is directed.
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
        another shape or no probabilities, the lattice has no `num_nodes` points, positions are
        not finite or not in the box, or the reach is not below half of a periodic side, so that a
        pair could meet both ways around.

    Notes
    -----
    Only pairs about the reach are met: O(N log N + P) time for P of them, O(N + E) memory. A
    synapse of the linear profile on two axes costs about 3 pairs, of the gaussian 14 and of the
    exponential 95 (440 on three axes). Distances are taken between the positions as stored.

    References
    ----------
    .. [1] A. Ejima, "Neurons regarded as Graph", figure 2.
    .. [2] D. Marr, E. Hildreth, "Theory of edge detection", Proceedings of the Royal Society of
       London B 207 (1980) 187-217.

    Examples
    --------
    >>> import graphs
    >>> data = graphs.coordinate_random(2000, (20, 10), 0.8, seed=0)
    >>> data.num_nodes, data.pos.shape
    (2000, torch.Size([2000, 2]))
    >>> 12_000 < data.num_edges < 14_000
    True
    >>> line = graphs.coordinate_random(positions=[[0.0], [1.0], [5.0]], distance=2, profile="step")
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
        arguments.room("num_nodes", "pass a smaller num_nodes", neurons=neurons)
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
            f"jitter must be 0 where positions are no lattice, got {jitter}; pass jitter=0.0, or "
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
    """Return the side lengths of a box that float32 can hold."""
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
            f"extent must stay below {_LONGEST:g}, as positions are float32, got {max(sides):g}; "
            "pass it in a larger unit"
        )
    return sides


def scattered(
    neurons: int, sides: Sequence[float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return positions uniform in the box."""
    return _stored(rng.random((neurons, len(sides))) * sides, sides)


def _stored(pos: Floats, sides: Sequence[float]) -> NDArray[np.float32]:
    # Rounding may lift a coordinate onto the far side, which on a torus is the near side.
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
            f"num_nodes must be that of the positions, {len(pos)}, got {num_nodes}; pass "
            "num_nodes=None"
        )
    return pos.astype(np.float32)


def _box_of(
    pos: NDArray[np.float32], extent: float | Sequence[float] | None, wraps: tuple[bool, ...]
) -> Box:
    """The box that given positions must lie in, where one is named; else that which they span."""
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
    """The length of the profile, and the unit of r along each axis."""
    if not arguments.is_list(distance):
        length = arguments.real("distance", distance)
        if length:
            length = min(max(length, _SHORTEST_UNIT), _LONGEST_UNIT)
        return length, np.ones(axes)
    if len(distance) != axes:
        raise ValueError(
            f"distance must be one number, or one for each of the {axes} axes, got "
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
                f"on a periodic axis the reach must stay below half of the side, {side / 2:g}, got "
                f"{reach:g} along axis {axis}; pass a smaller distance, or periodic=False"
            )
