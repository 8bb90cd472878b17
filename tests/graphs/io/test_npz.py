import io
import struct
import zipfile

import numpy as np
import pytest
import scipy.sparse
import torch

import graphs

ARRAYS = {
    "edge_index": np.array([[0, 1], [1, 2]]),
    "num_nodes": np.array(3),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "connectome.npz"


def test_synapses_keep_their_order(path, full, assert_same):
    full.edge_index, full.edge_type = full.edge_index.flip(1), full.edge_type.flip(0)
    graphs.save(full, path)
    assert_same(graphs.load(path), full)


def test_every_field_is_a_plain_array(path, full):
    graphs.save(full, path)
    with np.load(path, allow_pickle=False) as loaded:
        assert set(loaded.files) == set(full.keys())
        assert loaded["names"].tolist() == full.names
        assert loaded["names"].dtype.kind == "U"
        assert loaded["shape"].tolist() == [5, 1]
        assert loaded["num_nodes"] == 5
        np.testing.assert_array_equal(loaded["edge_index"], full.edge_index)


def test_a_name_that_numpy_would_cut(path, full):
    full.names[1] = "a\0"
    with pytest.raises(ValueError, match="names must not end in the character 0"):
        graphs.save(full, path)


def test_other_byte_orders_and_layouts(path):
    ends = ARRAYS["edge_index"].astype(">i8")
    np.savez(path, edge_index=np.asfortranarray(ends), num_nodes=np.array(3, dtype=">u2"))
    assert graphs.load(path).edge_index.tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("kind", ["bsr", "coo", "csc", "csr", "dia"])
@pytest.mark.parametrize("make", [scipy.sparse.coo_array, scipy.sparse.coo_matrix])
@pytest.mark.parametrize("compressed", [False, True])
def test_matrices_of_scipy(path, kind, make, compressed):
    matrix = make(np.array([[0, 2.5], [0, 1]])).asformat(kind)
    scipy.sparse.save_npz(path, matrix, compressed=compressed)
    np.testing.assert_array_equal(graphs.to_scipy(graphs.load(path)).toarray(), matrix.toarray())


def test_entries_of_a_matrix_that_repeat(path):
    matrix = scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2))
    scipy.sparse.save_npz(path, matrix)
    with pytest.raises(ValueError, match="once, got 0 -> 1 again"):
        graphs.load(path)
    assert graphs.load(path, duplicates="sum").edge_weight.tolist() == [3.0]


def savez(path, **arrays):
    np.savez_compressed(path, **{name: np.asarray(each) for name, each in arrays.items()})


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"x": [1]}, "it has x; write it with graphs.save"),
        ({"edge_index": [[0, 1]]}, r"edge_index must be an int64 tensor of shape \[2, E\], got"),
        ({"edge_index": [0, 1]}, r"edge_index must be an int64 tensor of shape \[2, E\], got"),
        (
            {"edge_index": [[0.0], [1.0]]},
            r"must be int64, got float64 \[2, 1\]; write it ag",
        ),
        ({"edge_index": [["0"], ["1"]]}, "edge_index must be int64, got <U1"),
        ({"edge_index": [[0, 1], [1, 3]]}, r"got the synapse 1 -> 3 at position 1"),
        ({"edge_index": [[0, -1], [1, 2]]}, r"got the synapse -1 -> 2 at position 1"),
        ({"edge_index": [[0, 2**62], [1, 2]]}, r"got the synapse 4611686018427387904 -> 2"),
        ({"edge_index": [[0, 0], [1, 1]]}, "no two synapses may have the same"),
        ({"num_nodes": [3]}, r"num_nodes must be one integer, got int64 \[1\]"),
        ({"num_nodes": 3.0}, "num_nodes must be one integer, got float64"),
        ({"num_nodes": -1}, "num_nodes must be >= 0, got -1"),
        ({"num_nodes": 10**12}, r"its 1000000000000 neurons take \d+ bytes, more than max_bytes"),
        ({"edge_weight": np.float32([1])}, r"edge_weight must be .* \[2\], got \[1\]"),
        ({"edge_weight": np.float32([1, np.nan])}, "edge_weight must be finite"),
        ({"edge_weight": [1.0, 2.0]}, r"got float64 \[2\]; .*edge_weight.astype\('float32'\)"),
        ({"edge_sign": np.float32([1, 2])}, "edge_sign must be -1, 0"),
        ({"edge_type": [-1, 0]}, "edge_type must be >= 0"),
        ({"pos": np.zeros((3, 4), np.float32)}, "pos must have 1, 2 or 3 coordinates"),
        ({"names": ["a", "b"]}, "names must have one str for each of the 3 neurons"),
        ({"names": [1, 2, 3]}, r"names must be a row of text, got int64 \[3\]"),
        ({"names": [["a", "b", "c"]]}, "names must be a row of text"),
        ({"names": [b"a", b"b", b"c"]}, "names must be a row of text"),
        ({"node_type_names": ["a"]}, "node_type_names needs node_type"),
        ({"shape": [2, 2]}, "shape must have the product num_nodes = 3"),
        ({"shape": [3.0]}, "shape must be a row of integers, got float64"),
        ({"shape": 3}, "shape must be a row of integers"),
        ({"shape": [2**62] * 10_000}, "its shape has more than 64 sides"),
        ({"format": "csr"}, "data is not a file in the archive"),
    ],
)
def test_arrays_that_break_the_contract(path, changed, match):
    savez(path, **ARRAYS | changed)
    with pytest.raises(ValueError, match=rf"connectome.npz' cannot be read .*{match}"):
        graphs.load(path)


@pytest.mark.parametrize("missing", ARRAYS)
def test_missing_arrays(path, missing):
    savez(path, **{name: each for name, each in ARRAYS.items() if name != missing})
    with pytest.raises(ValueError, match=f"it lacks {missing}; write it with"):
        graphs.load(path)


class Trap:
    """Would write a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["names", "edge_index", "format", "data"])
def test_nothing_is_executed(path, tmp_path, name):
    trap = np.array([Trap(tmp_path / "sprung")] * 3, dtype=object)
    np.savez(path, **ARRAYS | {name: trap})
    with pytest.raises(ValueError, match=rf"{name} holds Python objects, .*\(pickle\)"):
        graphs.load(path)
    assert not (tmp_path / "sprung").exists()


def header(shape, dtype="<i8", version=1):
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text


def archive(path, members, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as file:
        for name, raw in members.items():
            file.writestr(name, raw)


def npy(array):
    raw = io.BytesIO()
    np.save(raw, array)
    return raw.getvalue()


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (header((2, 10**15)) + bytes(16), r"should have 16000000000000000 bytes .* got 16"),
        (header((2, 1)) + bytes(17), "should have 16 bytes .* got 17"),
        (header((2, 10**15), version=2), "should have 16000000000000000 bytes"),
        (header((2, 1), version=3) + bytes(16), r"edge_index is an array in the unknown version"),
        (header((-2, -1)) + bytes(16), r"for the shape \[-2, -1\]"),
        (header((0, 10**15)), r"edge_index has sides for \d+ bytes, more than max_bytes"),
        (header((10**12,), "<U0"), r"should have 0 bytes for the shape \[1000000000000\]"),
        (header((2, 1), "O") + bytes(16), "holds Python objects"),
        (header((2, 1), [("a", "O")]) + bytes(16), "holds Python objects"),
        (header((2, 1), "nonsense") + bytes(16), "descr"),
        (header("(" * 5000), "cannot be read as a connectome: ."),
        (header("-" * 9000 + "1"), "cannot be read as a connectome: ."),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", "expected .* bytes got 1"),
        (b"\x93NUMPY", "cannot be read as a connectome: ."),
        (b"", "cannot be read as a connectome: ."),
    ],
)
def test_hostile_headers(path, raw, match):
    archive(path, {"num_nodes.npy": npy(3), "edge_index.npy": raw})
    with pytest.raises(ValueError, match=match):
        graphs.load(path)


def test_a_zip_bomb_is_not_unpacked(path):
    raw = header((2, 2**20)) + bytes(2**24)
    archive(path, {f"{name}.npy": raw for name in ("edge_index", "pos", "names", "a", "b")})
    assert path.stat().st_size < 2**17
    with pytest.raises(ValueError, match=r"it unpacks to 8388\d+ bytes, more than max_bytes=8"):
        graphs.load(path, max_bytes=80_000_000)


def test_a_member_that_lies_about_its_size(path):
    # It says 16 bytes where 16 MiB come out.
    raw = header((2, 2**20)) + bytes(2**24)
    archive(path, {"num_nodes.npy": npy(3), "edge_index.npy": raw})
    told, lie = struct.pack("<I", len(raw)), struct.pack("<I", len(header((2, 1))) + 16)
    path.write_bytes(path.read_bytes().replace(told, lie))
    with pytest.raises(ValueError, match="Bad CRC-32 for file"):
        graphs.load(path)


@pytest.mark.parametrize(
    ("members", "packing"),
    [
        ({"edge_index.npy": npy(1)}, zipfile.ZIP_LZMA),
        ({"edge_index.npy": npy(1)}, zipfile.ZIP_BZIP2),
        ({"edge_index": npy(1)}, zipfile.ZIP_STORED),
        ({"notes.txt": b"hello"}, zipfile.ZIP_STORED),
    ],
)
def test_parts_that_numpy_does_not_write(path, members, packing):
    archive(path, members, packing)
    with pytest.raises(ValueError, match="is not an array of NumPy"):
        graphs.load(path)


@pytest.mark.parametrize("raw", [b"", b"no zip", npy(np.eye(3))])
def test_no_archive(path, raw):
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="File is not a zip file"):
        graphs.load(path)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"shape": [10**12, 10**12]}, "neurons take|cannot be read"),
        ({"format": "coo", "row": [0], "col": [0], "shape": [10**12] * 2}, "neurons take"),
        ({"format": "coo", "row": [5], "col": [0], "shape": [2, 2]}, "cannot be read"),
        ({"format": "coo", "row": [0], "col": [-1], "shape": [2, 2]}, "cannot be read"),
        ({"indices": [7]}, "cannot be read"),
        ({"indices": [-7]}, "cannot be read"),
        ({"indptr": [0, 5, 1]}, "cannot be read"),
        ({"indptr": [0, -(2**40), 1]}, "cannot be read"),
        ({"format": "bsr", "data": np.zeros((0, 2**20, 2**20))}, "data has sides for"),
        ({"format": "dok"}, "not implemented"),
        ({"format": "os.system"}, "Unknown format"),
        ({"format": [1, 2]}, "cannot be read"),
        ({"data": ["x"]}, "cannot be read"),
        ({"shape": [2, 3]}, "must be square"),
        ({"data": [np.nan]}, "finite in float32"),
    ],
)
def test_hostile_matrices(path, changed, match):
    whole = {"format": "csr", "shape": [2, 2], "data": [1.0], "indices": [1], "indptr": [0, 1, 1]}
    savez(path, **whole)
    assert torch.equal(graphs.load(path).edge_index, torch.tensor([[0], [1]]))
    savez(path, **whole | changed)
    with pytest.raises(ValueError, match=rf"cannot be read .*({match})|{match}"):
        graphs.load(path)
