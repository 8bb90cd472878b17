"""Eigenvalues of the weights: whether loops grow, fade or settle, and how fast."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import signs, validate
from graphs.eigenvalues import largest_eigenvalues


def spectrum(data: Data, k: int = 2) -> NDArray[np.complex128]:
    r"""Return the eigenvalues of largest magnitude of the weight matrix of a connectome.

    With :math:`W_{ts}` the sum of the weights of the synapses from s to t, a linear loop is
    :math:`x \leftarrow W x`. Over L loops differences between states fade as
    :math:`|\lambda_2 / \lambda_1|^L` beside what is common to them.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome of N neurons. Weights are ``edge_weight``, or 1 where it has none, times
        ``edge_sign`` or the ``node_sign`` of the source where it has one and no weight is negative;
        an unknown sign, 0, leaves the weight as it is.
    k : int
        How many, from 1 to N.

    Returns
    -------
    numpy.ndarray, [k] complex128
        :math:`\lambda_1, \dots, \lambda_k` with :math:`|\lambda_1| \ge |\lambda_2| \ge \dots`;
        the first magnitude is the spectral radius. Those of equal magnitude come by falling real
        part, and a complex pair by falling imaginary part.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or `k` is not from 1 to N.
    RuntimeError
        If the iteration does not converge in a strongly connected part of more than 3000 neurons,
        as where very many eigenvalues are nearly equally large.

    Notes
    -----
    Only cycles have eigenvalues: a neuron that no path leads back to adds its self-loop alone, so
    those of a layered graph are exactly 0. The rest by Arnoldi's method [1]_ through
    `scipy.sparse.linalg.eigs`, O(k (N + E)) for each of its iterations, one strongly connected part
    after another; from the dense matrix where a part has up to 128 neurons or `k` is close to their
    number, and up to 3000 neurons where Arnoldi's method fails. Where the lengths of all cycles of
    a part are multiples of some p > 1, as in a directed ring, the eigenvalues are p-th roots of
    those of a smaller matrix. W is not symmetric, so its eigenvalues come in complex pairs, and
    power iteration or ``eigh`` would be wrong. The gap between the first two is
    ``abs(spectrum[0]) - abs(spectrum[1])``; in a pair it is 0.

    References
    ----------
    .. [1] R. B. Lehoucq, D. C. Sorensen, C. Yang, "ARPACK users' guide: solution of large-scale
       eigenvalue problems with implicitly restarted Arnoldi methods", SIAM 1998.

    Examples
    --------
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
    weight = np.ones(data.num_edges)
    if "edge_weight" in data:
        weight = data["edge_weight"].detach().cpu().numpy().astype(np.float64)
    sign = signs(data)
    if sign is not None and (weight >= 0).all():
        # A synapse of unknown sign counts as one without a sign; it is no synapse of strength 0.
        weight = np.where(sign < 0, -weight, weight)
    shape = (data.num_nodes, data.num_nodes)
    return scipy.sparse.coo_array((weight, (target, source)), shape=shape).tocsr()
