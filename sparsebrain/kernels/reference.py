"""The oracle: gather, multiply, add up. Slow, obvious, and on every device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparsebrain.kernels.backend import Backend
from sparsebrain.kernels.structure import Structure


class ReferenceBackend(Backend):
    """One message per synapse and column of the batch: O(E B) memory, which others avoid."""

    name = "reference"

    def obstacle(self, device: torch.device) -> str | None:
        return None

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        source, target = structure.edge_index.flip(0) if transpose else structure.edge_index

        def apply(x: Tensor) -> Tensor:
            messages = weight.unsqueeze(1) * x.index_select(0, source)
            return torch.zeros_like(x).index_add_(0, target, messages)

        return apply

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        source, target = structure.edge_index
        return (post.index_select(0, target) * pre.index_select(0, source)).sum(1)
