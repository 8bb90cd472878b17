"""How states [N, B] lie in memory: neuron after neuron, or sample after sample.

Vectors [N] pass through as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor


def is_transposed(x: Tensor) -> bool:
    """Whether x [N, B] lies sample after sample, as a layer's input [B, N] does."""
    return x.dim() == 2 and not x.is_contiguous() and x.t().is_contiguous()


def like(x: Tensor) -> Tensor:
    """An empty tensor of the shape of x, transposed in memory where x is, else contiguous."""
    if is_transposed(x):
        return x.new_empty(x.shape[::-1]).t()
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def settled(x: Tensor) -> Tensor:
    """X itself if it lies in one of both ways, else a contiguous copy."""
    return x if x.is_contiguous() or is_transposed(x) else x.contiguous()
