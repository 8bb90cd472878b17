"""Eigenvalues of the weights: whether loops grow, fade or settle, and how fast."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, eigs
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import signs, validate

# Up to so many neurons the whole matrix is solved, and up to so many where Arnoldi's method fails.
_DENSE = 128
# Of weights at random the largest eigenvalues lie close to a circle, and who asks Arnoldi's method
# for one or two of them is given the wrong ones.
_WANTED = 10
# A larger subspace needs hardly fewer steps, each of which takes as much longer. There is no
# tolerance, since of an eigenvalue that occurs twice the second comes out of the rounding alone.
_SUBSPACE = 40
_RESTARTS = 600
_RESCUE = 1000


def spectrum(data: Data, k: int = 2) -> NDArray[np.complex128]:
    r"""Return the eigenvalues of largest magnitude of the weight matrix of a connectome.

    With :math:`W_{ts}` the sum of the weights of the synapses from s to t, a linear loop is
    :math:`x \leftarrow W x`. Over L loops differences between states fade as
    :math:`|\lambda_2 / \lambda_1|^L` beside what is common to them.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome of N neurons. Weights are ``edge_weight``, or 1 where it has none, times
        ``edge_sign`` or the ``node_sign`` of the source where it has one and no weight is negative.
    k : int
        How many, from 1 to N.

    Returns
    -------
    numpy.ndarray, [k] complex128
        :math:`\lambda_1, \dots, \lambda_k` with :math:`|\lambda_1| \ge |\lambda_2| \ge \dots`;
        the first magnitude is the spectral radius.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or `k` is not from 1 to N.
    RuntimeError
        If the iteration does not converge, as where many eigenvalues are equally large.

    Notes
    -----
    Only cycles have eigenvalues: a neuron that no path leads back to adds its self-loop alone, so
    those of a layered graph are exactly 0. The rest by Arnoldi's method through
    `scipy.sparse.linalg.eigs`, O(k (N + E)) for each of its iterations; from the dense matrix up to
    128 neurons, where `k` is close to N, and up to 1000 neurons where Arnoldi's method fails. W is
    not symmetric, so its eigenvalues come in complex pairs, and power iteration or ``eigh`` would
    be wrong. The gap between the first two is ``abs(spectrum[0]) - abs(spectrum[1])``; in a pair it
    is 0.

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
    if arguments.count("k", k, at_least=1) > neurons:
        raise ValueError(
            f"k must be at most the number of neurons, {neurons}, got {k}; pass k={max(neurons, 1)}"
        )
    matrix.eliminate_zeros()
    # Synapses between strongly connected parts make blocks beside the diagonal.
    _, part = connected_components(matrix, connection="strong")
    cyclic = np.bincount(part, minlength=1)[part] > 1
    entries = matrix.tocoo()
    inside = (part[entries.row] == part[entries.col]) & cyclic[entries.row]
    place = np.cumsum(cyclic) - 1
    inner = scipy.sparse.coo_array(
        (entries.data[inside], (place[entries.row[inside]], place[entries.col[inside]])),
        shape=(int(cyclic.sum()),) * 2,
    ).tocsr()
    found = np.concatenate((_largest(inner, k), matrix.diagonal()[~cyclic]))
    return found[np.argsort(-np.abs(found), kind="stable")][:k].astype(np.complex128)


def _largest(matrix: scipy.sparse.csr_array, k: int) -> NDArray[Any]:
    neurons = matrix.shape[0]
    wanted = max(k, _WANTED)
    if neurons > _DENSE and wanted <= neurons - 2:
        # ARPACK would draw its first vector from a generator of its own.
        start = np.random.default_rng(0).uniform(0.5, 1.5, neurons)
        try:
            return eigs(
                matrix,
                k=wanted,
                ncv=min(neurons, max(_SUBSPACE, 2 * wanted + 1)),
                v0=start,
                maxiter=_RESTARTS,
                return_eigenvectors=False,
            )
        except ArpackError as error:
            if neurons > _RESCUE:
                raise RuntimeError(
                    f"the {wanted} largest eigenvalues did not converge ({error}); "
                    "ask for another k"
                ) from None
    return np.linalg.eigvals(matrix.toarray())


def _weights(data: Data) -> scipy.sparse.csr_array:
    source, target = data.edge_index.cpu().numpy()
    weight = np.ones(data.num_edges)
    if "edge_weight" in data:
        weight = data["edge_weight"].detach().cpu().numpy().astype(np.float64)
    sign = signs(data)
    if sign is not None and (weight >= 0).all():
        weight = weight * sign
    shape = (data.num_nodes, data.num_nodes)
    return scipy.sparse.coo_array((weight, (target, source)), shape=shape).tocsr()
