"""The memory that a stage keeps for its backward passes."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor


class Kept:
    """Counts the bytes of the tensors that autograd keeps, inside a ``with`` block.

    Memory that several tensors share counts once.

    Args:
        parameters: Tensors that do not count, as they are there anyway.

    Attributes:
        most: The largest number of bytes so far.
    """

    def __init__(self, parameters: Iterable[Tensor] = ()) -> None:
        self.most = 0
        self._own = {each.untyped_storage().data_ptr() for each in parameters}
        self._sizes: dict[int, int] = {}
        self._uses: Counter[int] = Counter()
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack)

    def look(self, also: Iterable[Tensor] = ()) -> None:
        """Update ``most``, with tensors that are kept by other means."""
        total = sum(size for at, size in self._sizes.items() if self._uses[at])
        self.most = max(self.most, total + sum(each.nbytes for each in also))

    def __enter__(self) -> Kept:
        self._hooks.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hooks.__exit__(kind, error, trace)

    def _pack(self, tensor: Tensor) -> Any:
        # An output of an operation would otherwise keep itself alive.
        held = _Held(tensor.detach())
        storage = tensor.untyped_storage()
        at = storage.data_ptr()
        if at in self._own:
            return held
        self._sizes[at] = storage.nbytes()
        self._uses[at] += 1
        weakref.finalize(held, self._drop, at)
        self.look()
        return held

    def _drop(self, at: int) -> None:
        self._uses[at] -= 1

    @staticmethod
    def _unpack(held: Any) -> Tensor:
        return held.tensor


class _Held:
    """A kept tensor; it lives as long as the graph needs it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
