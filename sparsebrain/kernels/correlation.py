"""Sums of correlations over several loops, from which the gradient of the weights is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor


class Correlation(Protocol):
    """The sum over all loops of post[t] * pre[s], for each synapse s -> t."""

    def add(self, post: Tensor, pre: Tensor) -> None:
        """Add the correlation of two states [N, B]."""

    def total(self) -> Tensor:
        """Return the sum [E], in the order of the synapses."""


class SparseCorrelation:
    """A :class:`Correlation` that correlates at each call.

    Args:
        correlate: :meth:`.Backend.correlate` for one structure.
        out: [E], zero.
    """

    def __init__(self, correlate: Callable[[Tensor, Tensor], Tensor], out: Tensor) -> None:
        self._correlate, self._out = correlate, out

    def add(self, post: Tensor, pre: Tensor) -> None:
        """Add the correlation of two states [N, B]."""
        self._out.add_(self._correlate(post, pre))

    def total(self) -> Tensor:
        """Return the sum [E], in the order of the synapses."""
        return self._out
