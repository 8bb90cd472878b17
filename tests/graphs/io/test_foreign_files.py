"""Files of other programs that are not what was expected; every message proposes what works."""

import re
import zipfile

import h5py
import numpy as np
import pytest
import torch

import graphs
from graphs.io.formats import SAVED as FORMATS
from tests.graphs.io.refusals import told

every_format = pytest.mark.parametrize("suffix", FORMATS)
GRAPHML = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">{}<graph edgedefault="directed">'
    '{}<node id="a"/><node id="b"/><edge source="a" target="b"/></graph></graphml>'
)


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
    assert "it is not a complete XML file (not well-formed" in told(path)
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
    with pytest.raises(ValueError, match=f"got {label} at position 0; leave num_nodes out, and"):
        graphs.from_edges([label], [3], num_nodes=5)
    data = graphs.from_edges([label], [3])
    assert data.names == ["3", str(label)]
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
