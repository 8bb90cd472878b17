import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import graphs

DENSE = st.integers(0, 6).flatmap(
    lambda n: arrays(np.float32, (n, n), elements=st.sampled_from([0, 0, 1.5, -2, 1e-45, 3e38]))
)


@given(DENSE)
def test_round_trip(dense):
    data = graphs.from_numpy(dense)
    assert data.num_edges == np.count_nonzero(dense)
    back = graphs.to_numpy(data)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, dense)


def test_rows_are_sources():
    data = graphs.from_numpy([[0, 2], [0, 0]])
    assert data.edge_index.tolist() == [[0], [1]]
    assert data.edge_weight.tolist() == [2.0]
    assert graphs.to_numpy(data).tolist() == [[0, 2], [0, 0]]


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float16, np.float64, ">f4", np.uint64])
def test_dtypes(dtype):
    data = graphs.from_numpy(np.eye(2, dtype=dtype))
    assert data.edge_index.tolist() == [[0, 1], [0, 1]]
    assert ("edge_weight" in data) == (dtype is not bool)
    assert graphs.to_numpy(data).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("matrix", "error", "match"),
    [
        (np.ones((2, 3)), ValueError, "matrix must be square"),
        (np.ones(3), ValueError, r"got the shape \(3,\); .*graphs.from_edges\(source, target, num"),
        (np.ones((2, 2, 2)), ValueError, "matrix must be square"),
        (np.eye(2) * 1j, TypeError, "real numbers, got complex128"),
        ([["a", "b"], ["c", "d"]], TypeError, "real numbers, got <U1"),
        (scipy.sparse.eye_array(2), TypeError, r"call graphs.from_scipy\(matrix\)"),
        ([[0, np.nan], [0, 0]], ValueError, r"finite in float32, got nan at \[0, 1\]"),
        ([[0, 0], [np.inf, 0]], ValueError, r"got inf at \[1, 0\]"),
        ([[0, 0], [0, 1e300]], ValueError, r"got 1e\+300 at \[1, 1\]"),
    ],
)
def test_bad_matrices(matrix, error, match):
    with pytest.raises(error, match=match):
        graphs.from_numpy(matrix)


def test_a_matrix_that_would_lose_synapses():
    data = graphs.from_edges([0, 0], [1, 0], num_nodes=2, edge_weight=[0.0, 1.0])
    with pytest.raises(ValueError, match=r"no synapses of weight 0, .* got 1; use graphs.to_scipy"):
        graphs.to_numpy(data)
    data = graphs.from_edges([0, 0], [1, 1], num_nodes=2, edge_type=[0, 1])
    with pytest.raises(ValueError, match="got 1 parallel ones"):
        graphs.to_numpy(data)


def test_edges_in_any_order():
    data = graphs.from_edges(
        [2, 0], [1, 0], num_nodes=4, edge_weight=[0.5, 2], edge_type=[7, 8], edge_sign=[1, -1]
    )
    assert data.num_nodes == 4
    assert data.edge_index.tolist() == [[0, 2], [0, 1]]
    assert data.edge_weight.tolist() == [2.0, 0.5]
    assert data.edge_type.tolist() == [8, 7]
    assert data.edge_sign.tolist() == [-1, 1]
    assert graphs.from_edges([], [], num_nodes=0).edge_index.shape == (2, 0)
    back = graphs.from_edges(*data.edge_index, num_nodes=4)
    assert torch.equal(back.edge_index, data.edge_index)


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"source": [0.5, 1]}, TypeError, "source must hold integers, got float64"),
        ({"source": ["0", "1"]}, TypeError, "source must hold integers"),
        ({"source": [[0], [1]]}, ValueError, r"source must be one row .* got the shape \(2, 1\)"),
        ({"source": [0, 10**30]}, TypeError, "source must hold integers, got float64"),
        (
            {"source": np.array([0, 2**64 - 1], dtype=np.uint64)},
            ValueError,
            "source must fit into int64",
        ),
        (
            {"target": [0, -1]},
            ValueError,
            r"target must hold neurons in \[0, 3\), got -1 at positio",
        ),
        ({"target": [0, 3]}, ValueError, "got 3 at position 1; pass num_nodes=4"),
        ({"source": [3, -1]}, ValueError, "got -1 at position 1; leave this synapse out"),
        ({"target": [0]}, ValueError, "target must have one value per synapse, as source has 2"),
        ({"edge_weight": [1]}, ValueError, "edge_weight must have one value per synapse"),
        ({"edge_weight": [1, "x"]}, TypeError, "edge_weight must hold real numbers, got <U"),
        ({"edge_weight": [1, np.nan]}, ValueError, "edge_weight must be finite"),
        ({"edge_weight": [1, 1e39]}, ValueError, "edge_weight must be finite"),
        ({"edge_type": [0, -1]}, ValueError, "edge_type must be >= 0"),
        ({"edge_sign": [2, 1]}, ValueError, "edge_sign must be -1, 0"),
        ({"num_nodes": 3.0}, TypeError, "num_nodes must be an integer"),
        ({"target": [1, 1], "source": [0, 0]}, ValueError, "once, got 0 -> 1 again"),
    ],
)
def test_bad_edges(changed, error, match):
    given = {"source": [0, 1], "target": [1, 2], "num_nodes": 3, **changed}
    with pytest.raises(error, match=match):
        graphs.from_edges(given.pop("source"), given.pop("target"), **given)


class Frame:
    """As much of a frame of pandas as matters: values, and labels of rows and columns."""

    def __init__(self, values, index, columns):
        self.values, self.index, self.columns = values, index, columns

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def test_a_frame_is_aligned_by_its_labels():
    """a -> b, b -> c and c -> c, with the columns in another order than the rows."""
    frame = Frame([[0, 0, 2.0], [3.0, 0, 0], [4.0, 0, 0]], ["a", "b", "c"], ["c", "a", "b"])
    data = graphs.from_numpy(frame)
    assert data.names == ["a", "b", "c"]
    assert data.edge_index.tolist() == [[0, 1, 2], [1, 2, 2]]
    assert data.edge_weight.tolist() == [2.0, 3.0, 4.0]


def test_a_frame_that_numbers_has_no_names():
    data = graphs.from_numpy(Frame([[0, 1], [0, 0]], range(2), [1, 0]))
    assert "names" not in data
    assert data.edge_index.tolist() == [[0], [0]]
    assert graphs.from_numpy(Frame([[0, 1], [0, 0]], [7, 5], [7, 5])).names == ["7", "5"]


class Columnar:
    """Of polars: columns have names, rows have none."""

    columns = ("a", "b")


class Coordinates:
    """Of xarray."""

    coords = ()

    def to_pandas(self):
        return self


@pytest.mark.parametrize(
    ("matrix", "error", "match"),
    [
        (Frame([[0, 1], [0, 0]], [0, 1], ["0", "1"]), ValueError, "got 0 of type int.*astype"),
        (
            Frame([[0, 1], [0, 0]], ["a", "b"], ["a", "c"]),
            ValueError,
            "same labels .*'b'.*rein",
        ),
        (Frame([[0, 1]], ["a"], ["a", "c"]), ValueError, "same labels .*, got 'c'"),
        (
            Frame([[0, 1], [0, 0]], ["a", "a"], ["a", "c"]),
            ValueError,
            "label for each of its rows",
        ),
        (
            Frame([[0, 1], [0, 0]], [0, 1], [0, float("nan")]),
            ValueError,
            "label for each of its col",
        ),
        (Columnar(), TypeError, r"labels of columns.*matrix.to_numpy\(\)"),
        (Coordinates(), TypeError, r"coordinates.*matrix.to_pandas\(\)"),
        (np.ma.array([[0, 1], [1, 0]], mask=[[0, 1], [0, 0]]), TypeError, r"matrix.filled\(0\)"),
    ],
)
def test_labels_that_cannot_be_kept(matrix, error, match):
    with pytest.raises(error, match=match):
        graphs.from_numpy(matrix)


def test_weights_that_float32_makes_zero_are_refused():
    match = "must be 0 or at least 1e-45 in float32, got 1e-320 at position 0; multiply"
    tiny = np.array([[0, 1e-320], [2.0, 0]])
    for load in (graphs.from_numpy, lambda each: graphs.from_scipy(scipy.sparse.csr_array(each))):
        with pytest.raises(ValueError, match=match):
            load(tiny)
    with pytest.raises(ValueError, match=match):
        graphs.from_edges([0, 1], [1, 0], num_nodes=2, edge_weight=[1e-320, 1.0])
    assert graphs.from_numpy([[0, 1e-45], [0, 0]]).edge_weight.item() > 0
