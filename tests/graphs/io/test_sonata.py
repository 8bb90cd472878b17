import sys
import zlib

import h5py
import numpy as np
import pytest
import torch

import graphs


@pytest.fixture
def path(tmp_path):
    return tmp_path / "edges.h5"


def write(path, *, population="default", owners=("cells", "cells"), nodes=None, group=None, **ids):
    """A file as other programs write it: ids, and properties in group 0."""
    ids = {"source_node_id": [0, 2], "target_node_id": [1, 1], **ids}
    with h5py.File(path, "a") as root:
        edges = root.require_group(f"edges/{population}")
        for name, values in ids.items():
            edges[name] = np.asarray(values)
        for name, owner in zip(("source", "target"), owners, strict=True):
            edges[f"{name}_node_id"].attrs["node_population"] = owner
        for name, values in (group or {}).items():
            edges[f"0/{name}"] = np.asarray(values)
        for name, size in (nodes or {}).items():
            root[f"nodes/{name}/node_type_id"] = np.full(size, -1)


def test_what_is_written_is_sonata(path, full):
    graphs.save(full, path)
    with h5py.File(path) as root:
        assert root.attrs["magic"] == 0x0A7A
        assert root.attrs["version"].tolist() == [0, 1]
        edges, nodes = root["edges/default"], root["nodes/default"]
        assert edges["source_node_id"].attrs["node_population"] == "default"
        assert edges["source_node_id"][()].tolist() == full.edge_index[0].tolist()
        assert edges["edge_type_id"][()].tolist() == full.edge_type.tolist()
        assert edges["edge_group_index"][()].tolist() == [0, 1, 2, 3]
        np.testing.assert_array_equal(edges["0/syn_weight"], full.edge_weight)
        assert nodes["node_id"][()].tolist() == [0, 1, 2, 3, 4]
        assert nodes["node_type_id"][()].tolist() == full.node_type.tolist()
        np.testing.assert_array_equal(nodes["0/y"], full.pos[:, 1])
        assert [name.decode() for name in nodes["0/name"][()]] == full.names


def test_edges_of_other_programs(path):
    write(
        path,
        edge_type_id=[100, 101],
        edge_group_id=[0, 0],
        edge_group_index=[1, 0],
        group={"syn_weight": np.array([0.5, 2.0]), "delay": [1.0, 1.0], "nsyns": [4, 5]},
    )
    told = "without 'delay' of edges, 'nsyns' of edges: "
    with pytest.warns(graphs.LeftOutWarning, match=told) as warned:
        data = graphs.load(path)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert data.num_nodes == 3
    assert data.edge_index.tolist() == [[0, 2], [1, 1]]
    assert data.edge_type.tolist() == [100, 101]
    assert data.edge_weight.tolist() == [2.0, 0.5]
    with pytest.warns(graphs.LeftOutWarning, match=told):
        assert graphs.load(path, num_nodes=7).num_nodes == 7


def test_types_of_minus_one_are_none(path):
    write(path, edge_type_id=[-1, -1], nodes={"cells": 4})
    data = graphs.load(path)
    assert "edge_type" not in data
    assert "node_type" not in data
    assert data.num_nodes == 4


def test_nodes_in_a_file_of_their_own(path, tmp_path):
    write(path, owners=("lgn", "v1"))
    with pytest.raises(
        ValueError, match="sources are 'lgn' and its targets 'v1', .*neurons='nodes"
    ):
        graphs.load(path)
    with h5py.File(tmp_path / "nodes.h5", "w") as root:
        root["nodes/lgn/node_type_id"] = np.full(3, 5)
        root["nodes/v1/node_type_id"] = np.full(2, 6)
    with pytest.warns(
        graphs.LeftOutWarning, match="without 'node_type' of nodes of two populations: "
    ):
        data = graphs.load(path, neurons=tmp_path / "nodes.h5")
    assert data.num_nodes == 5
    assert data.edge_index.tolist() == [[0, 2], [4, 4]]
    assert data.node_type.tolist() == [0, 0, 0, 1, 1]
    assert data.node_type_names == ["lgn", "v1"]
    with pytest.raises(FileNotFoundError, match=r"nix.h5"):
        graphs.load(path, neurons=tmp_path / "nix.h5")


def test_nodes_out_of_order_are_refused(path, full):
    graphs.save(full, path)
    with h5py.File(path, "r+") as root:
        root["nodes/default/node_id"][...] = [0, 2, 1, 3, 4]
    with pytest.raises(ValueError, match="node_id must be 0 to 4 in order, got 2 at position 1"):
        graphs.load(path)


def test_several_populations(path):
    write(path, population="a")
    write(path, population="b", source_node_id=[4, 4], target_node_id=[4, 4])
    with pytest.raises(ValueError, match="populations, 'a', 'b', got None; pass pop"):
        graphs.load(path)
    assert graphs.load(path, population="a").num_nodes == 3
    with pytest.raises(ValueError, match="populations, 'a', 'b', got 'c'"):
        graphs.load(path, population="c")
    with pytest.raises(ValueError, match="once, got 4 -> 4 again"):
        graphs.load(path, population="b")
    data = graphs.load(path, population="b", duplicates="sum")
    assert data.edge_weight.tolist() == [2.0]


@pytest.mark.parametrize(
    "names", [["", ""], ["a\0", "b"], ["\ud800", "b"], ["x" * 999, "b"], ["é", ""]]
)
def test_odd_names(path, assert_same, names):
    data = graphs.from_edges([0], [1], num_nodes=2)
    data.names = names
    graphs.save(data, path)
    assert_same(graphs.load(path), data)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"source_node_id": [0, -1]}, "source_node_id must be a node >= 0, got -1 to 0"),
        ({"source_node_id": np.array([0, 2**64 - 1], np.uint64)}, "source_node_id must be a node"),
        ({"source_node_id": [0, 10**15]}, r"1000000000000001 neurons take \d+ bytes, more than"),
        (
            {"source_node_id": [0.0, 1.0]},
            "source_node_id must be a row of .* got float64",
        ),
        ({"source_node_id": [[0], [1]]}, r"source_node_id must be .* got int64 \[2, 1\]"),
        ({"source_node_id": 0}, r"source_node_id must be .* got int64 \[\]"),
        ({"source_node_id": ["a", "b"]}, "source_node_id must be"),
        ({"target_node_id": [0]}, r"target_node_id must be 2 values of .* got int64 \[1\]"),
        ({"edge_type_id": [0]}, "edge_type_id must be 2 values"),
        ({"edge_type_id": [-2, 5]}, "edge_type must be >= 0, got -2"),
        (
            {"edge_group_index": [0, 2], "group": {"syn_weight": [1.0, 2]}},
            "2 values, each at one in",
        ),
        ({"group": {"syn_weight": [1.0]}}, "must have 2 values, each at one index, got 1"),
        ({"group": {"syn_weight": [1.0, np.nan]}}, "edge_weight must be finite"),
        ({"group": {"syn_weight": ["a", "b"]}}, "syn_weight must be"),
        (
            {"nodes": {"cells": 2}},
            r"source_node_id must be in \[0, 2\), got 2; pass neurons=",
        ),
    ],
)
def test_damaged_populations(path, changed, match):
    changed = {
        name: np.array(each, dtype="S") if np.asarray(each).dtype.kind == "U" else each
        for name, each in changed.items()
    }
    if isinstance(changed.get("group"), dict):
        changed["group"] = {
            name: np.array(each, dtype="S") if np.asarray(each).dtype.kind == "U" else each
            for name, each in changed["group"].items()
        }
    write(path, **changed)
    with pytest.raises(ValueError, match=f"edges.h5' cannot be read as a connectome: .*{match}"):
        graphs.load(path)


def test_too_small_a_number_of_nodes(path):
    write(path)
    with pytest.raises(ValueError, match=r"source_node_id must be in \[0, 2\), got 2"):
        graphs.load(path, num_nodes=2)
    write(path, population="b", nodes={"cells": 3})
    with pytest.raises(ValueError, match="num_nodes is 3 in the file, .*; leave num_nodes= out"):
        graphs.load(path, num_nodes=3, population="b")


@pytest.mark.parametrize("raw", [b"", b"x" * 1000, b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" * 99])
def test_no_hdf5(path, raw):
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="edges.h5' cannot be read as a connectome: ."):
        graphs.load(path)


def replace(path, name, make):
    with h5py.File(path, "a") as root:
        group = root["edges/default"]
        owner = group[name].attrs["node_population"]
        del group[name]
        make(group, name)
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            group[name].attrs["node_population"] = owner


def test_what_lies_elsewhere_is_not_read(path, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(16))
    with h5py.File(tmp_path / "other.h5", "w") as root:
        root["ids"] = np.zeros(2, np.int64)
    layout = h5py.VirtualLayout((2,), "i8")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "ids", (2,))
    cases = {
        "is in another file": lambda group, name: group.create_dataset(
            name, (2,), "i8", external=[(str(secret), 0, 16)]
        ),
        "is in another file;": lambda group, name: group.create_virtual_dataset(name, layout),
        "of the file itself": lambda group, name: group.__setitem__(
            name, h5py.ExternalLink(str(tmp_path / "other.h5"), "ids")
        ),
        "target_node_id' of the file itself|dataset 'target_node_id'": lambda group, name: (
            group.__setitem__(name, h5py.SoftLink("/edges/default/target_node_id"))
        ),
    }
    for match, make in cases.items():
        path.unlink(missing_ok=True)
        write(path)
        replace(path, "target_node_id", make)
        with pytest.raises(ValueError, match=match):
            graphs.load(path)


def test_groups_in_place_of_datasets_and_cycles(path):
    write(path)
    replace(path, "source_node_id", lambda group, name: group.create_group(name))
    with pytest.raises(ValueError, match="expected a dataset 'source_node_id' of the file itself"):
        graphs.load(path)
    replace(path, "source_node_id", lambda group, name: group.__setitem__(name, group.parent))
    with pytest.raises(ValueError, match="expected a dataset 'source_node_id'"):
        graphs.load(path)
    with h5py.File(path, "w") as root:
        edges = root.create_group("edges")
        edges["edges"] = edges
    with pytest.raises(ValueError, match="has no source_node_id, which SONATA requires"):
        graphs.load(path)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        (
            {"shape": (10**15,), "chunks": (1000,)},
            r"it unpacks to 8000000000000000 bytes, more than",
        ),
        ({"shape": (10**9,), "chunks": (1000,), "compression": "gzip"}, "it unpacks to 8000000000"),
        (
            {"shape": (2,), "maxshape": (None,), "chunks": (2**28,), "compression": "gzip"},
            r"a chunk of .* has 2147483648 bytes, more than max_bytes",
        ),
        ({"shape": (2,), "chunks": (2,), "compression": "lzf"}, "is not packed by gzip"),
        ({"shape": (2,), "chunks": (2,), "scaleoffset": 3}, "is not packed by gzip"),
    ],
)
def test_datasets_that_claim_much(path, how, match):
    write(path)
    replace(
        path, "source_node_id", lambda group, name: group.create_dataset(name, dtype="i8", **how)
    )
    with pytest.raises(ValueError, match=match):
        graphs.load(path)


def test_a_chunk_that_unpacks_without_end(path):
    def make(group, name):
        dataset = group.create_dataset(name, (2,), "i8", chunks=(2,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(10**8)))

    write(path)
    replace(path, "source_node_id", make)
    with pytest.raises(
        ValueError, match=r"a chunk of .*source_node_id unpacks to more than 16 bytes"
    ):
        graphs.load(path)


def test_gzip_is_read(path):
    def make(group, name):
        group.create_dataset(
            name,
            data=np.arange(10**4),
            chunks=(999,),
            compression="gzip",
            shuffle=True,
            fletcher32=True,
        )

    write(path, target_node_id=np.arange(10**4))
    replace(path, "source_node_id", make)
    assert torch.equal(graphs.load(path).edge_index, torch.arange(10**4).repeat(2, 1))


def test_text_of_any_length_is_not_read(path):
    write(path, nodes={"cells": 3})
    with h5py.File(path, "a") as root:
        root["nodes/cells/0/name"] = ["a", "b", "c"]
    with pytest.raises(ValueError, match="nodes/cells/0/name must be"):
        graphs.load(path)


@pytest.mark.parametrize(
    "told", ["", "[]", '{"shape": 5}', '{"names": [1]}', '{"fields": "x"}', "[" * 10**5]
)
def test_hostile_statements(path, told):
    write(path)
    with h5py.File(path, "a") as root:
        root["connectome"] = np.bytes_(told.encode() or b" ")
    with pytest.raises(ValueError, match="cannot be read as a connectome: ."):
        graphs.load(path)


def test_without_h5py_it_is_told_how_to_get_it(path, full, monkeypatch):
    graphs.save(full, path)
    before = path.read_bytes()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sparsebrain\[sonata\]'"):
        graphs.load(path)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sparsebrain\[sonata\]'"):
        graphs.save(full, path)
    assert path.read_bytes() == before
