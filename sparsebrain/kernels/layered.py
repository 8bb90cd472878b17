"""Layers of typed cells as compiled kernels read them, made once and checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.structure import Structure


class Wires(NamedTuple):
    """The synapses of one sign into a layer, of all networks; none by default.

    Strengths lie by target and then source from ``first`` on. Without a ``structure`` every target
    hears all ``width`` sources from ``low`` on; it numbers sources and targets each from 0.
    """

    first: int = 0
    low: int = 0
    width: int = 0
    structure: Structure | None = None


class Layer(NamedTuple):
    """Cells that are computed at once, in each network, and what they hear of the layer before."""

    targets: int
    positive: int
    """How many are of type +; they come first."""
    height: int
    """Rows of the state of the layer before, in each network."""
    shared: bool
    """Whether the layer before is the same in all networks."""
    bias: bool
    """Whether the state has a row of the bias before the cells and one behind."""
    read: int
    """The cell whose state is the score, -1 of other layers."""
    plus: Wires
    minus: Wires


@dataclass(frozen=True)
class Layered:
    """Layers as a table of numbers and all index arrays in one."""

    table: Tensor
    """[layers, 16] int64, as the kernels' ``Layer`` has them."""
    index: Tensor
    """int32, the ``pointer`` and ``neuron`` of each structure."""
    networks: int
    features: int
    bias: bool
    synapses: int

    @classmethod
    def of(
        cls, layers: Sequence[Layer], *, networks: int, features: int, bias: bool
    ) -> Layered | None:
        """Make them; None where an index would not fit into 32 bits."""
        index, rows, place, end = [torch.empty(0, dtype=torch.int32)], [], 0, 0
        for layer in layers:
            row = [int(number) for number in layer[:6]]
            for wires in layer[6:]:
                assert isinstance(wires, Wires)
                pointer = neuron = -1
                count = networks * layer.targets
                size = count * wires.width
                if wires.structure is not None:
                    view = wires.structure.by_target
                    if view.pointer.dtype != torch.int32:
                        return None
                    # Kernels read strengths as they lie.
                    assert view.order is None
                    size = wires.structure.num_edges
                    pointer, neuron = place, place + count + 1
                    index += [view.pointer[: count + 1].cpu(), view.neuron.cpu()]
                    place = neuron + size
                row += [wires.first, wires.low, wires.width, pointer, neuron]
                end += size
            rows.append(row)
        return cls(torch.tensor(rows), torch.cat(index), networks, features, bias, end)


class Lesson(NamedTuple):
    """How a step of error diffusion computes, apart from layers and numbers."""

    slope: float
    """What is multiplied to a sum before the sigmoid."""
    bias_value: float
    linear: bool
    """Whether the score is the sum, and not its sigmoid."""
    fold: bool
    """Whether strengths are magnitudes, and brought back from below zero."""
    entropy: bool
    """Cross-entropy of the softmax, or half the squared error."""
    mean: bool
    """Whether the gradient is divided by the batch."""
