import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import graphs

FORMATS = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]


def test_rows_are_sources():
    data = graphs.from_scipy(scipy.sparse.coo_array(([2.0], ([0], [1])), shape=(3, 3)))
    assert data.edge_index.tolist() == [[0], [1]]
    assert data.edge_weight.tolist() == [2.0]
    assert data.num_nodes == 3
    assert graphs.to_scipy(data)[0, 1] == 2.0


def test_one_loop_is_the_transposed_matrix():
    data = graphs.grid_local((4, 5), 1)
    data.edge_weight = torch.linspace(-1, 1, data.num_edges)
    x = torch.linspace(0, 1, 20)
    source, target = data.edge_index
    expected = torch.zeros(20).index_add(0, target, data.edge_weight * x[source])
    np.testing.assert_allclose(graphs.to_scipy(data).T @ x.numpy(), expected, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 6).flatmap(
        lambda n: arrays(np.float32, (n, n), elements=st.sampled_from([0, 0, 0, 1.5, -2, 1e-30]))
    ),
    st.sampled_from(FORMATS),
)
def test_round_trip(dense, kind):
    data = graphs.from_scipy(scipy.sparse.coo_array(dense).asformat(kind))
    graphs.validate(data)
    assert data.num_edges >= np.count_nonzero(dense)  # bsr and dia store zeros
    back = graphs.to_scipy(data)
    np.testing.assert_array_equal(back.toarray(), dense)
    assert back.format == "csr"
    assert back.dtype == np.float32
    again = graphs.from_scipy(back)
    assert torch.equal(again.edge_index, data.edge_index)
    assert torch.equal(again.edge_weight, data.edge_weight)


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.csr_array])
def test_matrix_and_array(make):
    assert graphs.from_scipy(make(np.eye(3))).edge_index.tolist() == [[0, 1, 2]] * 2


def test_stored_zeros_are_synapses():
    matrix = scipy.sparse.csr_array(([0.0, 1.0], ([0, 1], [1, 0])), shape=(2, 2))
    data = graphs.from_scipy(matrix)
    assert data.num_edges == 2
    assert sorted(data.edge_weight.tolist()) == [0.0, 1.0]
    assert graphs.to_scipy(data).nnz == 2


def test_boolean_matrix_has_no_weights():
    data = graphs.from_scipy(scipy.sparse.csr_array(np.eye(3, dtype=bool)))
    assert "edge_weight" not in data
    assert graphs.to_scipy(data).toarray().tolist() == np.eye(3).tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.float64])
def test_numbers_become_float32(dtype):
    data = graphs.from_scipy(scipy.sparse.csr_array(np.eye(2, dtype=dtype) * 3))
    assert data.edge_weight.dtype == torch.float32
    assert data.edge_weight.tolist() == [3.0, 3.0]


def test_matrix_is_not_shared():
    matrix = scipy.sparse.coo_array(np.eye(3, dtype=np.float32))
    data = graphs.from_scipy(matrix)
    data.edge_weight.zero_()
    graphs.to_scipy(data).data[:] = 5
    assert matrix.data.tolist() == [1, 1, 1]
    assert data.edge_weight.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (np.eye(2), TypeError, r"got ndarray; pass scipy.sparse.coo_array\(matrix\)"),
        (None, TypeError, r"matrix must be a scipy.sparse array, got NoneType"),
        (scipy.sparse.csr_array(np.eye(2) * 1j), TypeError, r"real numbers, got complex128"),
        (scipy.sparse.csr_array((2, 3)), ValueError, r"square .*got the shape \(2, 3\)"),
        (scipy.sparse.coo_array(np.ones(3)), ValueError, r"square .*got the shape \(3,\)"),
        (scipy.sparse.coo_array(([1, 2], ([0, 0], [1, 1]))).reshape(1, 2), ValueError, r"square"),
        (
            scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2)),
            ValueError,
            r"once, got 0 -> 1 again .*pass duplicates='sum'",
        ),
        (scipy.sparse.csr_array(np.diag([1, np.nan])), ValueError, r"got nan at \[1, 1\]"),
        (
            scipy.sparse.csr_array(np.diag([1, 1e300])),
            ValueError,
            r"finite in float32, got 1e\+300 at \[1, 1\]",
        ),
    ],
)
def test_bad_matrices(matrix, error, message):
    with pytest.raises(error, match=message):
        graphs.from_scipy(matrix)


def test_entries_that_are_stored_twice_are_added_up_on_request():
    matrix = scipy.sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    data = graphs.from_scipy(matrix, duplicates="sum")
    assert data.edge_index.tolist() == [[1, 0], [0, 1]]
    assert data.edge_weight.tolist() == [4.0, 3.0]
    ones = scipy.sparse.coo_array((np.ones(2, bool), ([0, 0], [1, 1])), shape=(2, 2))
    assert graphs.from_scipy(ones, duplicates="sum").edge_weight.tolist() == [2.0]


def test_hostile_index_arrays():
    matrix = scipy.sparse.csr_array(np.eye(3))
    matrix.indices[1] = 1000
    with pytest.raises(ValueError, match=r"column index|indices"):
        graphs.from_scipy(matrix)


def test_parallel_synapses_have_no_matrix():
    data = graphs.layered([1, 1])
    data.edge_index = data.edge_index.repeat(1, 2)
    data.edge_type = torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"got 1 parallel ones; use graphs.to_networkx"):
        graphs.to_scipy(data)


def test_broken_connectome():
    with pytest.raises(TypeError, match="expected a torch_geometric"):
        graphs.to_scipy(np.eye(3))


@pytest.mark.parametrize("row", [7, -1])
def test_a_tampered_index_is_refused_before_it_is_used(row):
    matrix = scipy.sparse.coo_array(np.eye(3))
    matrix.coords = (np.array([row, 1, 2]), matrix.coords[1])
    with pytest.raises(ValueError, match=r"matrix must have indices in \[0, 3\)"):
        graphs.from_scipy(matrix)


def test_what_is_not_finite_is_told_by_its_place_in_the_matrix():
    with pytest.raises(ValueError, match=r"got nan at \[0, 1\]; pass numpy.clip"):
        graphs.from_scipy(scipy.sparse.csr_array([[0, np.nan], [1, 0]]))
