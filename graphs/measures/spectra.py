"""Eigenvalues of the weight matrix, which determine whether loops grow or decay."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate, weights
from graphs.eigenvalues import largest_eigenvalues


def spectrum(data: Data, k: int = 2) -> NDArray[np.complex128]:
    r"""Return the eigenvalues of largest magnitude of the weight matrix of a connectome.

    The weight matrix W has entries :math:`W_{ts}`, the sum of the weights of the synapses from s to
    t, and a linear loop is :math:`x \leftarrow W x`. Over L loops, differences between states decay
    as :math:`|\lambda_2 / \lambda_1|^L` relative to their common component.

    Args:
        data: A connectome of N neurons, with the weights of :func:`graphs.signed_weights`.
        k: Number of eigenvalues, from 1 to N.

    Returns:
        :math:`\lambda_1, \dots, \lambda_k`, complex128 [k], with
        :math:`|\lambda_1| \ge |\lambda_2| \ge \dots`. The first magnitude is the spectral radius.
        Eigenvalues of equal magnitude are sorted by decreasing real part, and complex pairs by
        decreasing imaginary part. The spectral gap is ``abs(spectrum[0]) - abs(spectrum[1])``,
        which is 0 if the first two are a complex pair.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or ``k`` is not from 1 to N.
        RuntimeError: If the iteration does not converge for a strongly connected component of more
            than 3000 neurons, for example because very many eigenvalues have nearly the same
            magnitude.

    Note:
        The eigenvalues are those of the strongly connected components. A neuron on no cycle
        contributes the weight of its self-loop, so a layered graph has eigenvalues of exactly 0.
        Components of up to 128 neurons, and those with hardly more than ``k`` neurons, are solved
        as dense matrices. The others are solved by Arnoldi's method [1]_
        (``scipy.sparse.linalg.eigs``) in O(k (N + E)) time per iteration, with dense matrices as
        the fallback up to 3000 neurons. If the lengths of all cycles of a component are multiples
        of some p > 1, as in a directed ring, the eigenvalues are p-th roots of those of a smaller
        matrix. W is not symmetric, so power iteration and ``eigh`` would be wrong.

    References:
        .. [1] R. B. Lehoucq, D. C. Sorensen, C. Yang, "ARPACK users' guide: solution of large-scale
           eigenvalue problems with implicitly restarted Arnoldi methods", SIAM 1998.

    Example:
        >>> import graphs
        >>> ring = graphs.grid_local(6, 1, periodic=True)
        >>> graphs.spectrum(ring).real.round(6).tolist()  # 1 + 2 cos(2 pi k / 6)
        [3.0, 2.0]
    """
    matrix = _weights(validate(data))
    neurons = matrix.shape[0]
    k = arguments.count("k", k, at_least=1)
    if k > neurons:
        raise ValueError(
            f"k must be at most the number of neurons, {neurons}, got {k}; pass k={max(neurons, 1)}"
        )
    return largest_eigenvalues(matrix, k)


def _weights(data: Data) -> scipy.sparse.csr_array:
    source, target = data.edge_index.cpu().numpy()
    weight = weights(data).astype(np.float64)
    shape = (data.num_nodes, data.num_nodes)
    return scipy.sparse.coo_array((weight, (target, source)), shape=shape).tocsr()
