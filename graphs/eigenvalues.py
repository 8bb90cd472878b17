"""The largest eigenvalues of a sparse matrix that need not be symmetric."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.sparse.linalg import ArpackError, LinearOperator, eigs

Complex = NDArray[np.complex128]

# Largest numbers of rows that are solved densely: always, and if Arnoldi's method fails.
_DENSE = 128
_RESCUE = 3000
# The largest eigenvalues of a random matrix lie close to a circle, and ARPACK may miss the largest
# one if only one or two are requested.
_WANTED = 10
# Subspace sizes and numbers of restarts, tried in turn. A larger subspace is not faster, but
# separates more eigenvalues of almost equal magnitude. The tolerance is 0, because the second copy
# of a double eigenvalue emerges from rounding errors alone.
_ATTEMPTS = ((40, 600), (200, 40))
# Values that differ by less than this fraction of the largest are equal up to rounding.
_EQUAL = 1e-10


def largest_eigenvalues(matrix: scipy.sparse.csr_array[Any], k: int) -> Complex:
    r"""Return the eigenvalues of largest magnitude of a sparse matrix.

    Each strongly connected component is solved separately, since the matrix is block triangular in
    them; the eigenvalues of components of a single row are exactly their diagonal entries. If the
    lengths of all cycles of a component are multiples of p > 1, its rows form p classes, each of
    which leads only to the next. Its eigenvalues are the p-th roots of those of the product of the
    p blocks, so that a directed ring of any length is solved up to rounding although all of its
    eigenvalues have the same magnitude. Components with up to 128 rows (or with hardly more rows
    than `k`) are solved densely, larger ones by Arnoldi's method in O(k (N + E)) per iteration, and
    densely again up to 3000 rows if that fails.

    Args:
        matrix: Real and finite sparse matrix [N, N]. It is not changed.
        k: Number of eigenvalues, from 0 to N.

    Returns:
        complex128 array [k], by decreasing magnitude. Values of equal magnitude up to rounding are
        sorted by decreasing real part, and complex pairs by decreasing imaginary part.

    Raises:
        RuntimeError: A component with more than 3000 rows does not converge.

    Example:
        >>> import scipy.sparse
        >>> ring = scipy.sparse.csr_array([[0, 0, 4], [2, 0, 0], [0, 1, 0]])
        >>> found = largest_eigenvalues(ring, 3)  # the cubic roots of 8
        >>> found.real.round(6).tolist(), abs(found).round(6).tolist()
        ([2.0, -1.0, -1.0], [2.0, 2.0, 2.0])
    """
    entries = matrix.astype(np.float64).tocoo()
    entries.sum_duplicates()
    entries.eliminate_zeros()
    own = entries.tocsr()
    count, part = connected_components(own, connection="strong")
    size = np.bincount(part, minlength=count)
    alone = own.diagonal()[size[part] == 1].astype(np.complex128)
    found = [alone, *(_of_part(each, k) for each in _parts(entries, part, size))]
    return _sorted(np.concatenate(found))[:k]


def _parts(
    entries: scipy.sparse.coo_array[Any], part: NDArray[Any], size: NDArray[Any]
) -> Iterator[scipy.sparse.csr_array[Any]]:
    """Yield the matrix of each component with more than one row."""
    # Sort rows by part, so that the matrix of a part is a contiguous block.
    order = np.argsort(part, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    inside = part[entries.row] == part[entries.col]
    blocks = scipy.sparse.coo_array(
        (entries.data[inside], (place[entries.row[inside]], place[entries.col[inside]])),
        shape=entries.shape,
    ).tocsr()
    starts = np.concatenate(([0], np.cumsum(size)))
    for number in np.flatnonzero(size > 1):
        start, stop = starts[number], starts[number + 1]
        yield _cut(blocks, (start, stop), (start, stop))


def _cut(
    matrix: scipy.sparse.csr_array[Any], rows: tuple[int, int], columns: tuple[int, int]
) -> scipy.sparse.csr_array[Any]:
    """Return the block of some rows, all of whose entries lie in the given columns."""
    ends = matrix.indptr[rows[0] : rows[1] + 1]
    at = slice(ends[0], ends[-1])
    return scipy.sparse.csr_array(
        (matrix.data[at], matrix.indices[at] - columns[0], ends - ends[0]),
        shape=(rows[1] - rows[0], columns[1] - columns[0]),
    )


class _Factor(NamedTuple):
    """A linear operator that is scaled to a moderate size.

    Attributes:
        apply: The operator applied to the columns of an array.
        rows: Number of rows.
        scale: Logarithm of the scale; the true operator is ``exp(scale)`` times as large.
    """

    apply: Callable[[NDArray[Any]], NDArray[Any]]
    rows: int
    scale: float = 0.0


def _of_part(matrix: scipy.sparse.csr_array[Any], k: int) -> Complex:
    """Return at least the k largest eigenvalues of one component, or all if it has fewer."""
    rows = matrix.shape[0]
    period, level = _period(matrix)
    if period == 1:
        return _solve(_Factor(matrix.__matmul__, rows), min(k, rows))
    product = _around(matrix, level % period, period)
    powers = _solve(product, min(-(-k // period), product.rows))
    with np.errstate(divide="ignore"):  # the root of 0 is 0
        length = np.exp((np.log(np.abs(powers)) + product.scale) / period)
    # The roots of a negative number are conjugate pairs only if its angle is exactly pi.
    angle = np.where(powers.imag == 0, np.where(powers.real < 0, np.pi, 0.0), np.angle(powers))
    turns = (angle[:, None] + 2 * np.pi * np.arange(period)) / period
    roots = (length[:, None] * np.exp(1j * turns)).ravel()
    return np.concatenate((roots, np.zeros(rows - period * product.rows)))


def _period(matrix: scipy.sparse.csr_array[Any]) -> tuple[int, NDArray[np.int64]]:
    """Return the greatest common divisor of all cycle lengths, and distances from row 0."""
    level = dijkstra(abs(matrix), indices=[0], unweighted=True)[0].astype(np.int64)
    row, column = matrix.tocoo().coords
    return int(np.gcd.reduce(level[row] + 1 - level[column])), level


def _around(matrix: scipy.sparse.csr_array[Any], kind: NDArray[Any], period: int) -> _Factor:
    """Return the product of the blocks that lead from one class through all others back to it.

    Rows of class c have entries in columns of class c + 1. The product of the smallest class is the
    smallest; the additional eigenvalues of larger classes are 0.
    """
    kind = (kind - np.bincount(kind, minlength=period).argmin()) % period
    order = np.argsort(kind, kind="stable")
    ends = np.concatenate(([0], np.cumsum(np.bincount(kind, minlength=period)))).tolist()
    ordered = matrix[order][:, order]
    spans = list(itertools.pairwise(ends))
    blocks = [
        _cut(ordered, rows, columns)
        for rows, columns in zip(spans, spans[1:] + spans[:1], strict=True)
    ]
    # The product of a thousand blocks would overflow or underflow, so each block is scaled.
    seen, scale = np.ones(spans[0][1]), 0.0
    for number in reversed(range(period)):
        seen = abs(blocks[number]) @ seen
        largest = float(seen.max())
        seen /= largest
        blocks[number] = scipy.sparse.csr_array(blocks[number] / largest)
        scale += math.log(largest)

    def apply(columns: NDArray[Any]) -> NDArray[Any]:
        for block in reversed(blocks):
            columns = block @ columns
        return columns

    return _Factor(apply, spans[0][1], scale)


def _solve(factor: _Factor, k: int) -> Complex:
    rows = factor.rows
    wanted = max(k, _WANTED)
    if rows <= _DENSE or wanted > rows - 2:
        return _dense(factor)
    operator = LinearOperator((rows, rows), matvec=factor.apply, dtype=np.float64)
    # Without a start vector ARPACK draws one from a generator of its own.
    start = np.random.default_rng(0).uniform(0.5, 1.5, rows)
    told = ""
    for subspace, restarts in _ATTEMPTS:
        try:
            found = eigs(
                operator,
                k=wanted,
                ncv=min(rows, max(subspace, 2 * wanted + 1)),
                v0=start,
                maxiter=restarts,
                return_eigenvectors=False,
            )
            return np.asarray(found, dtype=np.complex128)
        except ArpackError as error:
            told = str(error)
            if rows <= _RESCUE:
                return _dense(factor)
    raise RuntimeError(
        f"the {wanted} largest eigenvalues of a strongly connected part of {rows} neurons did not "
        f"converge ({told}), which happens if very many are nearly equally large; pass another k, "
        f"or a graph whose parts have at most {_RESCUE} neurons, which are solved densely"
    )


def _dense(factor: _Factor) -> Complex:
    return np.linalg.eigvals(factor.apply(np.eye(factor.rows))).astype(np.complex128)


def _sorted(values: Complex) -> Complex:
    size = np.abs(values)
    share = _EQUAL * size.max(initial=0.0)
    return values[np.lexsort((-values.imag, -_level(values.real, share), -_level(size, share)))]


def _level(values: NDArray[np.float64], share: float) -> NDArray[np.int64]:
    """Number values from the smallest; values closer than `share` get the same number."""
    order = np.argsort(values, kind="stable")
    level = np.empty(len(values), dtype=np.int64)
    level[order] = np.cumsum(np.diff(values[order], prepend=values[order[:1]]) > share)
    return level
