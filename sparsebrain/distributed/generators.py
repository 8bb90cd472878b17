"""Generators that make one part of a connectome, without the whole of it.

Every part is a function of the arguments, the number of the part and the number of parts. The union
of all parts is the same graph for every number of parts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from graphs import arguments, tensors
from graphs.generators.lattices import METRICS, Metric, check_wraps, window
from sparsebrain.distributed.parts import MOST_IDS, MOST_PARTS, Index, Part

__all__ = ["coordinate_random", "grid_local"]

# Synapses of a random graph are numbered by their target and their position among its synapses.
_ROW_BITS = 20
_MOST_AXES = 3
_LONGEST = 1e15
_PROFILES = ("linear", "step", "gaussian")
_REACH = {"linear": 1.0, "step": 1.0, "gaussian": 3.0}
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

Floats = NDArray[np.float64]


def grid_local(
    shape: int | Sequence[int],
    distance: float,
    *,
    rank: int,
    parts: int,
    metric: Metric = "chebyshev",
    padding: bool = True,
    periodic: bool | Sequence[bool] = False,
    self_loops: bool = True,
) -> Part:
    """Return one part of the lattice of :func:`graphs.grid_local`: a contiguous range of neurons.

    Synapses, their numbers, ``edge_type`` and ``pos`` are those of the whole lattice. Takes time
    and memory in proportion to the part.

    Args:
        shape: As for :func:`graphs.grid_local`; the product may exceed 2^31.
        distance: As there.
        rank: The number of the part.
        parts: The number of parts.
        metric: As there.
        padding: As there.
        periodic: As there.
        self_loops: As there.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the part does not fit into memory.

    Example:
        >>> from sparsebrain.distributed.generators import grid_local
        >>> grid_local((1000, 1000), 1, rank=3, parts=1000)
        Part(3 of 1000: 1000 of 1000000 neurons, 8994 synapses, halo 2000)
    """
    sides = _sides(shape)
    rank, parts = _check_place(rank, parts)
    distance = arguments.real("distance", distance)
    order = METRICS[arguments.option("metric", metric, METRICS)]
    padding = arguments.flag("padding", padding)
    wraps = arguments.flags("periodic", periodic, len(sides))
    self_loops = arguments.flag("self_loops", self_loops)
    reach = math.floor(distance)
    check_wraps(sides, wraps, reach)
    total = math.prod(sides)
    first, last = _range(total, rank, parts)
    size = min(2 * reach + 1, max(sides)) ** len(sides)
    tensors.room(
        "shape and distance", 24 * (last - first) * size, "pass more parts or a shorter distance"
    )
    offsets = window(len(sides), distance, order)
    if not self_loops:
        offsets = offsets[offsets.any(axis=1)]
    margins = [0 if padding or wrap else reach for wrap in wraps]
    owned = np.arange(first, last)
    points = np.stack(np.unravel_index(owned, sides), 1)
    # Sources [n, K]; beyond the lattice -1.
    there = points[:, None] - offsets
    inside = np.ones(there.shape[:2], dtype=bool)
    for axis, side in enumerate(sides):
        if wraps[axis]:
            there[..., axis] %= side
        low, high = margins[axis], side - margins[axis]
        inside &= (there[..., axis] >= low) & (there[..., axis] < high)
    there[~inside] = 0
    source = np.ravel_multi_index(tuple(np.moveaxis(there, -1, 0)), sides)
    source[~inside] = total
    kinds = np.argsort(source, axis=1, kind="stable")
    source = np.take_along_axis(source, kinds, 1)
    kept = source < total
    # Synapses of all parts before.
    before = sum(_onto(first, sides, wraps, margins, offset) for offset in offsets.tolist())
    every = sum(_onto(total, sides, wraps, margins, offset) for offset in offsets.tolist())
    count = int(kept.sum())

    def fields(nodes: Index) -> dict[str, torch.Tensor]:
        if len(sides) > _MOST_AXES:
            return {}
        return {"pos": torch.from_numpy(np.stack(np.unravel_index(nodes, sides), 1)).float()}

    return Part.of(
        rank,
        parts,
        owned,
        source[kept],
        np.repeat(owned, kept.sum(1)),
        lambda nodes: _owner(nodes, total, parts),
        before + np.arange(count),
        neuron_fields=fields,
        synapse_fields={"edge_type": torch.from_numpy(kinds[kept])},
        num_nodes=total,
        num_edges=every,
        graph=_told("grid_local", sides, distance, metric, padding, wraps, self_loops, parts),
        num_edge_types=len(offsets),
    )


def coordinate_random(
    num_nodes: int,
    extent: float | Sequence[float],
    distance: float,
    *,
    rank: int,
    parts: int,
    profile: str = "linear",
    p_max: float = 1.0,
    self_loops: bool = False,
    seed: int = 0,
) -> Part:
    r"""Return one part of a box of neurons, connected with a probability that falls with distance.

    The law is that of :func:`graphs.coordinate_random`, :math:`p(r)` for each pair and direction.
    Positions and synapses are hashes of the seed and of the numbers of the neurons, so each part
    knows them without the others. Neuron i has a random position in the i-th of N slices of the
    first axis, and a uniform one on the others; a part is a slab, and its halo lies within reach.

    Args:
        num_nodes: N, which may exceed 2^31.
        extent: The sides of the box, 1 to 3 of them.
        distance: d > 0.
        rank: The number of the part.
        parts: The number of parts.
        profile: :math:`p(r) / p_{max}`: "linear" is max(0, 1 - r / d), "step" is 1 up to d,
            "gaussian" is exp(-r^2 / (2 d^2)) up to 3 d.
        p_max: The factor of the profile, in [0, 1].
        self_loops: Whether every neuron has a synapse onto itself.
        seed: The seed, from 0 to 2^64 - 1.

    Returns:
        The part, with ``pos``. The numbers of its synapses are unique in the whole graph, but not
        consecutive.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the part does not fit into memory.

    Example:
        >>> from sparsebrain.distributed.generators import coordinate_random
        >>> part = coordinate_random(4_000_000_000, (4e8, 1), 0.5, rank=1, parts=10**6)
        >>> len(part.owned), part.num_nodes
        (4000, 4000000000)
    """
    num_nodes = arguments.count("num_nodes", num_nodes, at_most=MOST_IDS >> _ROW_BITS)
    sides = _lengths(extent)
    distance = arguments.real("distance", distance, positive=True)
    rank, parts = _check_place(rank, parts)
    profile = arguments.option("profile", profile, _PROFILES)
    p_max = arguments.real("p_max", p_max, at_most=1.0)
    self_loops = arguments.flag("self_loops", self_loops)
    seed = arguments.count("seed", seed, at_most=2**64 - 1)
    reach = distance * _REACH[profile]
    first, last = _range(num_nodes, rank, parts)
    # One more slice on each side, since a neuron may be anywhere in its own.
    slices = min(num_nodes, math.ceil(min(reach / sides[0], 1.0) * num_nodes) + 1)
    low, high = max(0, first - slices), min(num_nodes, last + slices)
    density = num_nodes / math.prod(sides)
    near = min(high - low, density * (2 * reach) ** len(sides))
    tensors.room(
        "num_nodes and distance",
        int(64 * (high - low) + 48 * (last - first) * near),
        "pass more parts or a shorter distance",
    )
    numbers = np.arange(low, high)
    points = _positions(numbers, num_nodes, sides, seed)
    own = slice(first - low, last - low)
    source, target = _within(points, own, reach)
    source, target = numbers[source], numbers[own][target]
    apart = source != target
    source, target = source[apart], target[apart]
    gap = np.zeros(len(source))
    for axis in range(len(sides)):
        gap += (points[source - low, axis] - points[target - low, axis]) ** 2
    chosen = _units(seed, 8, source, target) < p_max * _chance(profile, np.sqrt(gap), distance)
    source, target = source[chosen], target[chosen]
    if self_loops:
        source = np.concatenate([source, numbers[own]])
        target = np.concatenate([target, numbers[own]])
    order = np.lexsort((source, target))
    source, target = source[order], target[order]
    row = np.arange(len(target)) - np.searchsorted(target, target)
    if len(row) and int(row.max()) >= 2**_ROW_BITS:
        raise ValueError(
            f"distance gives a neuron {int(row.max()) + 1} synapses, more than {2**_ROW_BITS}; "
            "pass a shorter distance"
        )
    return Part.of(
        rank,
        parts,
        numbers[own],
        source,
        target,
        lambda nodes: _owner(nodes, num_nodes, parts),
        (target << _ROW_BITS) + row,
        neuron_fields=lambda nodes: {"pos": torch.from_numpy(points[nodes - low]).float()},
        num_nodes=num_nodes,
        num_edges=num_nodes << _ROW_BITS,
        graph=_told(
            "coordinate_random", num_nodes, sides, distance, profile, p_max, self_loops, seed, parts
        ),
    )


def _check_place(rank: Any, parts: Any) -> tuple[int, int]:
    parts = arguments.count("parts", parts, at_least=1, at_most=MOST_PARTS)
    return arguments.count("rank", rank, at_most=parts - 1), parts


def _sides(shape: Any) -> tuple[int, ...]:
    if not arguments.is_list(shape):
        shape = (arguments.count("shape", shape, at_least=1),)
    sides = tuple(arguments.counts("shape", shape, "(28, 28)"))
    if len(sides) > 16 or math.prod(sides) > MOST_IDS:
        raise ValueError(
            f"shape must have at most 16 axes and {MOST_IDS} neurons, got {len(sides)} axes; pass "
            "shape=(28, 28)"
        )
    return sides


def _lengths(extent: Any) -> tuple[float, ...]:
    values = extent if arguments.is_list(extent) else [extent]
    if not 1 <= len(values) <= _MOST_AXES:
        raise ValueError(
            f"extent must be 1 to {_MOST_AXES} lengths, got {len(values)}; pass extent=(20.0, 10.0)"
        )
    return tuple(
        arguments.real(f"extent[{axis}]", each, positive=True, at_most=_LONGEST)
        for axis, each in enumerate(values)
    )


def _range(total: int, rank: int, parts: int) -> tuple[int, int]:
    """Return the first neuron of a part, and the first after it."""
    return total * rank // parts, total * (rank + 1) // parts


def _owner(nodes: Index, total: int, parts: int) -> Index:
    """Return the part of each neuron."""
    # The product may exceed 64 bits, so search the bounds around an estimate.
    guess = np.minimum((nodes / max(total, 1) * parts).astype(np.int64), parts - 1)
    for _ in range(2):
        starts = _starts(guess, total, parts)
        guess = np.where(nodes < starts, guess - 1, guess)
        after = _starts(guess + 1, total, parts)
        guess = np.where(nodes >= after, guess + 1, guess)
    return guess


def _starts(rank: Index, total: int, parts: int) -> Index:
    """Return floor(total * rank / parts) without a product of more than 64 bits."""
    whole, rest = divmod(total, parts)
    return rank * whole + rank * rest // parts


def _onto(
    first: int,
    sides: Sequence[int],
    wraps: Sequence[bool],
    margins: Sequence[int],
    offset: Sequence[int],
) -> int:
    """Count the synapses of one offset onto the neurons before ``first``."""
    spans = []
    for side, wrap, margin, step in zip(sides, wraps, margins, offset, strict=True):
        low, high = (0, side) if wrap else (margin + step, side - margin + step)
        low = max(low, 0)
        spans.append((low, max(min(high, side), low)))
    # Lattice points before ``first`` in row-major order, inside of a box.
    count, left = 0, first
    for axis, (low, high) in enumerate(spans):
        inner = math.prod(sides[axis + 1 :])
        digit, left = divmod(left, inner)
        below = math.prod(b - a for a, b in spans[axis + 1 :])
        count += max(0, min(digit, high) - low) * below
        if not low <= digit < high:
            break
    return count


def _told(name: str, *given: Any) -> str:
    return f"{name} {hashlib.sha256(repr(given).encode()).hexdigest()}"


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finalizer of SplitMix64, as in :mod:`sparsebrain.kernels.counter`."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _units(seed: int, stream: int, *numbers: Index) -> Floats:
    """Return numbers in [0, 1) that are hashes of a seed, a stream and numbers of neurons."""
    key = np.array([seed], dtype=np.uint64)
    for each in (np.array([stream]), *numbers):
        key = _mixed(_mixed(key) + _GOLDEN * (each.astype(np.uint64) + np.uint64(1)))
    return (key >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _positions(numbers: Index, total: int, sides: Sequence[float], seed: int) -> Floats:
    units = [_units(seed, axis, numbers) for axis in range(len(sides))]
    units[0] = (numbers + units[0]) / max(total, 1)
    return np.stack([unit * side for unit, side in zip(units, sides, strict=True)], 1)


def _within(points: Floats, own: slice, reach: float) -> tuple[Index, Index]:
    """Return the pairs of a neuron and an own neuron within reach, as positions."""
    if own.stop <= own.start:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    # Coordinates relative to the part: the tree would lose digits of those of a large box.
    there = cKDTree(points - points[own][0])
    here = cKDTree(points[own] - points[own][0])
    # A little more: distances are computed again, the same in every part.
    pairs = there.sparse_distance_matrix(here, reach * (1 + 1e-9), output_type="ndarray")
    return pairs["i"].astype(np.int64), pairs["j"].astype(np.int64)


def _chance(profile: str, r: Floats, distance: float) -> Floats:
    u = r / distance
    if profile == "step":
        return (u <= 1).astype(np.float64)
    if profile == "linear":
        return np.maximum(0.0, 1 - u)
    return np.where(u <= _REACH["gaussian"], np.exp(-u * u / 2), 0.0)
