"""The largest eigenvalues of a directed weight matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from graphs import arguments
from sparsebrain.kernels import Structure
from sparsebrain.kernels.checks import check_matrix


def eigenvalues(structure: Structure, weight: Tensor, k: int) -> Tensor:
    """Find the eigenvalues of largest magnitude of W, W[target, source] = weight.

    :func:`graphs.eigenvalues.largest_eigenvalues` tells how: one strongly connected component after
    another, so that a graph without cycles has exactly zero, of which rounding would make a circle.

    Args:
        structure: the synapses of N neurons.
        weight: [E].
        k: how many, from 1 to N.

    Returns:
        [k] complex128 on the CPU, falling in magnitude, where that is equal in real part, and where
        that is too in imaginary part: of a complex pair the one above the real axis comes first.

    Raises:
        TypeError: ``k`` is no int.
        ValueError: ``k`` is not from 1 to N, or a weight is NaN or infinite.
        RuntimeError: the iteration does not converge, as where very many eigenvalues are nearly
            equally large in a strongly connected component of more than 3000 neurons.

    Example:
        >>> import torch
        >>> from sparsebrain.equilibrium.eigenvalues import eigenvalues
        >>> from sparsebrain.kernels import Structure
        >>> selves = Structure(torch.tensor([[0, 1, 0], [0, 1, 1]]), num_nodes=2)
        >>> eigenvalues(selves, torch.tensor([2.0, -3.0, 5.0]), k=2).real
        tensor([-3.,  2.], dtype=torch.float64)
    """
    check_matrix(structure, weight)
    if arguments.count("k", k, at_least=1) > structure.num_nodes:
        raise ValueError(
            f"k must be at most the number of neurons, {structure.num_nodes}, got {k}; "
            f"pass k={max(structure.num_nodes, 1)}."
        )
    # Layers themselves need nothing of graphs, and are imported without it.
    from graphs.eigenvalues import largest_eigenvalues  # noqa: PLC0415

    return torch.from_numpy(largest_eigenvalues(_matrix(structure, weight), k))


def _matrix(structure: Structure, weight: Tensor) -> csr_array[Any]:
    source, target = structure.edge_index.cpu().numpy()
    values = weight.detach().double().cpu().numpy()
    if not np.isfinite(values).all():
        raise ValueError(
            "weight must be finite to have eigenvalues, got NaN or infinity; pass "
            "weight.nan_to_num()"
        )
    shape = (structure.num_nodes, structure.num_nodes)
    return coo_array((values, (target, source)), shape=shape).tocsr()
