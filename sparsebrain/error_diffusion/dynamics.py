"""The states of an error-diffusion network: how they follow from its inputs and strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphs import tensors
from sparsebrain.error_diffusion.bundles import Bundle, total
from sparsebrain.error_diffusion.layout import Stage

_SEVERAL = 2
"""Sweeps between the first and the last from which on one call for all is faster."""


@dataclass(frozen=True)
class Dynamics:
    """What determines the states besides inputs and strengths."""

    stages: Sequence[Stage]
    networks: int
    in_features: int
    loops: int
    """The number of sweeps of a stage with synapses from itself."""
    slope: float
    """The factor of a sum before the sigmoid."""
    bias: float | None
    """The value of both bias cells, if there are any."""
    linear: bool
    """Whether the score is the sum that arrives at the output, without the sigmoid."""
    read: tuple[int, int]
    """The index of the stage that contains the output, and its place there."""

    def run(self, x: Tensor, strength: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute the states of all stages and the scores.

        Args:
            x: Samples [B, F].
            strength: The strengths of all synapses.

        Returns:
            The states, inputs first, and the scores [B, K]. The first state is [rows, B], the
            others [K, rows, B]; all but the last have rows for the bias.
        """
        state, scores = self.hold(x, strength.dtype), None
        states = [state]
        for number in range(len(self.stages)):
            state, sums = self.advance(number, state, strength)
            states.append(state)
            if number == self.read[0]:
                scores = self.scores(sums)
        assert scores is not None
        return states, scores

    def advance(self, number: int, state: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
        """Compute one stage from the stage before it; see ``ErrorDiffusionNetwork.advance``."""
        stage = self.stages[number]
        sums = self._settle(stage, strength, state)
        state = self._fire(stage, sums)
        if stage.bias and self.bias is not None:
            bias = state.new_full((len(state), 1, state.size(2)), self.bias)
            state = torch.cat([bias, state, bias], 1)
        return state, sums

    def scores(self, sums: Tensor) -> Tensor:
        """Return the scores [B, K] from the sums [K, n, B] of the stage of the output cell."""
        last, place = self.read
        return (sums if self.linear else self._fire(self.stages[last], sums))[:, place].t()

    def slopes(self, stage: Stage, state: Tensor) -> Tensor:
        """Return o (1 - o) for the cells of a stage [K, n, B], and 1 for a linear output."""
        if stage.bias:
            state = state.narrow(1, 1, len(stage.cells))
        slope = torch.addcmul(state, state, state, value=-1)
        last, place = self.read
        if self.linear and stage is self.stages[last]:
            slope[:, place] = 1
        return slope

    def hold(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the state [rows, B] of the bias and the inputs."""
        fix = f"pass {self.in_features} features for each sample, such as x.flatten(1) of images"
        shape = ("B", self.in_features)
        tensors.tensor("x", x, shape, dtypes=(dtype,), finite=True, fix=fix)
        if x.numel() and not bool(x.amin() >= 0):
            raise ValueError(
                f"x must not be negative in error diffusion, got {float(x.amin()):g}; pass x "
                "scaled to 0..1, or torch.cat([x.clamp(min=0), (-x).clamp(min=0)], 1)."
            )
        bias = [] if self.bias is None else [x.new_full((len(x), 1), self.bias)]
        state = torch.cat([*bias, x], 1).t()
        # Matrix products accept any strides; kernels need contiguous memory.
        dense = all(each.structure is None for each in self.stages[0].feed)
        return state if dense else state.contiguous()

    def _settle(self, stage: Stage, strength: Tensor, before: Tensor) -> Tensor:
        """Return the sums of a stage's cells [K, n, B] in the last sweep, before their signs."""
        drive = sums = self._sums(stage, stage.feed, strength, before)
        left = self.loops - 1 if stage.loop else 0
        if stage.recurrence and left > _SEVERAL and not torch.is_grad_enabled():
            state = stage.recurrence.sweep(
                strength,
                self._fire(stage, drive),
                drive * (stage.sign * self.slope),
                sweeps=left - 1,
                slope=self.slope,
            )
            return drive + self._sums(stage, stage.loop, strength, state)
        for _ in range(left):
            state = self._fire(stage, sums)
            sums = drive + self._sums(stage, stage.loop, strength, state)
        return sums

    def _sums(
        self, stage: Stage, bundles: tuple[Bundle, ...], strength: Tensor, state: Tensor
    ) -> Tensor:
        """Sum the inputs of a stage's cells [K, n, B], before their own signs are applied."""
        if not bundles:
            return state.new_zeros(self.networks, len(stage.cells), state.size(-1))
        return total(bundles, strength, state)

    def _fire(self, stage: Stage, sums: Tensor) -> Tensor:
        return torch.sigmoid(sums * (stage.sign * self.slope))
