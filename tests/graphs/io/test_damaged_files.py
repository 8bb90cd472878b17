"""Damaged and hostile files of every format: the right answer, or one error that says what to do.

Files of `graphs.save` have checksums, so that they are never read as another connectome. Files
without one, as other programs write them, may be read if their damage still is a valid file.
"""

import gzip
import io
import json
import os
import re
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphs
from graphs.io.files import files_of
from graphs.io.formats import SAVED as FORMATS
from tests.graphs.io.refusals import checked, told

DAMAGES = {
    "flip": lambda raw, at: raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :],
    "cut": lambda raw, at: raw[:at],
    "zeros": lambda raw, at: raw[:at] + bytes(16) + raw[at + 16 :],
    "insert": lambda raw, at: raw[:at] + b'"' + raw[at:],
    "delete": lambda raw, at: raw[:at] + raw[at + 7 :],
    "repeat": lambda raw, at: raw[: at + 40] + raw[at:],
}
every_format = pytest.mark.parametrize("suffix", FORMATS)


def unseal(path):
    """Remove the checksums of a saved connectome, as another program would."""
    header = path.with_name(f"{path.name}.json")
    if header.exists():
        stated = json.loads(header.read_text())
        del stated["version"], stated["sha256"]
        header.write_text(json.dumps(stated))
        return
    raw = path.read_bytes()
    raw = raw[: raw.rindex(b"<!-- sha256 ")]
    # The length of the comment that the checksum was.
    path.write_bytes(raw[:-2] + bytes(2) if zipfile.is_zipfile(io.BytesIO(raw[:-2])) else raw)


@every_format
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checksum_reveals_every_damage(tmp_path, full, assert_same, suffix, damage):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    expected = graphs.load(path)
    for part in files_of(path):
        raw = part.read_bytes()
        for at in range(0, len(raw), max(1, len(raw) // 12)):
            changed = DAMAGES[damage](raw, at)
            part.write_bytes(changed)
            try:
                data = graphs.load(path)
            except ValueError as error:
                checked(path, error)
            else:
                assert_same(data, expected)
        part.write_bytes(raw)


@every_format
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.filterwarnings("ignore::graphs.LeftOutWarning")
def test_without_a_checksum_damage_is_refused_or_a_valid_file(tmp_path, full, suffix, damage):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    unseal(path)
    for part in files_of(path):
        raw = part.read_bytes()
        for at in range(0, len(raw), max(1, len(raw) // 30)):
            part.write_bytes(DAMAGES[damage](raw, at))
            try:
                graphs.validate(graphs.load(path))
            except ValueError as error:
                checked(path, error)
        part.write_bytes(raw)


@every_format
@settings(max_examples=30, deadline=None)
@given(drawn=st.data())
@pytest.mark.filterwarnings("ignore::graphs.LeftOutWarning")
def test_any_edits_of_a_file(tmp_path_factory, suffix, drawn):
    path = tmp_path_factory.mktemp("files") / f"a{suffix}"
    graphs.save(graphs.layered([2, 2]), path)
    unseal(path)
    raw = bytearray(path.read_bytes())
    for _ in range(drawn.draw(st.integers(1, 4))):
        at = drawn.draw(st.integers(0, len(raw)))
        length = drawn.draw(st.integers(0, 20))
        raw[at : at + length] = drawn.draw(st.binary(max_size=20))
    path.write_bytes(raw)
    try:
        graphs.validate(graphs.load(path))
    except ValueError as error:
        checked(path, error)


@every_format
@pytest.mark.parametrize("other", FORMATS)
def test_a_wrong_suffix(tmp_path, full, suffix, other):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, tmp_path / f"b{other}")
    path.write_bytes((tmp_path / f"b{other}").read_bytes())
    if other != suffix:
        told(path)


@every_format
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"\0" * 100,
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"<html><body>404 Not Found</body></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        gzip.compress(b"source,target\na,b\n"),
        bytes(range(256)),
    ],
    ids=["empty", "blank", "zeros", "picture", "page", "pointer", "gzip", "bytes"],
)
def test_what_is_no_connectome(tmp_path, suffix, raw):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(raw)
    told(path)


@every_format
def test_what_is_no_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(FileNotFoundError, match=r"a\..*' does not exist; pass the path of a file"):
        graphs.load(path)
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="is not a regular file; pass the path of a file"):
        graphs.load(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileNotFoundError, match="is not a regular file; pass the path of a file"):
        graphs.load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FileNotFoundError, match="is a folder; pass the path of a file"):
        graphs.load(path)
    long = tmp_path / f"{'a' * 1000}{suffix}"
    with pytest.raises(FileNotFoundError, match="does not exist; pass the path of a file"):
        graphs.load(long)


NESTED = "[" * 10**5
GRAPHML = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">{}<graph edgedefault="directed">'
    '{}<node id="a"/><node id="b"/><edge source="a" target="b"/></graph></graphml>'
)
GEXF = (
    '<gexf xmlns="http://www.gexf.net/1.2draft"><meta><description>{}</description></meta>'
    '<graph defaultedgetype="directed">{}<nodes><node id="a"/></nodes></graph></gexf>'
)


def archive(**members):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/"), content)
    return raw.getvalue()


def npy(shape, dtype="<i8"):
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def hdf5(**datasets):
    raw = io.BytesIO()
    with h5py.File(raw, "w") as root:
        for name, how in datasets.items():
            root.create_dataset(f"edges/default/{name}", **how)
    return raw.getvalue()


BOMBS = {
    "npz that unpacks to much": (
        ".npz",
        archive(
            **{f"{name}.npy": npy((2, 2**22)) + bytes(2**26) for name in ("edge_index", "pos")}
        ),
        "it unpacks to .* more than max_bytes",
    ),
    "npz of a huge shape": (
        ".npz",
        archive(**{"num_nodes.npy": npy(()) + bytes(8), "edge_index.npy": npy((2, 2**50))}),
        "should have .* bytes",
    ),
    "npz of many neurons": (
        ".npz",
        archive(
            **{
                "num_nodes.npy": npy(()) + (2**50).to_bytes(8, "little"),
                "edge_index.npy": npy((2, 0)),
            }
        ),
        "no computer has as much memory: take a whole copy|sides for",
    ),
    "npz with two arrays of a name": (
        ".npz",
        archive(**{"a.npy": npy((0,)), "b.npy": npy((0,))}).replace(b"b.npy", b"a.npy"),
        "two arrays of the same name",
    ),
    "pt that unpacks to much": (
        ".pt",
        archive(archive__data="", **{"archive__data.pkl": bytes(2**27)}),
        "it unpacks to .* more than max_bytes",
    ),
    "GraphML that names entities": (
        ".graphml",
        ('<!DOCTYPE a [<!ENTITY b "xxxx">]>' + GRAPHML.format("", "")).encode(),
        "declares a DOCTYPE, .*delete the declaration",
    ),
    "GraphML that nests": (
        ".graphml",
        GRAPHML.format("", '<node id="n"><graph>' * 20_000 + "</graph></node>" * 20_000).encode(),
        "expected one graph|damaged or not a .graphml",
    ),
    "GraphML with nested JSON": (
        ".graphml",
        GRAPHML.format(
            '<key id="d0" for="graph" attr.name="shape" attr.type="string"/>',
            f'<data key="d0">{NESTED}</data>',
        ).encode(),
        "RecursionError|must be a list in JSON",
    ),
    "GEXF with nested JSON": (".gexf", GEXF.format(NESTED, "").encode(), "RecursionError"),
    "GEXF that nests": (
        ".gexf",
        GEXF.format("", "<nodes>" * 20_000 + "</nodes>" * 20_000).encode(),
        "gexf' cannot be read",
    ),
    "HDF5 of a huge shape": (
        ".h5",
        hdf5(
            source_node_id={"shape": (2**50,), "dtype": "i8", "chunks": (1000,)},
            target_node_id={"shape": (2**50,), "dtype": "i8", "chunks": (1000,)},
        ),
        "it unpacks to .* take a whole copy",
    ),
    "HDF5 that unpacks to much": (
        ".h5",
        hdf5(
            source_node_id={"data": np.zeros(2**24, "i8"), "compression": "gzip"},
            target_node_id={"data": np.zeros(2**24, "i8"), "compression": "gzip"},
        ),
        "it unpacks to .* more than max_bytes",
    ),
    "a table without a line end": (".csv", b"source,target\n" + b"x" * 2**22, "close its quotes"),
    "a table of many columns": (".csv", b"a," * 2**20, "close its quotes|1 to 1000 names"),
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.filterwarnings("ignore::graphs.LeftOutWarning")
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_bomb_takes_little_memory(tmp_path, bomb):
    suffix, raw, match = BOMBS[bomb]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(raw)
    tracemalloc.start()
    message = told(path, max_bytes=2**24)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert re.search(match, message), message
    assert peak < 2**26


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_header_that_nests(tmp_path, full, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    (tmp_path / f"a{suffix}.json").write_text(NESTED)
    assert "is damaged or not JSON of graphs.save; take a whole copy" in told(path)
