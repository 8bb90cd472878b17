"""Matrices that Arnoldi's method alone cannot solve; tests/graphs/measures tests connectomes."""

import numpy as np
import pytest
import scipy.sparse

from graphs.eigenvalues import largest_eigenvalues


def ring(size, weight=1.0, shortcuts=()):
    row = [(each + 1) % size for each in range(size)] + [end for _, end in shortcuts]
    column = [*range(size)] + [start for start, _ in shortcuts]
    values = np.full(len(row), weight)
    return scipy.sparse.csr_array((values, (row, column)), shape=(size, size))


@pytest.mark.parametrize("size", [3, 128, 129, 1200, 5000])
@pytest.mark.parametrize("weight", [1.0, 0.01, 1e30, 3e38])
def test_a_ring_has_its_weight_times_the_roots_of_one(size, weight):
    """The product of all weights overflows, or underflows."""
    found = largest_eigenvalues(ring(size, weight), 3)
    wanted = weight * np.exp(2j * np.pi / size * np.array([0, 1, -1]))
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_an_odd_number_of_negative_weights_turns_the_roots():
    matrix = ring(1201)
    matrix.data[7] = -1
    found = largest_eigenvalues(matrix, 2)
    wanted = np.exp(1j * np.pi / 1201 * np.array([1, -1]))
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_permutation_has_those_of_all_its_cycles():
    order = np.random.default_rng(0).permutation(5000)
    matrix = scipy.sparse.csr_array((np.ones(5000), (np.arange(5000), order)), shape=(5000, 5000))
    np.testing.assert_allclose(np.abs(largest_eigenvalues(matrix, 20)), 1, rtol=1e-12)


def test_a_ring_with_a_shortcut_is_solved_densely():
    """Cycles of 600 and 599 have no common divisor; all eigenvalues are of almost equal size."""
    matrix = ring(600, shortcuts=[(0, 2)])
    found = largest_eigenvalues(matrix, 3)
    # x^600 = x + 1
    np.testing.assert_allclose(found**600, found + 1, rtol=1e-9)
    assert found[0].real > 1
    assert found[0].imag == 0
    assert found[1] == found[2].conj()
    assert found[1].imag > 0


@pytest.mark.parametrize("period", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [5, 40, 130, 300])
def test_classes_in_a_circle_have_those_of_the_dense_matrix(size, period):
    draw = np.random.default_rng(size + period)
    kind = draw.integers(0, period, size)
    matrix = draw.normal(size=(size, size)) * (draw.random((size, size)) < 6 / size)
    matrix *= (kind[:, None] + 1) % period == kind
    wanted = np.sort(np.abs(np.linalg.eigvals(matrix)))[::-1]
    large = wanted > 0.01
    for k in (1, 2, 5, size):
        found = np.abs(largest_eigenvalues(scipy.sparse.csr_array(matrix), k))
        assert len(found) == k
        np.testing.assert_allclose(found[large[:k]], wanted[:k][large[:k]], rtol=1e-7)


def test_equal_magnitudes_come_by_real_and_then_by_imaginary_part():
    blocks = [[[0.0, -2.0], [2.0, 0.0]], [[-2.0]], [[2.0]], [[0.0, 1.0], [1.0, 0.0]]]
    found = largest_eigenvalues(scipy.sparse.block_diag(blocks, format="csr"), 6)
    np.testing.assert_allclose(found, [2, 2j, -2j, -2, 1, -1], atol=1e-12)


def test_entries_stored_twice_add_up_and_nothing_is_changed():
    matrix = scipy.sparse.csr_array(([1.0, 2.0, 0.0], [0, 0, 0], [0, 2, 3]), shape=(2, 2))
    assert largest_eigenvalues(matrix, 2).tolist() == [3, 0]
    assert matrix.nnz == 3
    assert largest_eigenvalues(scipy.sparse.csr_array((0, 0)), 0).tolist() == []
