"""Fixed points of many samples at once, each of which stops by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# Fused loops between two looks at the residual: a look costs about as much as one loop.
_BETWEEN = 4
# A residual that grows by more tells that Anderson's history misleads.
_GROWTH = 2.0

SomeLoops = Callable[[Tensor, tuple[Tensor, ...], int], Tensor]
"""The state [N, B] after a number of loops, from the state and from what else is [N, B]."""


class Solution(NamedTuple):
    """A state z [N, B] and, for each sample [B], loops, residual of z, and whether it suffices."""

    state: Tensor
    loops: Tensor
    residual: Tensor
    converged: Tensor


def solve(
    exchange: SomeLoops,
    start: Tensor,
    given: tuple[Tensor, ...],
    *,
    tol: float,
    max_loops: int,
    depth: int = 0,
    whole: bool = False,
) -> Solution:
    r"""States z that one exchange f leaves where they are.

    The residual of a sample, with the machine precision :math:`\epsilon`, is

    .. math:: r = \|f(z) - z\| / \max(\|f(z)\|, \epsilon \sqrt N)

    A sample stops once r <= ``tol``, at ``max_loops`` exchanges, or where r is not finite. It is
    then left out of all that follows, so that its result does not depend on the others.

    Args:
        exchange: f, as often as it is told.
        start: [N, B].
        given: [N, B] each, handed to ``exchange`` for the samples that have not stopped.
        tol: more than 0.
        max_loops: at least 1.
        depth: 0 iterates f; 2 or more is Anderson's method with that many states, D. G. Anderson,
            "Iterative procedures for nonlinear integral equations", J. ACM 12 (1965) 547-560, which
            starts anew where a residual doubles.
        whole: ``exchange`` has to see all samples at every time.

    Returns:
        The states whose residuals are told: f has still to be applied, with a gradient or without.

    Memory is O(N B), or O(depth N B), whatever the loops, unless a gradient is recorded.
    """
    left = torch.arange(start.size(1), device=start.device)
    active = torch.ones_like(left, dtype=torch.bool)
    stopped: list[tuple[Tensor, Solution]] = []
    mixing = _Anderson(depth) if depth else None
    between = 1 if whole or depth else _BETWEEN
    state, done, running = start, 0, start.size(1)
    while running:
        count = min(between if done else 1, max_loops - done)
        before = exchange(state, given, count - 1) if count > 1 else state
        after = exchange(before, given, 1)
        done += count
        residual = relative_residual(before, after)
        # Written so that NaN stops too.
        now = active & ~((residual > tol) & (residual < math.inf))
        if done == max_loops:
            now = active
        if bool(now.any()):
            stopped.append((left[now], _part(before, residual, now, done, tol)))
            active = active & ~now
            running = int(active.sum())
            if not whole:
                kept = active.nonzero().flatten()
                before, after, residual, left, active = (
                    each.index_select(-1, kept) for each in (before, after, residual, left, active)
                )
                given = tuple(each.index_select(-1, kept) for each in given)
                if mixing is not None:
                    mixing.narrow(kept)
        if running:
            state = after if mixing is None else mixing.mix(after, after - before, residual)
            if whole:
                state = torch.where(active, state, before)
    return _in_order(start, stopped)


@torch.no_grad()
def relative_residual(before: Tensor, after: Tensor) -> Tensor:
    """Return r [B] of :func:`solve`, for z ``before`` and f(z) ``after``, [N, B] both."""
    floor = torch.finfo(after.dtype).eps * math.sqrt(max(after.size(0), 1))
    return (after - before).norm(dim=0) / after.norm(dim=0).clamp_min(floor)


def _part(before: Tensor, residual: Tensor, now: Tensor, done: int, tol: float) -> Solution:
    residual = residual[now]
    return Solution(
        before[:, now],
        torch.full_like(residual, done, dtype=torch.int64),
        residual,
        residual <= tol,
    )


def _in_order(start: Tensor, stopped: list[tuple[Tensor, Solution]]) -> Solution:
    """The parts put together, in the order of the samples."""
    if not stopped:
        none = start.new_empty(0)
        return Solution(start, none.long(), none, none.bool())
    numbers, parts = zip(*stopped, strict=True)
    order = torch.cat(numbers).argsort()
    return Solution(
        *(torch.cat(each, -1).index_select(-1, order) for each in zip(*parts, strict=True))
    )


class _Anderson:
    r"""Mixes the last values of f so that their gaps f(z) - z, mixed alike, become small.

    .. math:: z \leftarrow \sum_i \alpha_i f(z_i), \qquad \alpha = \arg\min_{\sum \alpha = 1}
        \|\sum_i \alpha_i (f(z_i) - z_i)\|
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.values: list[Tensor] = []
        self.gaps: list[Tensor] = []
        self.products: Tensor | None = None  # [m, m, B], of the gaps
        self.counts: Tensor | None = None  # [B], how many of the last may be mixed
        self.last: Tensor | None = None

    def narrow(self, kept: Tensor) -> None:
        """Forget all samples but those."""
        self.values, self.gaps = (
            [each.index_select(-1, kept) for each in history]
            for history in (self.values, self.gaps)
        )
        self.products, self.counts, self.last = (
            None if each is None else each.index_select(-1, kept)
            for each in (self.products, self.counts, self.last)
        )

    def mix(self, value: Tensor, gap: Tensor, residual: Tensor) -> Tensor:
        """The next z, from f(z) and f(z) - z [N, B] and the residual of z [B]."""
        self.values = [*self.values, value][-self.depth :]
        self.gaps = [*self.gaps, gap][-self.depth :]
        row = torch.stack([(each * gap).sum(0) for each in self.gaps])
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
        mixed = torch.stack(self.values).mul(shares.unsqueeze(1)).sum(0)
        return torch.where(torch.isfinite(mixed).all(0), mixed, value)

    @staticmethod
    def _shares(products: Tensor, counts: Tensor) -> Tensor:
        """Return alpha [m, B]; gaps, which differ by powers of ten, are scaled to length 1."""
        held = products.size(0)
        usable = (torch.arange(held, 0, -1, device=counts.device) <= counts.unsqueeze(1)).double()
        matrix = products.permute(2, 0, 1).double()
        tiny = torch.finfo(torch.float64).tiny
        length = matrix.diagonal(dim1=1, dim2=2).clamp_min(tiny).sqrt()
        inverse = usable * length.amin(1, keepdim=True) / length
        matrix = matrix / (length.unsqueeze(2) * length.unsqueeze(1))
        matrix = matrix * usable.unsqueeze(2) * usable.unsqueeze(1)
        # What rounding leaves of equal gaps must not be mixed with large opposite shares.
        ridge = held * torch.finfo(products.dtype).eps + (1 - usable)
        shares, _ = torch.linalg.solve_ex(matrix + torch.diag_embed(ridge), inverse.unsqueeze(2))
        shares = shares.squeeze(2) * inverse
        return (shares / shares.sum(1, keepdim=True)).t().to(products.dtype)
