"""Tensors that belong to a module, are never learned, and follow it to other devices."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Fixed(nn.Module):
    """A module with one tensor, ``value``, that follows the module's device and dtype.

    A buffer would do the same, but ``to_empty`` fills buffers with arbitrary memory contents, which
    no ``state_dict`` would restore. When the module moves to the meta device the value stays where
    it is.
    """

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Fixed:
        super()._apply(fn, recurse)
        like = fn(torch.empty(0, dtype=self.value.dtype, device=self.value.device))
        if not like.is_meta:
            self.value = self.value.to(like)
        return self
