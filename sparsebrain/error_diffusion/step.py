"""One step of error diffusion as a single call of compiled code, for networks without loops."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparsebrain.error_diffusion.buffer import Buffer
from sparsebrain.error_diffusion.bundles import Bundle
from sparsebrain.error_diffusion.layout import Stage
from sparsebrain.kernels import BACKENDS

# ``Wires`` of kernels.hpp: the offset of the strengths, the first row read, the number of rows, and
# the offsets of the two index arrays.
_NO_WIRES = (0, 0, 0, -1, -1)


@dataclass(frozen=True)
class CompiledStep:
    """The stages of a network as a table in the memory layout of the kernel in diffusion.hpp."""

    table: Tensor
    """int64 [stages, 16], one ``Layer`` of kernels.hpp per stage."""
    index: Tensor
    """int32, the index arrays of all sparse bundles, concatenated."""
    networks: int
    in_features: int
    bias: bool
    size: int
    """The number of strengths."""

    @classmethod
    def of(
        cls, stages: Sequence[Stage], output: int, *, networks: int, in_features: int, bias: bool
    ) -> CompiledStep | None:
        """Make the table, or return None if the network has loops or needs 64-bit indices."""
        index, rows, size = [torch.empty(0, dtype=torch.int32)], [], 0
        # The state read by the next stage: its height per network, and whether networks share it.
        height, shared = in_features + bias, True
        for stage in stages:
            if stage.loop:
                return None
            places = (stage.cells == output).nonzero().flatten().tolist()
            read = places[0] if places else -1
            positive = int((stage.sign > 0).sum())
            row = [len(stage.cells), positive, height, shared, stage.bias, read]
            wires = {True: _NO_WIRES, False: _NO_WIRES}
            for bundle in stage.feed:
                arrays = _index_arrays(bundle)
                if any(array.dtype != torch.int32 for array in arrays):
                    return None
                begin = sum(map(len, index))
                ends = (begin, begin + len(arrays[0])) if arrays else (-1, -1)
                rows_read = (bundle.rows.start, len(bundle.rows))
                wires[bundle.positive] = (bundle.first, *rows_read, *ends)
                index += arrays
                size += bundle.size
            rows.append([*row, *wires[True], *wires[False]])
            height, shared = len(stage.cells) + 2 * stage.bias, False
        return cls(torch.tensor(rows), torch.cat(index), networks, in_features, bias, size)

    def __call__(
        self,
        x: Tensor,
        y: Tensor,
        strength: Tensor,
        *,
        slope: float,
        bias_value: float,
        linear: bool,
        fold: bool,
        entropy: bool,
        mean: bool,
        buffer: Buffer,
    ) -> tuple[Tensor, Tensor] | None:
        """Compute the loss and the gradient with respect to the strengths.

        Args:
            x: Samples [B, F].
            y: Labels [B].
            strength: The strengths of all synapses.
            slope: The factor applied to a sum before the sigmoid.
            bias_value: The value of the bias cells.
            linear: Whether the score is the sum itself, without the sigmoid.
            fold: Whether negative strengths are first replaced by their magnitudes, in place.
            entropy: Use the cross-entropy of the softmax; otherwise half the squared error.
            mean: Whether the gradient is divided by B.
            buffer: The memory of the gradient.

        Returns:
            The loss and the gradient. None if there is no compiled code or it does not support x
            and y; the caller then computes the step, or reports the error, in another way.
        """
        kernel, batch, dtype = load_kernel(), y.numel(), strength.dtype
        if not (
            kernel
            and batch
            and y.shape == (batch,)
            and x.shape == (batch, self.in_features)
            and strength.shape == (self.size,)
            and dtype in (torch.float32, torch.float64)
            and x.dtype == dtype
            and y.dtype == torch.int64
            and x.is_cpu
            and y.is_cpu
            and strength.is_cpu
            and strength.is_contiguous()
        ):
            return None
        module, instruction_set = kernel
        x, y = x.contiguous(), y.contiguous()
        grad, loss = buffer.take(strength.detach()), torch.empty((), dtype=dtype)
        arrays = (self.table, self.index, x, y, strength, grad, loss)
        done = module.diffuse(
            instruction_set,
            dtype == torch.float64,
            [array.data_ptr() for array in arrays],
            (len(self.table), self.networks, self.in_features, batch, self.size),
            slope,
            bias_value,
            (self.bias, linear, fold, entropy, mean),
            torch.get_num_threads(),
        )
        if fold:
            torch.autograd.graph.increment_version(strength)
        return (loss, grad) if done else None


def _index_arrays(bundle: Bundle) -> list[Tensor]:
    """Return pointer and source of the synapses sorted by target; empty for a complete bundle."""
    if bundle.structure is None:
        return []
    view = bundle.structure.by_target
    # The kernel reads the strengths in storage order.
    assert view.order is None
    return [view.pointer[: bundle.networks * bundle.targets + 1], view.neuron]


@functools.cache
def load_kernel() -> tuple[Any, str] | None:
    """Return the compiled module and the widest supported instruction set; None if not built."""
    if not BACKENDS["native"].suits(torch.device("cpu")):
        return None
    module = importlib.import_module("sparsebrain.kernels._native")
    return module, module.instruction_sets()[-1]
