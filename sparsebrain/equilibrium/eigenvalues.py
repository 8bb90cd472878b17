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
    """Compute the eigenvalues of largest magnitude of W, W[target, source] = weight.

    :func:`graphs.eigenvalues.largest_eigenvalues` describes the method. It treats one strongly
    connected component after another, so that a graph without cycles has exactly zero; rounding
    would otherwise spread these eigenvalues over a circle.

    Args:
        structure: The synapses of N neurons.
        weight: [E].
        k: The number of eigenvalues, from 1 to N.

    Returns:
        [k] complex128 on the CPU, in descending order of magnitude, then of the real part, then of
        the imaginary part.

    Raises:
        TypeError: If ``k`` is not an int, or ``weight`` not a tensor of floats.
        ValueError: If ``k`` is not from 1 to N, or a weight is NaN or infinite.
        RuntimeError: If the iteration does not converge, which can happen with very many nearly
            equal eigenvalues in a strongly connected component of more than 3000 neurons.

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
    # Layers do not need this module, whose import takes long.
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
