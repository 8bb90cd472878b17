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
    damping: Tensor | None = None,
) -> Solution:
    r"""States z that one exchange f leaves where they are.

    The residual of a sample, with the machine precision :math:`\epsilon`, is

    .. math:: r = \|f(z) - z\| / \max(\|f(z)\|, \epsilon \sqrt N)

    A sample stops once r <= ``tol``, at ``max_loops`` exchanges, or where r is not finite. Its
    state is then held, so that it does not depend on the others. Once half of the samples have
    stopped they are left out of all that follows; to leave out each at once would take more memory
    than it saves.

    Args:
        exchange: f, as often as it is told.
        start: [N, B].
        given: [N, B] each, handed to ``exchange`` for the samples that are not left out.
        tol: more than 0.
        max_loops: at least 1.
        depth: 0 iterates f; 2 or more is Anderson's method with that many states, D. G. Anderson,
            "Iterative procedures for nonlinear integral equations", J. ACM 12 (1965) 547-560, which
            starts anew where a residual doubles.
        whole: ``exchange`` has to see all samples at every time.
        damping: a [N, 1], above 0 and at most 1: each loop goes from z to (1 - a) z + a f(z). The
            residual stays that of f, as small steps are no sign of a fixed point.

    Returns:
        The states whose residuals are told: f has still to be applied, with a gradient or without.

    Memory is O(N B), or O(depth N B), whatever the loops, unless a gradient is recorded.
    """
    told = _Told(start)
    mixing = _Anderson(depth) if depth else None
    between = 1 if whole or depth or damping is not None else _BETWEEN
    left = torch.arange(start.size(1), device=start.device)
    stopped = torch.zeros_like(left, dtype=torch.bool)
    state, done, running, result = start, 0, start.size(1), None
    while running:
        count = min(between if done else 1, max_loops - done)
        before = exchange(state, given, count - 1) if count > 1 else state
        after = exchange(before, given, 1)
        done += count
        residual = relative_residual(before, after)
        # Written so that NaN stops too.
        now = ~stopped & (~((residual > tol) & (residual < math.inf)) | (done == max_loops))
        told.add(left, now, done, residual, tol)
        if damping is not None:
            after = torch.lerp(before, after, damping)
        if mixing is not None:
            after = mixing.mix(after, after - before, residual)
        after = _held(_held(after, before, now), state, stopped)
        state, stopped = after, stopped | now
        running = len(left) - int(stopped.sum())
        if not running or (2 * running <= len(left) and not whole):
            result = state if result is None else _put(result, left, state)
            kept = (~stopped).nonzero().flatten()
            state, left, stopped = (each.index_select(-1, kept) for each in (state, left, stopped))
            given = tuple(each.index_select(-1, kept) for each in given)
            if mixing is not None:
                mixing.narrow(kept)
    return Solution(start if result is None else result, told.loops, told.residual, told.converged)


@torch.no_grad()
def relative_residual(before: Tensor, after: Tensor) -> Tensor:
    """Return r [B] of :func:`solve`, for z ``before`` and f(z) ``after``, [N, B] both."""
    floor = torch.finfo(after.dtype).eps * math.sqrt(max(after.size(0), 1))
    # Several times as fast as norm(), which guards against overflow: who overflows stops anyway.
    change, size = ((x * x).sum(0).sqrt() for x in (after - before, after))
    return change / size.clamp_min(floor)


class _Told:
    """What a solution tells of its samples, filled in when they stop."""

    def __init__(self, start: Tensor) -> None:
        self.residual = start.new_zeros(start.size(1))
        self.loops = self.residual.long()
        self.converged = self.residual.bool()

    def add(self, left: Tensor, now: Tensor, done: int, residual: Tensor, tol: float) -> None:
        """Those of the samples ``left`` which stop ``now``."""
        number, residual = left[now], residual[now]
        self.loops[number] = done
        self.residual[number] = residual
        self.converged[number] = residual <= tol


def _held(state: Tensor, before: Tensor, where: Tensor) -> Tensor:
    """``state``, which is ours to write on, with the samples of ``before`` in some places."""
    number = where.nonzero().flatten()
    return _put(state, number, before.index_select(1, number)) if len(number) else state


def _put(state: Tensor, number: Tensor, samples: Tensor) -> Tensor:
    # Without a gradient in place: at the peak every state counts.
    if state.requires_grad or samples.requires_grad:
        return state.index_copy(1, number, samples)
    return state.index_copy_(1, number, samples)


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
        mixed = value * shares[-1]
        for each, share in zip(self.values[:-1], shares[:-1], strict=True):
            mixed.addcmul_(each, share)
        return mixed

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
        shares = shares / shares.sum(1, keepdim=True)
        newest = torch.zeros_like(shares)
        newest[:, -1] = 1
        sound = torch.isfinite(shares).all(1, keepdim=True)
        return torch.where(sound, shares, newest).t().to(products.dtype)
