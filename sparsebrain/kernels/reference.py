"""The ``reference`` backend: gather, multiply and add. Slow and simple, on every device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparsebrain.kernels.backend import Backend
from sparsebrain.kernels.structure import Structure


class ReferenceBackend(Backend):
    """One message per synapse and column of the batch, with O(E B) memory."""

    name = "reference"

    def obstacle(self, device: torch.device) -> str | None:
        return None

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        edge_index = structure.edge_index
        return lambda x: exchange(edge_index, weight, x, transpose=transpose)

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        return products(structure.edge_index, post, pre)


def exchange(edge_index: Tensor, weight: Tensor, x: Tensor, *, transpose: bool) -> Tensor:
    """Compute W x, or W^T x, for states [N, B], with operations that torch differentiates."""
    source, target = edge_index.flip(0) if transpose else edge_index
    messages = weight.unsqueeze(1) * x.index_select(0, source)
    return torch.zeros_like(x).index_add(0, target, messages)


def products(edge_index: Tensor, post: Tensor, pre: Tensor) -> Tensor:
    """Sum post[target] * pre[source] over the batch, [E], with differentiable operations."""
    source, target = edge_index
    return (post.index_select(0, target) * pre.index_select(0, source)).sum(1)
