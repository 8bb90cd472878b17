"""A step of error diffusion in one call of compiled code, for networks without loops."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparsebrain.error_diffusion.layout import Bundle, Stage

# ``Wires`` of kernels.hpp: where strengths begin, the first row that is read, how many are, and
# where the two index arrays begin.
_NO_WIRES = (0, 0, 0, -1, -1)


@dataclass(frozen=True)
class CompiledStep:
    """The stages of a network as a table, which the kernel of diffusion.hpp reads as it lies."""

    table: Tensor
    """[stages, 16] int64, a ``Layer`` of kernels.hpp per stage."""
    index: Tensor
    """int32, the index arrays of all sparse bundles, one after the other."""
    networks: int
    in_features: int
    bias: bool
    size: int
    """The number of strengths."""

    @classmethod
    def of(
        cls, stages: Sequence[Stage], output: int, *, networks: int, in_features: int, bias: bool
    ) -> CompiledStep | None:
        """Make the table; None if the network has loops or needs indices of 64 bits."""
        index, rows, size = [torch.empty(0, dtype=torch.int32)], [], 0
        # Of the state before a stage, per network; inputs are the same for all networks.
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
    ) -> tuple[Tensor, Tensor] | None:
        """The loss and the gradient of the strengths.

        Returns None where there is no compiled code, or it does not take x and y: the caller then
        computes the step, or reports the error, in another way.

        Args:
            x: samples [B, F].
            y: labels [B].
            strength: of all synapses.
            slope: what a sum is multiplied by before the sigmoid.
            bias_value: the value of the bias.
            linear: whether the score is the sum, and not its sigmoid.
            fold: whether strengths below zero are brought to their magnitudes first, in place.
            entropy: cross-entropy of the softmax, or else half the squared error.
            mean: whether the gradient is divided by B.
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
        grad, loss = torch.empty_like(strength), torch.empty((), dtype=dtype)
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
    """Pointer and source of the synapses by target; none of a full bundle."""
    if bundle.structure is None:
        return []
    view = bundle.structure.by_target
    # The kernel reads strengths in the order in which they lie.
    assert view.order is None
    return [view.pointer[: bundle.networks * bundle.targets + 1], view.neuron]


@functools.cache
def load_kernel() -> tuple[Any, str] | None:
    """The compiled module and the widest instruction set of this machine, or None without one."""
    try:
        module = importlib.import_module("sparsebrain.kernels._native")
    except ImportError:
        return None
    return module, module.instruction_sets()[-1]
