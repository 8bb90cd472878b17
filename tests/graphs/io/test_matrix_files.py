"""Adjacency matrices of NumPy, Matrix Market and MATLAB."""

import contextlib
import io
import pickle
import struct
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

import graphs
from tests.graphs.io.refusals import told

MATRIX = np.array([[0, 2.0, 0], [0, 0, -1.5], [0, 0, 3.0]])


def check(data):
    assert data.edge_index.tolist() == [[0, 1, 2], [1, 2, 2]]
    assert data.edge_weight.tolist() == [2.0, -1.5, 3.0]


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, order):
    np.save(tmp_path / "a.npy", np.array(MATRIX, order=order))
    check(graphs.load(tmp_path / "a.npy"))


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((2, 5), int), r"adjacency matrix \[N, N\], got the shape \[2, 5\]; .*from_edges"),
        (np.zeros(4), "adjacency matrix"),
        (np.full((2, 2), 1j), "must hold real numbers, got complex128"),
        (np.array([["a", "b"], ["c", "d"]]), "must hold real numbers"),
    ],
)
def test_arrays_that_are_no_matrix(tmp_path, array, match):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=match):
        graphs.load(tmp_path / "a.npy")


def test_no_pickle_is_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("executed",))

    path = tmp_path / "a.npy"
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|O", "fortran_order": False, "shape": (1, 1)}
    )
    path.write_bytes(file.getvalue() + pickle.dumps(Evil()))
    assert "holds Python objects, which could execute anything (pickle)" in told(path)
    path.write_bytes(pickle.dumps(Evil()))
    assert "is not in NumPy's format" in told(path)


def test_an_npy_that_states_more_than_it_has(tmp_path):
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(file, header)
    (tmp_path / "a.npy").write_bytes(file.getvalue() + bytes(80))
    assert "should have 8000000000000 bytes" in told(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", [".mtx", ".mtx.gz"])
def test_mtx(tmp_path, suffix):
    scipy.io.mmwrite(tmp_path / "a.mtx", scipy.sparse.coo_array(MATRIX), precision=9)
    path = tmp_path / f"a{suffix}"
    if suffix.endswith("gz"):
        import gzip

        path.write_bytes(gzip.compress((tmp_path / "a.mtx").read_bytes()))
    check(graphs.load(path))


def test_mtx_of_a_symmetric_pattern(tmp_path):
    path = tmp_path / "a.mtx"
    path.write_text("%%MatrixMarket matrix coordinate pattern symmetric\n% made\n3 3 2\n2 1\n3 3\n")
    data = graphs.load(path)
    assert data.edge_index.tolist() == [[1, 0, 2], [0, 1, 2]]
    assert data.edge_weight.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric"])
@pytest.mark.parametrize("dense", [False, True])
def test_every_kind_of_mtx_is_what_scipy_reads(tmp_path, symmetry, dense):
    upper = np.triu([[1.0, 2, 0], [3, 0, 4], [0, 5, 6]])
    matrix = {
        "general": upper,
        "symmetric": upper + np.triu(upper, 1).T,
        "skew-symmetric": np.triu(upper, 1) - np.triu(upper, 1).T,
    }[symmetry]
    given = matrix if dense else scipy.sparse.coo_array(matrix)
    scipy.io.mmwrite(tmp_path / "a.mtx", given, symmetry=symmetry)
    assert np.array_equal(graphs.to_numpy(graphs.load(tmp_path / "a.mtx")), matrix)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("coordinate real general\n3 3 1000000000000\n1 1 1\n", "states 1000000000000 entries, mo"),
        ("coordinate real general\n1000000000000 1000000000000 1\n1 1 1\n", "neurons take"),
        ("array real general\n1000000 1000000\n1\n", "entries, more than fit into its"),
        ("coordinate real general\n2 3 1\n1 1 1\n", "must be square"),
        ("coordinate real general\n2 2 1\n3 1 1\n", "positions from 1 to 2 and 1 to 2"),
        (
            "coordinate complex general\n2 2 1\n1 1 1 1\n",
            "must be a matrix of real numbers, got 'coordinate complex",
        ),
    ],
)
def test_damaged_mtx(tmp_path, text, match):
    path = tmp_path / "a.mtx"
    path.write_text(f"%%MatrixMarket matrix {text}")
    with pytest.raises(ValueError, match=match):
        graphs.load(path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("version", ["4", "5"])
@pytest.mark.parametrize("matrix", [MATRIX, scipy.sparse.csc_array(MATRIX)])
def test_mat(tmp_path, compressed, version, matrix):
    path = tmp_path / "a.mat"
    given = {"CIJ": matrix, "names": "abc", "n": 3.0}
    scipy.io.savemat(path, given, format=version, do_compression=compressed and version == "5")
    check(graphs.load(path))


def test_mat_of_several_matrices(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"a": np.eye(3), "b": MATRIX, "pos": np.zeros((3, 2))})
    assert "must have one square matrix, got a (3 x 3 double), b (3 x 3 double)" in told(path)
    check(graphs.load(path, variable="b"))
    assert "must have a square matrix 'pos', got" in told(path, variable="pos")
    scipy.io.savemat(path, {"pos": np.zeros((3, 2))})
    assert "must have a square matrix of numbers, got pos (3 x 2 double)" in told(path)


@pytest.mark.parametrize("version", ["4", "5"])
def test_mat_with_a_variable_twice(tmp_path, version):
    path = tmp_path / "a.mat"
    parts = []
    for matrix in (np.eye(3), MATRIX):
        scipy.io.savemat(path, {"A": matrix}, format=version)
        parts.append(path.read_bytes())
    path.write_bytes(parts[0] + parts[1][128 if version == "5" else 0 :])
    assert "variables of different names, got 'A' twice; save the matrix again" in told(path)


@pytest.mark.parametrize("begin", [b"MATLAB 5.0 MAT-file", b"XATLAB", b"x"])
def test_a_bomb_in_mat(tmp_path, begin):
    packed = zlib.compress(bytes(2**26), 9)
    header = begin.ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    (tmp_path / "a.mat").write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    assert "it unpacks to at least" in told(tmp_path / "a.mat", max_bytes=2**24)


def test_mat_of_version_7_3(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    assert "version 7.3 of MATLAB (HDF5); save it again with" in told(tmp_path / "a.mat")


@pytest.mark.parametrize("suffix", [".npy", ".mtx", ".mat"])
def test_damaged_matrices(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, MATRIX)
    elif suffix == ".mtx":
        scipy.io.mmwrite(path, scipy.sparse.coo_array(MATRIX))
    else:
        scipy.io.savemat(path, {"a": MATRIX}, do_compression=True)
    raw = path.read_bytes()
    for at in range(0, len(raw), max(1, len(raw) // 60)):
        for changed in (raw[:at], raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :]):
            path.write_bytes(changed)
            # Every other error, and the end of the process, fails.
            with contextlib.suppress(ValueError):
                graphs.validate(graphs.load(path))
