import json
import zipfile

import numpy as np
import pytest
import torch

import graphs
from graphs.io.formats import SAVED as FORMATS

SEALED = [suffix for suffix, kept in FORMATS.items() if kept.sealed]


@pytest.mark.parametrize("suffix", SEALED)
def test_an_edited_file_is_refused_until_the_checksum_is_deleted(tmp_path, full, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    raw = path.read_bytes()
    at = raw.rindex(b"<!-- sha256 ")
    damaged = "differs from the checksum in its last line; .* if you have edited it, delete"
    for changed in (b"x" + raw, raw[:-10], raw[: at + 12], raw + b"x", raw[:at] + b" " + raw[at:]):
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=damaged):
            graphs.load(path)
    # An editor ended the file in a blank line.
    path.write_bytes(raw + b"\n")
    assert graphs.load(path).names == full.names


@pytest.mark.parametrize("suffix", [".graphml", ".gexf"])
def test_an_edit_in_xml(tmp_path, full, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    text = path.read_text("utf-8")
    lines = text.replace("神経", "神").splitlines()
    assert lines[-1].startswith("<!-- sha256 ")
    path.write_text("\n".join(lines[:-1]), "utf-8")
    assert graphs.load(path).names == ["a", "β", "<&>", " c ", "神"]


def test_no_file_without_an_end_is_long_enough_to_be_whole(tmp_path, full):
    for suffix in SEALED:
        path = tmp_path / f"a{suffix}"
        for raw in (b"", b"<", b"<!-- sha256 ", b"PK"):
            path.write_bytes(raw)
            with pytest.raises(ValueError, match="cannot be read as a connectome"):
                graphs.load(path)


def test_the_checksum_is_the_comment_of_an_archive(tmp_path, full):
    graphs.save(full, tmp_path / "a.npz")
    graphs.save(full, tmp_path / "a.pt")
    for name in ("a.npz", "a.pt"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.testzip() is None
            assert archive.comment.startswith(b"<!-- sha256 ")
    assert np.load(tmp_path / "a.npz")["num_nodes"] == 5
    # The file is trusted: it was written here.
    assert torch.load(tmp_path / "a.pt", weights_only=False).num_nodes == 5


def test_a_part_that_an_archive_has_swallowed(tmp_path, full):
    """The length of a comment in the list of parts is under no checksum of the archive."""
    path = tmp_path / "a.npz"
    graphs.save(full, path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"num_nodes.npy", raw.index(b"PK\x01\x02"))
    raw[at - 14] ^= 64
    with zipfile.ZipFile(path) as archive:
        assert "shape.npy" in archive.namelist()
    path.write_bytes(raw)
    with zipfile.ZipFile(path) as archive:
        assert "shape.npy" not in archive.namelist()
    with pytest.raises(ValueError, match="differs from the checksum"):
        graphs.load(path)


def test_what_another_program_changed_in_hdf5_has_no_checksum(tmp_path, full):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    graphs.save(full, path)
    with h5py.File(path, "r+") as root:
        root["edges/default/0/syn_weight"][0] = 7
    assert 7 in graphs.load(path).edge_weight.tolist()


def test_the_nodes_in_another_file_are_checked(tmp_path, full):
    path = tmp_path / "a.h5"
    graphs.save(full, path)
    nodes = tmp_path / "nodes.h5"
    raw = bytearray(path.read_bytes())
    nodes.write_bytes(raw)
    assert graphs.load(path, neurons=nodes).names == full.names
    raw[raw.index("神経".encode())] ^= 4
    nodes.write_bytes(raw)
    with pytest.raises(ValueError, match="differs from the checksum"):
        graphs.load(path, neurons=nodes)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_tables_have_their_checksums_in_the_header(tmp_path, full, suffix):
    graphs.save(full, tmp_path / f"a{suffix}")
    told = json.loads((tmp_path / f"a{suffix}.json").read_text())
    assert all(len(each) == 64 for each in told["sha256"].values())
