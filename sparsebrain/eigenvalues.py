"""The largest eigenvalues of a directed weight matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigs
from torch import Tensor

from sparsebrain.kernels import Structure
from sparsebrain.options import check_count

_DENSE = 128
# Of weights at random the largest eigenvalues lie close to a circle, and who asks Arnoldi's method
# for one or two of them is given the wrong ones.
_WANTED = 10
_SUBSPACE = 100
_RESTARTS = 200


def eigenvalues(structure: Structure, weight: Tensor, k: int) -> Tensor:
    """Find the eigenvalues of largest magnitude of W, W[target, source] = weight.

    Each strongly connected component is solved by itself, since W is triangular in them: by
    Arnoldi's method, O(k (N + E)) an iteration, or densely up to 128 neurons. So a graph without
    cycles has exactly zero, of which rounding would make a circle. W is not symmetric: ``eigh``
    would be wrong, and power iteration never settles on a complex pair.

    Args:
        structure: the synapses of N neurons.
        weight: [E].
        k: how many, from 1 to N.

    Returns:
        [k] complex128 on the CPU, falling in magnitude; of a complex pair the one above the real
        axis comes first.

    Raises:
        TypeError: ``k`` is no int.
        ValueError: ``k`` is not from 1 to N, or a weight is NaN or infinite.
        RuntimeError: the iteration does not converge, as where many eigenvalues are equally large.

    Example:
        >>> import torch
        >>> from sparsebrain.eigenvalues import eigenvalues
        >>> from sparsebrain.kernels import Structure
        >>> selves = Structure(torch.tensor([[0, 1, 0], [0, 1, 1]]), num_nodes=2)
        >>> eigenvalues(selves, torch.tensor([2.0, -3.0, 5.0]), k=2).real
        tensor([-3.,  2.], dtype=torch.float64)
    """
    if check_count("k", k) > structure.num_nodes:
        raise ValueError(
            f"k must be at most the number of neurons, {structure.num_nodes}, got {k}; "
            f"pass k={max(structure.num_nodes, 1)}."
        )
    parts = list(_by_component(_matrix(structure, weight), k))
    found = np.concatenate(parts)
    order = np.lexsort((-found.imag, -np.abs(found)))
    return torch.from_numpy(found[order][:k])


def _matrix(structure: Structure, weight: Tensor) -> csr_array[Any]:
    source, target = structure.edge_index.cpu().numpy()
    values = weight.detach().double().cpu().numpy()
    if not np.isfinite(values).all():
        raise ValueError("weights must be finite to have eigenvalues; these hold NaN or infinity.")
    shape = (structure.num_nodes, structure.num_nodes)
    matrix = coo_array((values, (target, source)), shape=shape).tocsr()
    matrix.eliminate_zeros()
    return matrix


def _by_component(matrix: csr_array[Any], k: int) -> Iterator[NDArray[np.complex128]]:
    """At least the k largest eigenvalues of W, one strongly connected component after another."""
    _, component = connected_components(matrix, directed=True, connection="strong")
    size = np.bincount(component)
    alone = size[component] == 1
    yield matrix.diagonal()[alone].astype(np.complex128)
    order = np.argsort(component, kind="stable")
    for neurons in np.split(order, np.cumsum(size)[:-1]):
        if len(neurons) > 1:
            yield _largest(matrix[neurons][:, neurons], min(k, len(neurons)))


def _largest(matrix: csr_array[Any], k: int) -> NDArray[np.complex128]:
    neurons = matrix.shape[0]
    wanted = max(k, _WANTED)
    if neurons <= _DENSE or wanted > neurons - 2:
        return np.linalg.eigvals(matrix.toarray()).astype(np.complex128)
    # ARPACK would draw its first vector from a generator of its own.
    start = np.random.default_rng(0).uniform(0.5, 1.5, neurons)
    try:
        found = eigs(
            matrix,
            k=wanted,
            ncv=min(neurons, max(_SUBSPACE, 2 * wanted + 1)),
            v0=start,
            maxiter=_RESTARTS,
            return_eigenvectors=False,
        )
    except ArpackNoConvergence as error:
        raise RuntimeError(
            f"the {wanted} largest eigenvalues did not converge ({error}); ask for another k."
        ) from None
    return found.astype(np.complex128)
