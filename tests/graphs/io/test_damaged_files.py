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
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphs
from graphs.io.files import FORMATS, files_of

REMEDY = re.compile(
    r"[;,:] (or )?(pass|take|save|write|delete|add|close|give|correct|number|rename|export|use|set"
    r"|call|convert|copy|data|del|drop|if you|if both|put|update|merge|leave)\b"
)
DAMAGES = {
    "flip": lambda raw, at: raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :],
    "cut": lambda raw, at: raw[:at],
    "zeros": lambda raw, at: raw[:at] + bytes(16) + raw[at + 16 :],
    "insert": lambda raw, at: raw[:at] + b'"' + raw[at:],
    "delete": lambda raw, at: raw[:at] + raw[at + 7 :],
    "repeat": lambda raw, at: raw[: at + 40] + raw[at:],
}
every_format = pytest.mark.parametrize("suffix", FORMATS)


def told(path, **options):
    """Return the message with which a file is refused; it names the file and a remedy."""
    with pytest.raises(ValueError, match="cannot be read") as caught:
        graphs.load(path, **options)
    return checked(path, caught.value)


def checked(path, error):
    message = str(error)
    assert message.startswith(f"{str(path)!r} cannot be read as a connectome: "), message
    assert REMEDY.search(message), message
    return message


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
    with pytest.raises(FileNotFoundError, match="is no regular file; pass the path of a file"):
        graphs.load(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileNotFoundError, match="is no regular file; pass the path of a file"):
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
        "expected one graph|damaged, or no .graphml",
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
    assert "is damaged, or no JSON of graphs.save; take a whole copy" in told(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252"])
@pytest.mark.parametrize("part", ["edges", "neurons"])
def test_tables_in_other_encodings(tmp_path, encoding, part):
    edges, neurons = "source,target\nä,b\n", "name\nä\nb\n"
    path = tmp_path / "a.csv"
    path.write_bytes(edges.encode(encoding if part == "edges" else "utf-8"))
    table = path.with_name("a.neurons.csv")
    table.write_bytes(neurons.encode(encoding if part == "neurons" else "utf-8"))
    assert re.search(r"; save it as (text in )?UTF-8", told(path))


def test_xml_in_other_encodings(tmp_path):
    path = tmp_path / "a.graphml"
    text = GRAPHML.format("", "").replace('id="a"', 'id="ä"').replace('"a"', '"ä"')
    for encoding in ("latin-1", "utf-16", "utf-8"):
        path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))
        assert graphs.load(path).names == ["ä", "b"]
    path.write_bytes(text.encode("latin-1"))
    assert "it is no complete XML file (not well-formed" in told(path)
    for encoding in ("nonsense", "shift_jis"):
        path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode())
        assert re.search("XML", told(path))


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        ("source\ttarget\na\tb\n", {}, r"pass delimiter='\\t' if it separates the values"),
        ("source\ttarget\na\tb\n", {"delimiter": ";"}, r"pass delimiter='\\t' if it separates"),
        ("source;target\na;b\n", {}, "pass delimiter=';' if it separates the values"),
        ("source target\na b\n", {}, "pass delimiter=' ' if it separates the values"),
        ("# made by hand\nsource,target\na,b\n", {}, "delete the comments above the header"),
        ("#source,target\na,b\n", {}, "or the character with which the header begins"),
        ("% 3 nodes\na b\n", {}, "delete the comments above the header"),
        ("one\na\n", {}, "add the 'source' and the 'target' column"),
        (",pre neuron,to_\n0,a,b\n", {}, r"pass columns={'source': 'pre neuron', 'target': 'to_'}"),
        (
            "source,target\na,b\n",
            {"columns": {"source": ""}},
            "pass columns={'source': 'source'} or another, or None",
        ),
        (
            ",target\na,b\n",
            {"columns": {"target": "x"}},
            "pass columns={'target': 'target'} or another",
        ),
        ("a,source,a\nx,y,z\n", {"columns": {"target": "a"}}, "rename one of the columns"),
        (
            "edge_type_id target_query source_query\n100 * *\n",
            {},
            "pass the .h5 file of SONATA, since this table lists types",
        ),
        ("node_type_id pop_name\n1 a\n", {"delimiter": " "}, "pass the .h5 file of SONATA"),
        ('source,target\na,"b\n', {}, "after 1 rows .*; close the quotes"),
        (
            'source,target\n"a"b,c\n',
            {},
            "; close the quotes, and write a quote within a value twic",
        ),
        ("source,target,weight\na,b,'0,5'\n", {}, "got 4 in row 1; add or delete values"),
        ("source;target;weight\na;b;0,5\n", {"delimiter": ";"}, "; write a decimal point, or pass"),
        (
            "source,target,weight\na,b,heavy\n",
            {},
            r"pass columns={'weight': None} to leave the col",
        ),
        ("source,target\na,b\n", {"num_nodes": 3}, "or leave num_nodes= out, and the texts become"),
        ("source,target\na,b\0\n", {}, r"got 'b\\x00' in row 1; it has a control character; save "),
    ],
)
def test_tables_of_other_programs(tmp_path, text, options, match):
    path = tmp_path / "a.csv"
    path.write_text(text, "utf-8")
    assert re.search(match, told(path, **options)), told(path, **options)


def test_the_proposals_work(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("source\ttarget\na\tb\n", "utf-8")
    assert graphs.load(path, delimiter="\t").names == ["a", "b"]
    path.write_text(",pre neuron,to_\n0,a,b\n", "utf-8")
    chosen = {"source": "pre neuron", "target": "to_"}
    with pytest.warns(graphs.LeftOutWarning, match="the column '' of the edge list"):
        assert graphs.load(path, columns=chosen).names == ["a", "b"]
    path.write_text("source;target;weight\na;b;0,5\n", "utf-8")
    data = graphs.load(path, delimiter=";", columns={"weight": None})
    assert "edge_weight" not in data
    path.write_text("source,target\na,7\n", "utf-8")
    assert graphs.load(path).names == ["7", "a"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AVAL", "AVAL\u200b"),
        ("AVAL", "AV\u00adAL"),
        ("AVAL", "\u2060AVAL"),
        ("AVAL", "\uff21\uff36\uff21\uff2c"),
        ("7", "\uff17"),
        ("a b", "a\u2009b"),
    ],
)
def test_names_that_look_alike(tmp_path, one, other):
    path = tmp_path / "a.csv"
    path.write_text(f"source,target\n{one},x\nx,{other}\n", "utf-8")
    assert "invisible or full-width characters; if both are neurons, list them" in told(path)
    (tmp_path / "t.csv").write_text(f"name\n{one}\n{other}\nx\n", "utf-8")
    assert graphs.load(path, neurons=tmp_path / "t.csv").names == [one, other, "x"]


@every_format
def test_invisible_characters_in_names_are_saved(tmp_path, full, assert_same, suffix):
    full.names = ["a\u200b", "a", "\u2060", "\uff41", "a\0b"]
    graphs.save(full, tmp_path / f"a{suffix}")
    assert graphs.load(tmp_path / f"a{suffix}").names == full.names


def test_another_file_of_nodes(tmp_path):
    path = tmp_path / "a.h5"
    graphs.save(graphs.layered([1, 1]), path)
    for name, raw in (("types.csv", b"node_type_id pop_name\n1 a\n"), ("empty.h5", b"")):
        (tmp_path / name).write_bytes(raw)
        assert re.search(
            f"neurons must be a file of SONATA, got '.*{name}', .*; pass neurons='nodes.h5'",
            told(path, neurons=tmp_path / name),
        )


def test_labels_in_place_of_numbers(tmp_path):
    label = 720575940612453044
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as root:
        root["edges/default/source_node_id"] = np.array([label])
        root["edges/default/target_node_id"] = np.array([0])
    assert "no computer has as much memory: take a whole copy" in told(path)
    assert "number the nodes from 0, as SONATA does" in told(path, num_nodes=5)
    with pytest.raises(ValueError, match=f"got {label} at position 0; number the neurons from 0, "):
        graphs.from_edges([label], [3], num_nodes=5)
    labels, ends = np.unique([[label], [3]], return_inverse=True)
    data = graphs.from_edges(*ends.reshape(2, -1), num_nodes=len(labels))
    assert data.edge_index.tolist() == [[1], [0]]
    (tmp_path / "a.csv").write_text(f"source,target\n{label},3\n")
    assert "or leave num_nodes= out" in told(tmp_path / "a.csv", num_nodes=5)
    assert graphs.load(tmp_path / "a.csv").names == ["3", str(label)]


def test_a_damaged_tensor_is_no_other_connectome(tmp_path):
    """A pickle whose tensors ask for more than their storage."""
    path = tmp_path / "a.pt"
    data = graphs.layered([2, 2])
    data.edge_weight = torch.ones(1).expand(4)
    torch.save(data, path)
    assert graphs.load(path).edge_weight.tolist() == [1.0] * 4
    with zipfile.ZipFile(path) as file:
        members = {each: file.read(each) for each in file.namelist()}
    storage = next(name for name in members if name.endswith("data/0"))
    with zipfile.ZipFile(path, "w") as file:
        for name, raw in members.items():
            file.writestr(name, raw[:4] if name == storage else raw)
    told(path)
