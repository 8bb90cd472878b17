"""Solvers for the fixed points of many samples at once, each of which stops on its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# The number of loops between two residuals; a residual costs about as much as one loop.
_BETWEEN = 4
# If a residual grows by more, Anderson's history is misleading.
_GROWTH = 2.0

Iterate = Callable[[Tensor, tuple[Tensor, ...], int], Tensor]
"""A function of a state [N, B], further arguments [N, B] and a number of loops."""

Total = Callable[[Tensor], Tensor]
"""A function that adds up sums over the neurons of each process."""


class Solution(NamedTuple):
    """The solution of a fixed-point equation.

    Attributes:
        state: The state z of each sample, [N, B].
        loops: The number of loops of each sample, [B].
        residual: The residual of z, [B].
        converged: Whether the residual is at most ``tol``, [B].
    """

    state: Tensor
    loops: Tensor
    residual: Tensor
    converged: Tensor


def solve(
    iterate: Iterate,
    start: Tensor,
    given: tuple[Tensor, ...],
    *,
    tol: float,
    max_loops: int,
    depth: int = 0,
    whole: bool = False,
    damping: Tensor | None = None,
    total: Total | None = None,
) -> Solution:
    r"""Find states z that one loop f does not change.

    With the machine precision :math:`\epsilon` the residual of a sample is

    .. math:: r = \|f(z) - z\| / \max(\|f(z)\|, \epsilon \sqrt N)

    A sample stops once r <= ``tol``, after ``max_loops`` loops, or when r is not finite. Its state
    is then held fixed, so that it does not depend on the other samples. Once half of the samples
    have stopped, the solver drops them from all further computation; dropping each one at once
    would cost more memory than it saves.

    Args:
        iterate: f, applied the given number of times.
        start: [N, B].
        given: [N, B] each, passed to ``iterate`` for the samples that still run.
        tol: The tolerance, more than 0.
        max_loops: The largest number of loops, at least 1.
        depth: 0 to iterate f, or 2 or more for Anderson's method with that many states, D. G.
            Anderson, "Iterative procedures for nonlinear integral equations", J. ACM 12 (1965)
            547-560, which restarts when a residual doubles.
        whole: Whether ``iterate`` needs all samples at every call.
        damping: a [N, 1], above 0 and at most 1: each loop goes from z to (1 - a) z + a f(z). The
            residual is still that of f, since small steps do not imply a fixed point.
        total: A function that adds up sums over neurons [..., B] over all processes, if each holds
            the states of some neurons; None if all neurons are here.

    Returns:
        The states z with their residuals. The caller applies f to them once more, with or without a
        gradient.

    Memory is O(N B), or O(depth N B), for any number of loops, unless a gradient is recorded.
    """
    samples = _Samples(start, given)
    mixing = _Anderson(depth, total) if depth else None
    # Loops are fused if nothing happens between them.
    fused = 1 if whole or depth or damping is not None else _BETWEEN
    loops = 0
    while samples.running:
        count = min(fused if loops else 1, max_loops - loops)
        before = samples.state
        if count > 1:
            before = iterate(before, samples.given, count - 1)
        after = iterate(before, samples.given, 1)
        loops += count
        residual = relative_residual(before, after, total)
        # A comparison with NaN is false, so NaN stops a sample too.
        continues = (residual > tol) & (residual < math.inf) & (loops < max_loops)
        stops = samples.stop(~continues, loops, residual, tol)
        if damping is not None:
            after = torch.lerp(before, after, damping)
        if mixing is not None:
            after = mixing.mix(after, after - before, residual)
        samples.advance(after, before, stops)
        if not samples.running or (2 * samples.running <= len(samples.number) and not whole):
            kept = samples.leave_out_stopped()
            if mixing is not None:
                mixing.narrow(kept)
    return samples.solution


@torch.no_grad()
def relative_residual(before: Tensor, after: Tensor, total: Total | None = None) -> Tensor:
    """Return r [B] of :func:`solve`, for z ``before`` and f(z) ``after``, [N, B] both."""
    eps = torch.finfo(after.dtype).eps
    # Several times as fast as norm(), which guards against overflow; overflow stops a sample.
    change, size = ((x * x).sum(0) for x in (after - before, after))
    if total is None:
        return change.sqrt() / size.sqrt().clamp_min(eps * math.sqrt(max(after.size(0), 1)))
    change, size, neurons = total(torch.stack([change, size, torch.full_like(size, after.size(0))]))
    return change.sqrt() / torch.maximum(size.sqrt(), eps * neurons.clamp_min(1).sqrt())


class _Samples:
    """The samples that the solver computes: those that run, and those that stopped and are held.

    ``number`` is their position among the samples of the start. The results of all samples are
    written to ``solution`` when they stop and when they are dropped.
    """

    def __init__(self, start: Tensor, given: tuple[Tensor, ...]) -> None:
        self.state, self.given = start, given
        self.number = torch.arange(start.size(1), device=start.device)
        self.stopped = torch.zeros_like(self.number, dtype=torch.bool)
        self.running = start.size(1)
        residual = start.new_zeros(start.size(1))
        self.solution = Solution(start, residual.long(), residual, residual.bool())

    def stop(self, stops: Tensor, loops: int, residual: Tensor, tol: float) -> Tensor:
        """Record the samples of ``stops`` that ran until now, and return which these are."""
        stops = stops & ~self.stopped
        number, residual = self.number[stops], residual[stops]
        self.solution.loops[number] = loops
        self.solution.residual[number] = residual
        self.solution.converged[number] = residual <= tol
        return stops

    def advance(self, after: Tensor, before: Tensor, stops: Tensor) -> None:
        """Go on to ``after``; hold those that stop now at ``before``, and the others unchanged.

        ``after`` may be overwritten.
        """
        self.state = _held(_held(after, before, stops), self.state, self.stopped)
        self.stopped = self.stopped | stops
        self.running = len(self.number) - int(self.stopped.sum())

    def leave_out_stopped(self) -> Tensor:
        """Write all states to the solution, keep those that run, and return their positions."""
        state = self.state
        if len(self.number) < len(self.solution.loops):
            state = _put(self.solution.state, self.number, state)
        self.solution = self.solution._replace(state=state)
        kept = (~self.stopped).nonzero().flatten()
        self.state, self.number, self.stopped = (
            each.index_select(-1, kept) for each in (self.state, self.number, self.stopped)
        )
        self.given = tuple(each.index_select(-1, kept) for each in self.given)
        return kept


def _held(state: Tensor, before: Tensor, where: Tensor) -> Tensor:
    """Return ``state``, which may be overwritten, with some samples of ``before``."""
    number = where.nonzero().flatten()
    return _put(state, number, before.index_select(1, number)) if len(number) else state


def _put(state: Tensor, number: Tensor, samples: Tensor) -> Tensor:
    # In place without a gradient, to save the memory of one state.
    if state.requires_grad or samples.requires_grad:
        return state.index_copy(1, number, samples)
    return state.index_copy_(1, number, samples)


class _Anderson:
    r"""Mixes the last values of f so that the mixture of their gaps f(z) - z becomes small.

    .. math:: z \leftarrow \sum_i \alpha_i f(z_i), \qquad \alpha = \arg\min_{\sum \alpha = 1}
        \|\sum_i \alpha_i (f(z_i) - z_i)\|
    """

    def __init__(self, depth: int, total: Total | None = None) -> None:
        self.depth, self._total = depth, total
        self.values: list[Tensor] = []
        self.gaps: list[Tensor] = []
        self.products: Tensor | None = None  # [m, m, B], of the gaps
        self.counts: Tensor | None = None  # [B], how many of the last may be mixed
        self.last: Tensor | None = None

    def narrow(self, kept: Tensor) -> None:
        """Drop the history of all other samples."""
        self.values, self.gaps = (
            [each.index_select(-1, kept) for each in history]
            for history in (self.values, self.gaps)
        )
        self.products, self.counts, self.last = (
            None if each is None else each.index_select(-1, kept)
            for each in (self.products, self.counts, self.last)
        )

    def mix(self, value: Tensor, gap: Tensor, residual: Tensor) -> Tensor:
        """Return the next z from f(z) and f(z) - z [N, B] and the residual of z [B]."""
        self.values = [*self.values, value][-self.depth :]
        self.gaps = [*self.gaps, gap][-self.depth :]
        row = torch.stack([(each * gap).sum(0) for each in self.gaps])
        if self._total is not None:
            row = self._total(row)
        held = len(self.gaps)
        if self.products is None or self.counts is None or self.last is None:
            self.products, self.counts = row.unsqueeze(0), torch.ones_like(residual)
        else:
            older = self.products[1 - held :, 1 - held :]
            wider = torch.cat([older, row[:-1].unsqueeze(1)], 1)
            self.products = torch.cat([wider, row.unsqueeze(0)])
            grown = residual > _GROWTH * self.last
            self.counts = torch.where(grown, 1, (self.counts + 1).clamp_max(held))
        self.last = residual
        if held == 1:
            return value
        shares = self._shares(self.products, self.counts)
        mixed = value * shares[-1]
        for each, share in zip(self.values[:-1], shares[:-1], strict=True):
            mixed.addcmul_(each, share)
        return mixed

    @staticmethod
    def _shares(products: Tensor, counts: Tensor) -> Tensor:
        """Return alpha [m, B]; gaps of very different sizes are scaled to length 1."""
        held = products.size(0)
        usable = (torch.arange(held, 0, -1, device=counts.device) <= counts.unsqueeze(1)).double()
        matrix = products.permute(2, 0, 1).double()
        tiny = torch.finfo(torch.float64).tiny
        length = matrix.diagonal(dim1=1, dim2=2).clamp_min(tiny).sqrt()
        inverse = usable * length.amin(1, keepdim=True) / length
        matrix = matrix / (length.unsqueeze(2) * length.unsqueeze(1))
        matrix = matrix * usable.unsqueeze(2) * usable.unsqueeze(1)
        # Without a ridge, rounding errors of nearly equal gaps would get large opposite shares.
        ridge = held * torch.finfo(products.dtype).eps + (1 - usable)
        shares, _ = torch.linalg.solve_ex(matrix + torch.diag_embed(ridge), inverse.unsqueeze(2))
        shares = shares.squeeze(2) * inverse
        shares = shares / shares.sum(1, keepdim=True)
        newest = torch.zeros_like(shares)
        newest[:, -1] = 1
        sound = torch.isfinite(shares).all(1, keepdim=True)
        return torch.where(sound, shares, newest).t().to(products.dtype)
