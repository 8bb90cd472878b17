"""The memory layout of states [N, B]: neuron by neuron, or sample by sample.

Vectors [N] pass through unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor


def is_transposed(x: Tensor) -> bool:
    """Return whether x [N, B] is stored sample by sample, as a layer's input [B, N] is."""
    return x.dim() == 2 and not x.is_contiguous() and x.t().is_contiguous()


def like(x: Tensor) -> Tensor:
    """Return an empty tensor in the shape of x, transposed in memory if x is, else contiguous."""
    if is_transposed(x):
        return x.new_empty(x.shape[::-1]).t()
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def settled(x: Tensor) -> Tensor:
    """Return x itself if it has one of both layouts, else a contiguous copy."""
    return x if x.is_contiguous() or is_transposed(x) else x.contiguous()
