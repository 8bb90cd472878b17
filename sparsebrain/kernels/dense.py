"""The ``dense`` backend: products with the full matrix W [N, N], for graphs with few gaps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from graphs import memory, tensors
from sparsebrain.kernels.backend import Backend
from sparsebrain.kernels.checks import check_index, version_of
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.torch_sparse import TorchBackend

_LEAST_WORK = {0.79: 500_000, 0.59: 2_000_000}
"""The least product of neurons, batch and loops by the least density at which it suffices."""


class DenseBackend(Backend):
    """``torch.mm`` with W as a full matrix, which is scattered from the weights once per call.

    If a graph is dense and a call long, this takes less time than kernels that follow indices. It
    needs O(N^2) memory, twice as much with a backward pass, and keeps an index of 8 bytes per
    synapse between calls. Parallel synapses add up in the matrix.

    A missing synapse is a zero in the matrix, and zero times infinity is NaN, where a sparse
    product has no term. Such a NaN stays in the product, so a product that is not finite is
    computed again by the ``torch`` backend.

    The products follow ``torch.set_float32_matmul_precision`` like every dense product of torch;
    ``auto`` chooses this backend only at the precision "highest". The order of every sum is that of
    the BLAS library, which may depend on the number of threads.
    """

    name = "dense"
    # The index arrays are read only to make the kept index, which torch's operations check.
    checks_index = True

    def obstacle(self, device: torch.device) -> str | None:
        if device.type in ("cpu", "cuda"):
            return None
        return f"dense products are tested on 'cpu' and 'cuda', not on {device.type!r}"

    def suits(self, device: torch.device) -> bool:
        """Return False: the choice needs the graph, see :meth:`pays`."""
        return False

    def pays(self, structure: Structure, dtype: torch.dtype, *, batch: int, loops: int) -> bool:
        """Return whether a loop on a CPU takes less time than with the ``native`` backend.

        The rule is fixed, and not a measurement in the running process, so that two runs make the
        same choice and round alike. It comes from ``python -m benchmarks.crossover``, which
        measured float32 and the BLAS library MKL.
        """
        pairs, work = structure.num_nodes**2, structure.num_nodes * batch * loops
        return (
            dtype is torch.float32
            and any(
                structure.num_edges >= density * pairs and work >= least
                for density, least in _LEAST_WORK.items()
            )
            and torch.backends.mkl.is_available()
            and _is_precise()
            # W and the sum of its gradients, and room for everything else.
            and 4 * 2 * pairs * dtype.itemsize <= memory.available()
        )

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        matrix: Tensor | None = None

        def apply(x: Tensor) -> Tensor:
            nonlocal matrix
            if matrix is None:
                # Not before, because some backward passes never apply W.
                matrix = _scatter(structure, weight)
                matrix = matrix.t() if transpose else matrix
            y = torch.mm(matrix, x)
            if math.isfinite(float(y.sum())):
                return y
            return TorchBackend().operator(structure, weight, transpose=transpose)(x)

        return apply

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        _check_room(structure, post)
        return _gather(structure, torch.mm(post, pre.t()))

    def correlation(self, structure: Structure, weight: Tensor) -> DenseCorrelation:
        return DenseCorrelation(structure, weight)

    def gibbs(self, *arguments: Any, **options: Any) -> Tensor:
        # Neurons of one color share no synapse, so the matrix of a color has few entries.
        return TorchBackend().gibbs(*arguments, **options)


class DenseCorrelation:
    """The sum over all loops of post pre^T [N, N], read at the synapses once."""

    def __init__(self, structure: Structure, weight: Tensor) -> None:
        _check_room(structure, weight)
        self._structure = structure
        self._sum = weight.new_zeros(structure.num_nodes, structure.num_nodes)

    def add(self, post: Tensor, pre: Tensor) -> None:
        """Add the correlation of two states [N, B]."""
        self._sum.addmm_(post, pre.t())

    def total(self) -> Tensor:
        """Return the sum [E], in the order of the synapses."""
        return _gather(self._structure, self._sum)


def _is_precise() -> bool:
    """Return whether products of float32 are computed in float32."""
    # Types of torch lack this setting, which torch.set_float32_matmul_precision changes as well.
    settings: Any = torch.backends.mkldnn
    return settings.matmul.fp32_precision in ("none", "ieee")


def _check_room(structure: Structure, like: Tensor) -> None:
    nodes = structure.num_nodes
    tensors.room(
        f"backend='dense' with num_nodes={nodes}",
        nodes**2 * like.element_size(),
        "pass backend='auto'",
    )


def _scatter(structure: Structure, weight: Tensor) -> Tensor:
    """Return W [N, N], in which parallel synapses are added."""
    _check_room(structure, weight)
    matrix = weight.new_zeros(structure.num_nodes**2)
    matrix.scatter_add_(0, _places(structure), weight)
    return matrix.view(structure.num_nodes, structure.num_nodes)


def _gather(structure: Structure, matrix: Tensor) -> Tensor:
    """Return the entries [E] of a matrix [N, N] at the synapses."""
    return matrix.reshape(-1).index_select(0, _places(structure))


def _places(structure: Structure) -> Tensor:
    """Return the place of every synapse in the flattened matrix, [E] int64."""
    pointer, neuron, _ = structure.by_target
    version = version_of(pointer), version_of(neuron)
    kept = _kept.get(pointer)
    if kept is None or kept[0] != version:
        check_index(structure)
        nodes = structure.num_nodes
        starts = torch.arange(nodes, device=pointer.device) * nodes
        rows = torch.repeat_interleave(starts, pointer.diff(), output_size=structure.num_edges)
        kept = version, structure.by_target.restore(rows.add_(neuron))
        _kept[pointer] = kept
    return kept[1]


_kept = WeakTensorKeyDictionary()
