"""Ids and names as the ends of synapses, and names of all neurons."""

import numpy as np
import pytest
import scipy.sparse
import torch

import graphs

BIG = 720575940596125868


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_ids_are_numbered_by_value_and_keep_all_digits(make):
    data = graphs.from_edges(make([BIG + 1, 5]), make([5, BIG]), edge_weight=[2.0, 3.0])
    assert data.names == ["5", str(BIG), str(BIG + 1)]
    assert data.edge_index.tolist() == [[2, 0], [0, 1]]
    assert data.edge_weight.tolist() == [2.0, 3.0]


def test_unsigned_ids():
    top = np.array([2**64 - 1, 2**63], dtype=np.uint64)
    data = graphs.from_edges(top, [1, 2])
    assert data.names == ["1", "2", str(2**63), str(2**64 - 1)]
    assert data.edge_index.tolist() == [[3, 2], [0, 1]]


def test_names_are_numbered_alphabetically():
    data = graphs.from_edges(["b", "a"], ["a", "c"])
    assert data.names == ["a", "b", "c"]
    assert data.edge_index.tolist() == [[1, 0], [0, 2]]
    assert graphs.from_edges(["10", "9"], ["9", "100"]).names == ["9", "10", "100"]
    assert graphs.from_edges(["10", "9"], [9, 100]).names == ["9", "10", "100"]
    assert "names" not in graphs.from_edges([0, 1], [1, 2])
    assert graphs.from_edges([], []).num_nodes == 0


def test_names_of_all_neurons():
    names = ["x", "y", "z"]
    for source, target in ((["y"], ["x"]), ([1], [0])):
        data = graphs.from_edges(source, target, names=names)
        assert data.num_nodes == 3
        assert data.names == names
        assert data.edge_index.tolist() == [[1], [0]]
    assert graphs.from_edges([1], [0], names=[BIG, BIG + 1]).names == [str(BIG), str(BIG + 1)]
    assert graphs.from_numpy(np.eye(2), names=[BIG, BIG + 1]).names == [str(BIG), str(BIG + 1)]
    matrix = scipy.sparse.eye_array(2, format="csr")
    assert graphs.from_scipy(matrix, names=np.array(["a", "b"])).names == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "options", "error", "match"),
    [
        ([float(BIG), 1.0], {}, TypeError, "source as it was before it became floats, which lose"),
        ([1.0, 2.0], {}, TypeError, r"pass numpy.asarray\(source\).astype\(int\)"),
        (
            [-1, 2],
            {},
            ValueError,
            "source must hold ids, integers >= 0, .* got -1 at position 0; l",
        ),
        (
            ["a", "nan"],
            {},
            ValueError,
            "source must hold ids.* got 'nan' at position 1; it is a si",
        ),
        ([True, False], {}, TypeError, "got bool, such as True; pass source="),
        ([b"a", b"b"], {}, TypeError, r"pass source=list\(map\(str, source\)\)"),
        ([2**64, 1], {}, TypeError, "source must hold ids"),
        (["a", "q"], {"names": ["a", "b"]}, ValueError, "some of the names, got 'q' at position 1"),
        (["a", "a"], {"names": ["a", "a"]}, ValueError, "names must differ, .* got 'a' twice"),
        ([0, 2], {"names": ["a", "b"]}, ValueError, r"source must hold neurons in \[0, 2\), got 2"),
        ([0, 1], {"names": ["a"], "num_nodes": 2}, ValueError, "names must have one name for each"),
        ([0, 1], {"names": "ab"}, TypeError, "names must be a list of str, got 'ab' of type str"),
        ([0, 1], {"names": [0.5, 1.5]}, TypeError, "names must be a row of str or integers"),
        ([BIG, 1], {"num_nodes": 3}, ValueError, "leave num_nodes out, and they become names"),
    ],
)
def test_refused_ends(source, options, error, match):
    with pytest.raises(error, match=match):
        graphs.from_edges(source, [1, 0] if "names" not in options else [0, 1], **options)


def test_a_synapse_that_repeats_is_told_by_name():
    with pytest.raises(ValueError, match=f"once, got '{BIG}' -> '5' again"):
        graphs.from_edges([BIG, BIG], [5, 5])
