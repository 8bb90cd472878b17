"""Published tables, made up with the columns of the originals, and what becomes of them."""

import dataclasses
import hashlib
import io
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
import torch

import graphs
from graphs.downloads.fetching import BRAINS

IDS = [720575940596125868, 720575940597856265, 720575940597944841, 720575940598267657]


def feather(table):
    """A table as the publishers write it."""
    file = io.BytesIO()
    pyarrow.feather.write_feather(pa.table(table), file, compression="lz4")
    return file.getvalue()


def npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def archive(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(f"exported-traced-adjacencies-v1.2/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return file.getvalue()


def flywire():
    a, b, c, d = IDS
    rows = [
        # pre, post, neuropil, count, gaba, ach, glut, oct, ser, da
        (b, a, "ME_R", 3, 0.1, 0.8, 0.1, 0.0, 0.0, 0.0),
        (b, a, "LO_R", 4, 0.2, 0.7, 0.1, 0.0, 0.0, 0.0),
        (a, c, "ME_R", 1, 0.9, 0.1, 0.0, 0.0, 0.0, 0.0),
        # One synapse says acetylcholine, nine say glutamate.
        (c, b, "ME_R", 1, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0),
        (c, a, None, 9, 0.0, 0.4, 0.6, 0.0, 0.0, 0.0),
    ]
    names = (
        *("pre_pt_root_id", "post_pt_root_id", "neuropil", "syn_count"),
        *("gaba_avg", "ach_avg", "glut_avg", "oct_avg", "ser_avg", "da_avg"),
    )
    columns = dict(zip(names, (list(each) for each in zip(*rows, strict=True)), strict=True))
    return {
        "proofread_root_ids_783.npy": npy(np.array([d, b, a, c], dtype=np.uint64)),
        "proofread_connections_783.feather": feather(columns),
    }


def hemibrain():
    return {
        "exported-traced-adjacencies-v1.2.tar.gz": archive(
            {
                "traced-neurons.csv": 'bodyId,type,instance\n7,KC,KC_R\n3,"PEN_a(PEN1)",x\n5,,\n',
                "traced-total-connections.csv": "bodyId_pre,bodyId_post,weight\n3,7,2\n7,5,6\n",
                "traced-roi-connections.csv": "bodyId_pre,bodyId_post,roi,weight\n3,7,MB,2\n",
            }
        )
    }


def male_cns():
    return {
        "body-annotations-male-cns-v1.0-minconf-0.5.feather": feather(
            {
                "bodyId": [30, 10, 20, 40],
                "type": ["Mi1", "T4a", None, "glia"],
                "superclass": ["ol_intrinsic", "ol_intrinsic", "vnc_motor", None],
                "somaLocation": [[1, 2, 3], None, None, None],
            }
        ),
        "body-neurotransmitters-male-cns-v1.0.feather": feather(
            {
                "body": [10, 99, 30, 20],
                "predicted_nt": ["gaba"] * 4,
                "consensus_nt": ["acetylcholine", "gaba", "glutamate", "unclear"],
            }
        ),
        "connectome-weights-male-cns-v1.0-minconf-0.5-traced-only.feather": feather(
            {"body_pre": [10, 30, 40, 20], "body_post": [30, 10, 10, 99], "weight": [5, 2, 1, 8]}
        ),
    }


FILES = {"flywire-783": flywire, "hemibrain-1.2": hemibrain, "male-cns-1.0": male_cns}


@pytest.fixture(params=list(BRAINS))
def small(request, monkeypatch, server):
    """The name of a published connectome, whose files are now made up and on a server."""
    name = request.param
    serve(name, FILES[name](), monkeypatch, server)
    return name


def serve(name, files, monkeypatch, server):
    server.files.update(files)
    assert {each.name for each in BRAINS[name].files} == files.keys()
    remotes = tuple(
        dataclasses.replace(
            each,
            url=f"{server.address}/{each.name}",
            size=len(files[each.name]),
            checksum=each.checksum and f"md5:{hashlib.md5(files[each.name]).hexdigest()}",
        )
        for each in BRAINS[name].files
    )
    monkeypatch.setitem(BRAINS, name, dataclasses.replace(BRAINS[name], files=remotes))


def synapses(data):
    """Weight of each synapse by the names of its ends."""
    ends = [[data.names[each] for each in side] for side in data.edge_index.tolist()]
    return dict(zip(zip(*ends, strict=True), data.edge_weight.tolist(), strict=True))


def test_license_is_told_and_the_second_call_needs_no_server(small, tmp_path, server, capsys):
    first = graphs.fetch(small, directory=tmp_path)
    told = capsys.readouterr().err
    assert "License: CC BY 4.0. Cite " in told
    assert BRAINS[small].citation in told
    server.stop()
    second = graphs.fetch(small, directory=tmp_path)
    assert "License" not in capsys.readouterr().err
    assert first.keys() == second.keys()
    assert torch.equal(first.edge_index, second.edge_index)
    assert graphs.validate(first) is first


@pytest.mark.parametrize("small", ["flywire-783"], indirect=True)
def test_flywire(small, tmp_path):
    data = graphs.fetch(small, directory=tmp_path)
    a, b, c, _ = map(str, IDS)
    assert data.names == [str(each) for each in IDS]
    # Counts of one pair in several regions are added up.
    assert synapses(data) == {(b, a): 7, (a, c): 1, (c, b): 1, (c, a): 9}
    assert data.transmitters == ["gaba", "acetylcholine", "glutamate", "unknown"]
    assert data.node_sign.tolist() == [-1, 1, 0, 0]
    signed = graphs.fetch(small, directory=tmp_path, transmitter_signs={"Glutamate": -1})
    assert signed.node_sign.tolist() == [-1, 1, -1, 0]
    short = graphs.fetch(small, directory=tmp_path, transmitter_signs={"GLUT ": -1})
    assert short.node_sign.tolist() == [-1, 1, -1, 0]
    with pytest.raises(ValueError, match="got 'glutamat'; pass some of acetylcholine, gaba, glut"):
        graphs.fetch(small, directory=tmp_path, transmitter_signs={"glutamat": -1})
    strong = graphs.fetch(small, directory=tmp_path, min_synapses=7)
    assert synapses(strong) == {(b, a): 7, (c, a): 9}
    assert strong.num_nodes == 4


@pytest.mark.parametrize("small", ["hemibrain-1.2"], indirect=True)
def test_hemibrain(small, tmp_path):
    data = graphs.fetch(small, directory=tmp_path)
    assert data.names == ["3", "5", "7"]
    assert synapses(data) == {("3", "7"): 2, ("7", "5"): 6}
    assert [data.node_type_names[each] for each in data.node_type] == [
        "PEN_a(PEN1)",
        "unknown",
        "KC",
    ]
    assert "node_sign" not in data


@pytest.mark.parametrize("small", ["male-cns-1.0"], indirect=True)
def test_male_cns(small, tmp_path):
    data = graphs.fetch(small, directory=tmp_path)
    # Glia has no superclass, and body 99 is no neuron.
    assert data.names == ["10", "20", "30"]
    assert synapses(data) == {("10", "30"): 5, ("30", "10"): 2}
    assert data.transmitters == ["acetylcholine", "unknown", "glutamate"]
    assert data.node_sign.tolist() == [1, 0, 0]
    assert [data.node_type_names[each] for each in data.node_type] == ["T4a", "unknown", "Mi1"]


def test_changed_columns_are_told(tmp_path, monkeypatch, server):
    files = flywire()
    files["proofread_connections_783.feather"] = feather({"pre": [1], "post": [2]})
    serve("flywire-783", files, monkeypatch, server)
    with pytest.raises(ValueError, match=r"has no column 'pre_pt_root_id', only pre, post; remove"):
        graphs.fetch("flywire-783", directory=tmp_path)


def test_synapses_of_unknown_neurons_are_told(tmp_path, monkeypatch, server):
    files = flywire()
    files["proofread_root_ids_783.npy"] = npy(np.array(IDS[:2], dtype=np.uint64))
    serve("flywire-783", files, monkeypatch, server)
    with pytest.raises(ValueError, match=rf"synapses belong to neurons .* such as {IDS[2]}"):
        graphs.fetch("flywire-783", directory=tmp_path)


def test_archive_without_the_tables_is_told(tmp_path, monkeypatch, server):
    serve(
        "hemibrain-1.2",
        {"exported-traced-adjacencies-v1.2.tar.gz": archive({"traced-neurons.csv": "bodyId\n"})},
        monkeypatch,
        server,
    )
    with pytest.raises(ValueError, match=r"has no traced-total-connections\.csv; remove it"):
        graphs.fetch("hemibrain-1.2", directory=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "flywire"}, ValueError, "name must be .*'flywire-783'"),
        ({"min_synapses": 0}, ValueError, "min_synapses must be"),
        ({"mirror": "example.org"}, ValueError, "mirror must be an address, got 'example.org'"),
        ({"mirror": 3}, TypeError, "mirror must be a str"),
        ({"transmitter_signs": {"ach": 2}}, ValueError, "transmitter_signs must be -1, 0"),
        ({"directory": 3}, TypeError, "directory must be a str"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_asked(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        graphs.fetch(**{"name": "flywire-783", "directory": tmp_path / "new", **arguments})
    assert not (tmp_path / "new").exists()


def test_missing_pyarrow_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pyarrow"):
        graphs.fetch("flywire-783", directory=tmp_path)
