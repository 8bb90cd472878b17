"""Traces of time series: what the synapses of a dynamic Boltzmann machine see of the past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class History(NamedTuple):
    """The past that the next step depends on, of B sequences and delays of up to D steps.

    Attributes:
        recent: [B, D, N], the last D steps, the latest last.
        arrived: [K, B, D, N], for each decay the trace sum of decay^(r - s) x[s] over s up to r, at
            the last D steps r.
        target: [L, B, N], for each decay the same trace at the last step.
    """

    recent: Tensor
    arrived: Tensor
    target: Tensor

    @classmethod
    def empty(
        cls, batch: int, longest: int, nodes: int, decays: int, ltd_decays: int, like: Tensor
    ) -> History:
        """Return a past in which nothing happened."""
        return cls(
            like.new_zeros(batch, longest, nodes),
            like.new_zeros(decays, batch, longest, nodes),
            like.new_zeros(ltd_decays, batch, nodes),
        )

    def after(self, x: Tensor, decays: Sequence[float], ltd_decays: Sequence[float]) -> History:
        """Return the past after the steps x [B, T, N]."""
        longest = self.recent.size(1)
        # Copies, so that a long series is not kept in memory by the views of its end.
        recent = torch.cat([self.recent, x], 1)[:, -longest:].clone()
        arrived = [
            torch.cat([past, _trace(x, past[:, -1], decay)], 1)[:, -longest:]
            for past, decay in zip(self.arrived, decays, strict=True)
        ]
        target = [
            _trace(x, past, decay)[:, -1] if x.size(1) else past
            for past, decay in zip(self.target, ltd_decays, strict=True)
        ]
        return History(recent, torch.stack(arrived), torch.stack(target))


def traces(
    x: Tensor, state: History, decays: Sequence[float], ltd_decays: Sequence[float]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the traces alpha and gamma of time series.

    Args:
        x: [B, T, N].
        state: The past.
        decays: The K values of lambda.
        ltd_decays: The L values of mu.

    Returns:
        For each lambda the trace of the past and of all steps, [B, D + T, N]; for each mu gamma at
        each step, [B, T, N].
    """
    alpha = [
        torch.cat([past, _trace(x, past[:, -1], decay)], 1)
        for past, decay in zip(state.arrived, decays, strict=True)
    ]
    gamma = []
    for past, decay in zip(state.target, ltd_decays, strict=True):
        # gamma[t] = decay * (trace at t - 1)
        before = torch.cat([past.unsqueeze(1), _trace(x, past, decay)], 1)[:, :-1]
        gamma.append(decay * before)
    return alpha, gamma


def delayed(trace: Tensor, delay: int, longest: int, steps: int) -> Tensor:
    """Return a trace [B, D + T, N] as it was ``delay`` steps before each of T steps, [B, T, N]."""
    return trace[:, longest - delay : longest - delay + steps]


def in_flight(x: Tensor, state: History, decay: float, delay: int) -> Tensor:
    """Return beta at each step, the sum of decay^-n x[t - n] over 0 < n < delay, [B, T, N]."""
    longest, steps = state.recent.size(1), x.size(1)
    whole = torch.cat([state.recent, x], 1)
    total = torch.zeros_like(x)
    # Term by term: the recursion from step to step would multiply rounding errors by 1 / decay.
    for n in range(1, delay):
        total += decay**-n * whole[:, longest - n : longest - n + steps]
    return total


def _trace(x: Tensor, past: Tensor, decay: float) -> Tensor:
    """Return y[t] = decay * y[t - 1] + x[t] for x [B, T, N], with y[-1] = past [B, N]."""
    found = torch.empty_like(x)
    for step in range(x.size(1)):
        past = decay * past + x[:, step]
        found[:, step] = past
    return found
