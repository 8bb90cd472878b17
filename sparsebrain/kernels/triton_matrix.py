"""The matrices of the ``triton`` backend, with what their shape says about the kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from sparsebrain.kernels.checks import version_of
from sparsebrain.kernels.compressed import Compressed
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.triton_launch import Tile, launch

MOST_IN_SEGMENT = 1024
"""The most synapses of a segment. Longer rows than twice this are cut into segments."""
_MOST_STEPS = 64
"""The most steps of a loop, each of one synapse per row, that one program takes for all rows."""


class LongRows(NamedTuple):
    """The rows that are cut into segments, because one program would take too long for them.

    Attributes:
        slot: [N] int32, the number of each long row, and -1 for all others.
        ends: [rows + 1] int32, the first segment of each long row.
        segments: [2, segments], the first synapse of each segment, and the one after its last one.
    """

    slot: Tensor
    ends: Tensor
    segments: Tensor


class Shape(NamedTuple):
    """What the kernels need to know about the rows of a matrix.

    Attributes:
        most: The number of synapses of the longest row.
        long: The rows that are cut into segments, or None.
    """

    most: int
    long: LongRows | None


class Matrix(NamedTuple):
    """W or its transpose in compressed-sparse-row form."""

    pointer: Tensor
    neuron: Tensor
    weight: Tensor
    shape: Shape

    @classmethod
    def of(cls, structure: Structure, weight: Tensor, *, transpose: bool) -> Matrix:
        """Return W, or its transpose, with the weights in the order of the rows."""
        rows = structure.by_source if transpose else structure.by_target
        weight = rows.arrange(weight).contiguous()
        return cls(rows.pointer, rows.neuron, weight, shape_of(rows))

    def tile(self, batch: int) -> Tile:
        """Return the tile of a program for one row."""
        neurons = self.pointer.numel() - 1
        return Tile.of_row(batch, self.weight.numel() / max(1, neurons), self.weight.device)

    def is_small(self, batch: int) -> bool:
        """Return whether one program for all rows takes less time than a launch per loop."""
        if self.neuron.dtype is not torch.int32:
            # Triton 3.7 does not compile that kernel for them, and only large graphs have them.
            return False
        neurons = self.pointer.numel() - 1
        tile = Tile.of_all_rows(neurons, batch, self.weight.device)
        return -(-neurons // tile.rows) * self.shape.most <= _MOST_STEPS

    def plain(self) -> tuple[Any, ...]:
        """Return the argument ``matrix`` of a kernel, without sums of segments."""
        return (self.pointer, self.neuron, self.weight, None, None, None)

    def with_segments(self, x: Tensor) -> tuple[Any, ...]:
        """Return the argument ``matrix`` of a kernel that multiplies it by x [N, B]."""
        long = self.shape.long
        if long is None:
            return self.plain()
        number, batch = long.segments.size(1), x.size(1)
        partial, tile = x.new_empty(number, batch), self.tile(batch)
        launch(
            "segment_sums",
            number * tile.blocks(batch),
            tile,
            x.device,
            segment_pointer=long.segments,
            neuron=self.neuron,
            weight=self.weight,
            x=x,
            out=partial,
            segments=number,
            batch=batch,
        )
        return (self.pointer, self.neuron, self.weight, long.slot, long.ends, partial)


def shape_of(rows: Compressed) -> Shape:
    """Return the shape of some rows, which is kept, since finding it waits for the device."""
    pointer = rows.pointer
    kept, version = _kept.get(pointer), version_of(pointer)
    if kept is None or kept[0] != version:
        degree = pointer.diff()
        most = int(degree.max()) if degree.numel() else 0
        long = _long_rows(pointer, degree) if most > 2 * MOST_IN_SEGMENT else None
        kept = version, Shape(most, long)
        _kept[pointer] = kept
    return kept[1]


_kept = WeakTensorKeyDictionary()


def _long_rows(pointer: Tensor, degree: Tensor) -> LongRows:
    rows = (degree > 2 * MOST_IN_SEGMENT).nonzero().squeeze(1)
    slot = torch.full_like(degree, -1, dtype=torch.int32)
    slot[rows] = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
    number = (degree[rows] + MOST_IN_SEGMENT - 1) // MOST_IN_SEGMENT
    ends = torch.zeros(len(rows) + 1, dtype=torch.int32, device=rows.device)
    ends[1:] = number.cumsum(0)
    row = torch.repeat_interleave(rows, number)
    position = torch.arange(len(row), device=row.device)
    position -= torch.repeat_interleave(ends[:-1].long(), number)
    first = pointer[row] + position * MOST_IN_SEGMENT
    last = torch.minimum(first + MOST_IN_SEGMENT, pointer[row + 1])
    return LongRows(slot, ends, torch.stack([first, last]).to(pointer.dtype))
