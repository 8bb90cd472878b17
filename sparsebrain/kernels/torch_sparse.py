"""The ``torch`` backend: PyTorch's own compressed-sparse-row kernels."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from sparsebrain.kernels.backend import Backend
from sparsebrain.kernels.compressed import Compressed
from sparsebrain.kernels.reference import ReferenceBackend
from sparsebrain.kernels.structure import Structure


class TorchBackend(Backend):
    """Sparse-dense products for W x and W^T x, ``torch.sparse.sampled_addmm`` for the correlation.

    On a CPU products use MKL if torch has it, 1.3 to 4 times as fast as torch's own reducing kernel
    (float32 and float64, batch 1 to 128, a grid of 18 thousand and a power law of a million
    synapses). They are written directly into the result, which saves two of the passes over it that
    ``torch.sparse.mm`` makes. ``python -m benchmarks.kernels`` measures both.
    """

    name = "torch"

    def obstacle(self, device: torch.device) -> str | None:
        if device.type in ("cpu", "cuda"):
            return None
        return f"torch has no sparse kernels on {device.type!r}, only on 'cpu' and 'cuda'"

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        rows = structure.by_source if transpose else structure.by_target
        matrix = _matrix(rows, rows.arrange(weight))
        if not (weight.is_cuda or torch.backends.mkl.is_available()):
            return lambda x: torch.sparse.mm(matrix, x, "sum")

        def apply(x: Tensor) -> Tensor:
            out = torch.empty_like(x)
            return torch.addmm(out, matrix, x, beta=0, out=out)

        return apply

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        # Torch refuses an empty inner dimension, and more synapses than the matrix has entries.
        if not post.numel() or structure.num_edges > structure.num_nodes**2:
            return ReferenceBackend().correlate(structure, post, pre)
        rows = structure.by_target
        pattern = _matrix(rows, post.new_zeros(structure.num_edges))
        product = torch.sparse.sampled_addmm(pattern, post, pre.t(), beta=0.0)
        return rows.restore(product.values())


def _matrix(rows: Compressed, values: Tensor) -> Tensor:
    _silence_beta_warning()
    size = (rows.pointer.numel() - 1,) * 2
    return torch.sparse_csr_tensor(rows.pointer, rows.neuron, values, size, check_invariants=False)


@functools.cache
def _silence_beta_warning() -> None:
    """Trigger torch's warning that CSR tensors are in beta, once per process, and drop it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        empty = torch.zeros(1, dtype=torch.int32)
        torch.sparse_csr_tensor(empty, empty[:0], torch.zeros(0), (0, 0), check_invariants=False)
