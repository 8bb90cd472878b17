"""The memory layout of states [N, B]: neuron by neuron, or sample by sample.

Vectors [N] pass through unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor


def is_transposed(x: Tensor) -> bool:
    """Return whether x [N, B] is stored sample by sample, as a layer's input [B, N] is."""
    return x.dim() == 2 and x.stride() == (1, x.size(0))


def like(x: Tensor) -> Tensor:
    """Return an empty tensor in the shape of x, transposed in memory if x is, else contiguous."""
    kept = torch.preserve_format if is_transposed(x) else torch.contiguous_format
    return torch.empty_like(x, memory_format=kept)


def settled(x: Tensor) -> Tensor:
    """Return x itself if it has one of both layouts, else a contiguous copy."""
    return x if x.is_contiguous() or is_transposed(x) else x.contiguous()
