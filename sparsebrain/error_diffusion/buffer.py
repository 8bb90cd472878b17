"""Memory for gradients that is kept between steps."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor

from sparsebrain.kernels.eager import is_watched

_SMALL = 2**15
"""Number of elements below which the allocator itself keeps freed memory."""


class Buffer:
    """Memory of one tensor, which the next tensor reuses as soon as nothing uses the last one.

    An optimizer frees gradients between steps. The system clears large blocks of memory before they
    are used again, which takes longer than computing a gradient. Copies of a buffer are empty.
    """

    def __init__(self) -> None:
        self._memory: Tensor | None = None
        self._user: weakref.ref[Any] | None = None

    def take(self, like: Tensor) -> Tensor:
        """Return an uninitialized tensor with the shape, dtype and device of another."""
        if like.device.type != "cpu" or like.numel() < _SMALL or is_watched():
            return torch.empty_like(like)
        memory = self._memory
        in_use = self._user is not None and self._user() is not None
        if memory is None or in_use or memory.shape != like.shape or memory.dtype != like.dtype:
            memory = self._memory = torch.empty_like(like)
        # All tensors in this memory, views included, keep this array alive.
        array = memory.numpy()
        self._user = weakref.ref(array)
        return torch.from_numpy(array)

    def __reduce__(self) -> tuple[type[Buffer], tuple[()]]:
        return Buffer, ()
