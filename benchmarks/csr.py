"""Compressed-sparse-row tensors as a user of torch makes them, independent of the library's own."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


class Rows:
    """The index arrays of W, made once from edges sorted by (target, source).

    As int32 unless told otherwise: MKL takes no other, and torch would convert them at every call.
    """

    def __init__(
        self, edge_index: Tensor, num_nodes: int, dtype: torch.dtype = torch.int32
    ) -> None:
        source, target = edge_index
        if not bool((target[1:] >= target[:-1]).all()):
            raise ValueError("edge_index must be sorted by target; call graphs.validate for more.")
        pointer = torch.zeros(num_nodes + 1, dtype=torch.int64)
        torch.cumsum(torch.bincount(target, minlength=num_nodes), 0, out=pointer[1:])
        self.pointer, self.source = pointer.to(dtype), source.to(dtype)
        self.size = (num_nodes, num_nodes)

    def matrix(self, weight: Tensor) -> Tensor:
        """W as a CSR tensor, through which gradients reach ``weight`` [E]."""
        with warnings.catch_warnings():
            # Torch says once a process that CSR is in beta.
            warnings.simplefilter("ignore")
            return torch.sparse_csr_tensor(
                self.pointer, self.source, weight, self.size, check_invariants=False
            )
