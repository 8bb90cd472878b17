"""Lattices with synapses within a window: grids and honeycombs."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments, compiled, memory
from graphs.contract import Index, build_sorted
from graphs.ordering import canonical_order

Metric = Literal["chebyshev", "euclidean", "manhattan"]
# The order p of the norm (sum |offset_a|^p)^(1/p).
METRICS: dict[Metric, float] = {"chebyshev": math.inf, "euclidean": 2.0, "manhattan": 1.0}

_MOST_OFFSETS = 10_000_000
_MOST_AXES = 16


def grid_local(
    shape: int | Sequence[int],
    distance: float,
    *,
    metric: Metric = "chebyshev",
    padding: bool = True,
    periodic: bool | Sequence[bool] = False,
    self_loops: bool = True,
) -> Data:
    r"""Return a lattice in which every neuron sends to all neurons within a distance.

    Neuron :math:`s` at lattice point :math:`x_s` sends to neuron :math:`t` if :math:`\lVert x_t -
    x_s \rVert \le d`. With the Chebyshev metric on two axes this is the window ``out[y-d:y+d+1,
    x-d:x+d+1] += in[y, x] * W[y, x]`` of the graph layer in [1]_.

    Takes O(N + E) time and memory. With weights ``K.flatten()[edge_type]``, one loop on a Chebyshev
    grid with integer d on two axes equals ``conv_transpose2d(x, K, padding=d)``.

    Args:
        shape: Number of neurons along each axis, such as (28, 28) for a sheet or (10, 10, 10) for a
            volume; up to 16 axes.
        distance: Reach d >= 0 of a synapse in lattice steps; it may be fractional.
        metric: Norm of the distance: "chebyshev" is a square window, "euclidean" a disc, and
            "manhattan" a diamond.
        padding: Whether all neurons send, and synapses that would leave the lattice are dropped.
            Otherwise only neurons at least floor(d) steps away from every border send, as in [1]_.
        periodic: Whether opposite borders touch, for all axes or per axis. A periodic axis has no
            border.
        self_loops: Whether neurons send to themselves (offset 0).

    Returns:
        ``edge_index`` int64 [2, E], with neurons in row-major order; ``edge_type`` int64 [E], the
        index of the offset target - source among the offsets of the window in row-major order;
        ``pos`` float32 [N, D], the lattice points, if D <= 3; and ``shape``.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, `metric` is unknown, a periodic axis is shorter
            than the window, so that two offsets would have the same target, or the graph does not
            fit into memory.

    References:
        .. [1] A. Ejima, "Neurons regarded as Graph".

    Example:
        >>> import graphs
        >>> graphs.grid_local((28, 28), 1).num_edges
        6724
        >>> graphs.grid_local((28, 28), 1, padding=False).num_edges
        6084
        >>> cube = graphs.grid_local((10, 10, 10), 1, metric="manhattan", self_loops=False)
        >>> cube.num_edges, cube.pos.shape
        (5400, torch.Size([1000, 3]))
        >>> graphs.grid_local(4, 1, periodic=True, self_loops=False).edge_index.tolist()
        [[1, 3, 0, 2, 1, 3, 0, 2], [0, 0, 1, 1, 2, 2, 3, 3]]
    """
    sides = _sides(shape)
    distance = arguments.real("distance", distance)
    order = METRICS[arguments.option("metric", metric, METRICS)]
    padding = arguments.flag("padding", padding)
    wraps = arguments.flags("periodic", periodic, len(sides))
    reach = math.floor(distance)
    check_wraps(sides, wraps, reach)
    offsets = window(len(sides), distance, order)
    if not arguments.flag("self_loops", self_loops):
        offsets = offsets[offsets.any(axis=1)]
    # Offsets longer than the lattice keep their edge_type, but have no synapses.
    kinds = np.flatnonzero((np.abs(offsets) < sides).all(axis=1))
    margins = [0 if padding or wrap else reach for wrap in wraps]
    rows = np.where(wraps, sides, np.array(sides) - np.abs(offsets[kinds]))
    _check_room("shape", math.prod(sides), float(rows.prod(axis=1, dtype=float).sum()))
    edges, types = _synapses(sides, wraps, margins, offsets[kinds], kinds)
    points = np.indices(sides).reshape(len(sides), -1).T
    return build_sorted(
        math.prod(sides),
        edges,
        edge_type=types,
        pos=points.astype(np.float32) if len(sides) <= 3 else None,
        shape=sides,
    )


def _synapses(
    sides: Sequence[int],
    wraps: Sequence[bool],
    margins: Sequence[int],
    offsets: Index,
    kinds: Index,
) -> tuple[Index, Index]:
    """Return synapses [2, E] in canonical order, and the kind of each offset [E]."""
    helpers = compiled.module()
    if helpers is not None:
        edges, types = helpers.window_edges(
            np.array(sides), np.array(wraps), np.array(margins), offsets, kinds
        )
        return edges, types
    pairs = [_shifted(sides, wraps, margins, offset) for offset in offsets.tolist()]
    source, target = (
        np.concatenate([pair[end] for pair in pairs] + [np.empty(0, np.int64)]) for end in (0, 1)
    )
    types = np.repeat(kinds, [len(pair[0]) for pair in pairs])
    order = canonical_order(math.prod(sides), source, target)
    return np.stack((source[order], target[order])), types[order]


def hexagonal_lattice(
    radius: int | None = None,
    distance: float = 1.0,
    shape: Sequence[int] | None = None,
    *,
    periodic: bool | Sequence[bool] = False,
    self_loops: bool = True,
) -> Data:
    r"""Return a honeycomb in which every neuron sends to all neurons within `distance` steps.

    Neurons have axial coordinates (r, q). The six nearest neighbors are one step away, at (0, 1),
    (1, 0), (1, -1) and their opposites. Two neurons are :math:`(|\Delta r| + |\Delta q| + |\Delta r
    + \Delta q|) / 2` steps apart [1]_, so that a window of d steps has 3 d (d + 1) + 1 neurons.

    Takes O(N T) time and memory for the T offsets of the window.

    Args:
        radius: Radius R of a hexagon in steps; it has 3 R (R + 1) + 1 neurons.
        distance: Reach d >= 0 of a synapse in steps; it may be fractional.
        shape: Instead of a radius, the rows and columns of a sheet, in which every other row is
            shifted by half a step.
        periodic: Whether opposite borders of a sheet touch, for both axes or per axis. Periodic
            rows must be even in number.
        self_loops: Whether neurons send to themselves (offset 0).

    Returns:
        ``edge_index`` int64 [2, E], with neurons row by row; ``edge_type`` int64 [E], the index of
        the offset target - source among the offsets (r, q) of the window in row-major order;
        ``pos`` float32 [N, 2], :math:`(r \sqrt{3} / 2, q + r / 2)`, so that nearest neighbors are
        at distance 1; and the ``shape`` of a sheet.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, both or neither of `radius` and `shape` are given,
            a periodic axis is shorter than the window or has an odd number of rows, or the graph
            does not fit into memory.

    References:
        .. [1] E. Luczak, A. Rosenfeld, "Distance on a hexagonal grid", IEEE Transactions on
           Computers C-25 (1976) 532-533.

    Example:
        >>> import graphs
        >>> graphs.hexagonal_lattice(1, self_loops=False).edge_index[1].bincount().tolist()
        [3, 3, 3, 6, 3, 3, 3]
        >>> sheet = graphs.hexagonal_lattice(shape=(4, 6), distance=1, periodic=True)
        >>> sheet.num_nodes, sheet.num_edges
        (24, 168)
    """
    distance = arguments.real("distance", distance)
    reach = math.floor(distance)
    sides = None if shape is None else _sheet(shape)
    size = arguments.count("radius", 0 if radius is None else radius)
    _check_room("radius", 3.0 * size * (size + 1) + 1, 0)
    if (radius is None) == (sides is None):
        raise ValueError(
            f"shape must be given if and only if radius is not, got radius={radius} and "
            f"shape={sides}; pass radius=5, or shape=(10, 12)"
        )
    wraps = arguments.flags("periodic", periodic, 2)
    _check_window(3 * reach * (reach + 1) + 1, distance)
    if sides is None:
        if any(wraps):
            raise ValueError(
                "periodic must be False for a hexagon, got True; pass periodic=False, or shape="
            )
        row = np.arange(2 * size + 1)
        # The axial q of the first neuron of each row, and the number of neurons in it.
        starts, lengths = np.maximum(-size, -row), 2 * size + 1 - np.abs(row - size)
    else:
        _check_torus(sides, wraps, reach)
        row = np.arange(sides[0])
        starts, lengths = -(row // 2), np.full(sides[0], sides[1])
    steps = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    offsets = offsets[np.abs(offsets.sum(axis=1)) <= reach]
    if not arguments.flag("self_loops", self_loops):
        offsets = offsets[offsets.any(axis=1)]
    neurons = int(lengths.sum())
    # Even a neuron in a corner has half of a parallelogram within reach.
    within = min(len(starts), reach + 1) * min(int(lengths.max()), reach + 1) / 2
    _check_room("radius" if sides is None else "shape", neurons, neurons * within)
    return _honeycomb(starts, lengths, wraps, offsets, sides)


def _honeycomb(
    starts: Index,
    lengths: Index,
    wraps: Sequence[bool],
    offsets: Index,
    sides: tuple[int, ...] | None,
) -> Data:
    """Connect rows of neurons along `offsets`; each row starts at the axial q `starts`."""
    rows, neurons = len(starts), int(lengths.sum())
    first = np.cumsum(lengths) - lengths
    row = np.repeat(np.arange(rows), lengths)
    q = np.arange(neurons) - first[row] + starts[row]
    helpers = compiled.module()
    if helpers is not None:
        edges, types = helpers.honeycomb_edges(starts, lengths, *wraps, offsets)
    else:
        edges, types = _along(row, q, starts, lengths, wraps, offsets)
    # Rows of a hexagon are numbered from its center.
    r = row - (0 if sides else rows // 2)
    return build_sorted(
        neurons,
        edges,
        edge_type=types,
        pos=np.stack((r * math.sqrt(3) / 2, q + r / 2), axis=1),
        shape=sides,
    )


def _along(
    row: Index,
    q: Index,
    starts: Index,
    lengths: Index,
    wraps: Sequence[bool],
    offsets: Index,
) -> tuple[Index, Index]:
    """Do the same as csrc/windows.cpp, offset by offset."""
    rows, first = len(starts), np.cumsum(lengths) - lengths
    sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for down, along in offsets.tolist():
        there = row + down
        around = there % rows
        # Wrapping around the rows of a sheet shifts q by half of their number.
        column = q + along - starts[around] - (around - there) // 2
        width = lengths[around]
        hit = (wraps[0] | (there == around)) & (wraps[1] | ((column >= 0) & (column < width)))
        sources.append(np.flatnonzero(hit))
        targets.append((first[around] + column % width)[hit])
    types = np.repeat(np.arange(len(offsets)), [len(each) for each in sources[1:]])
    source, target = np.concatenate(sources), np.concatenate(targets)
    order = canonical_order(len(row), source, target)
    return np.stack((source[order], target[order])), types[order]


def _sheet(shape: Sequence[int]) -> tuple[int, ...]:
    sides = _sides(shape)
    if len(sides) != 2:
        raise ValueError(
            f"shape must be the rows and columns of a sheet, got {sides}; pass shape=(10, 12)"
        )
    return sides


def _check_torus(sides: Sequence[int], wraps: Sequence[bool], reach: int) -> None:
    check_wraps(sides, wraps, reach)
    if wraps[0] and sides[0] % 2:
        raise ValueError(
            f"shape must have an even number of rows to be periodic, got {sides[0]}; pass "
            f"shape={(sides[0] + 1, sides[1])}, or periodic=(False, True)"
        )


def check_wraps(sides: Sequence[int], wraps: Sequence[bool], reach: int) -> None:
    """Raise ValueError if a periodic axis is shorter than the window."""
    for axis, (side, wrap) in enumerate(zip(sides, wraps, strict=True)):
        if wrap and side < 2 * reach + 1:
            raise ValueError(
                "shape: a periodic axis must be at least as long as the window, "
                f"{arguments.shortened(2 * reach + 1)}, got {side} along axis {axis}; pass "
                f"distance={max((side - 1) // 2, 0)}, or periodic=False"
            )


def _sides(shape: int | Sequence[int]) -> tuple[int, ...]:
    if arguments.is_list(shape):
        sides = tuple(arguments.counts("shape", shape, "(28, 28)"))
        if len(sides) > _MOST_AXES:
            raise ValueError(
                f"shape must have at most {_MOST_AXES} axes, got {len(sides)}; pass shape=(28, 28)"
            )
    else:
        sides = (arguments.count("shape", shape, at_least=1),)
    memory.check("shape", "pass shorter sides", neurons=math.prod(map(float, sides)))
    return sides


def _check_window(offsets: int, distance: float) -> None:
    if offsets > _MOST_OFFSETS:
        raise ValueError(
            f"distance must keep the window below {_MOST_OFFSETS} offsets, got {distance}; "
            "pass a smaller one, for example the length of the lattice"
        )


def _check_room(name: str, neurons: float, synapses: float) -> None:
    memory.check(
        f"{name} and distance",
        f"pass a smaller {name} or distance",
        neurons=neurons,
        synapses=synapses,
    )


def window(axes: int, distance: float, order: float) -> Index:
    """Return all offsets of norm <= distance, [T, axes], in row-major order."""
    _check_window(2 * math.floor(distance) + 1, distance)
    steps = np.arange(-math.floor(distance), math.floor(distance) + 1)
    offsets = np.zeros((1, 0), dtype=np.int64)
    # Offsets are extended axis by axis. A further coordinate never decreases the norm, so offsets
    # that are already too long are dropped.
    for _ in range(axes):
        _check_window(len(offsets) * len(steps), distance)
        offsets = np.column_stack(
            (np.repeat(offsets, len(steps), axis=0), np.tile(steps, len(offsets)))
        )
        offsets = offsets[np.linalg.norm(offsets, ord=order, axis=1) <= distance]
    return offsets


def _shifted(
    sides: Sequence[int], wraps: Sequence[bool], margins: Sequence[int], offset: Sequence[int]
) -> tuple[Index, Index]:
    """Return sources and targets of all synapses with one offset."""
    sources: list[NDArray[np.int64]] = []
    targets: list[NDArray[np.int64]] = []
    stride = math.prod(sides)
    for side, wrap, margin, step in zip(sides, wraps, margins, offset, strict=True):
        stride //= side
        lowest, end = (0, side) if wrap else (max(margin, -step), min(side - margin, side - step))
        here = np.arange(lowest, max(lowest, end))
        sources.append(here * stride)
        targets.append((here + step) % side * stride)
    return np.ravel(sum(np.ix_(*sources))), np.ravel(sum(np.ix_(*targets)))
