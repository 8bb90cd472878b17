import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import pytest
import torch
from torch_geometric.data import Batch, Data, HeteroData

import graphs
from graphs.io.pt import _OWN as OWN


@pytest.fixture
def path(tmp_path):
    return tmp_path / "connectome.pt"


def test_what_is_written_is_a_data(path, full, assert_same):
    graphs.save(full, path)
    with torch.serialization.safe_globals(list(OWN)):
        assert_same(torch.load(path, weights_only=True), full)


def test_any_data_of_torch_save(path):
    data = Data(edge_index=torch.tensor([[1, 0], [0, 2]]), num_nodes=3)
    data.x, data.y = torch.randn(3, 2), torch.tensor([1])
    data.train_mask = torch.tensor([True, False, True])
    data.half = torch.ones(2, dtype=torch.float16)
    data.note, data.count = "text", 5
    torch.save(data, path)
    loaded = graphs.load(path)
    assert set(loaded.keys()) == set(data.keys())
    for name in ("x", "y", "train_mask", "half", "edge_index"):
        assert torch.equal(loaded[name], data[name])
    assert (loaded.note, loaded.count) == ("text", 5)
    # The order of synapses is that of the file.
    assert loaded.edge_index.tolist() == [[1, 0], [0, 2]]


def test_a_view_is_saved_without_what_lies_around_it(path):
    data = graphs.from_edges([0], [0], num_nodes=1)
    data.edge_weight = torch.zeros(10**6)[5:6]
    graphs.save(data, path)
    assert path.stat().st_size < 10_000


class Trap:
    """Would write a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def archive(path, pickled, records=(), **more):
    """An archive as torch.save writes it, around any pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/version", "3\n")
        file.writestr("archive/byteorder", "little")
        for number, record in enumerate(records):
            file.writestr(f"archive/data/{number}", record, **more)


@pytest.mark.parametrize("place", ["alone", "field", "state"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_executed(path, tmp_path, place, protocol):
    trap = Trap(tmp_path / "sprung")
    data = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=0)
    if place == "field":
        data.names = [trap]
    elif place == "state":
        data.__dict__["trap"] = trap
    torch.save(trap if place == "alone" else data, path, pickle_protocol=protocol)
    with pytest.raises(ValueError, match=r"got .*, which is not executed; write it wi|not exec"):
        graphs.load(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("old", ["legacy", "bare"])
def test_old_formats_are_refused_unread(path, tmp_path, old):
    trap = Trap(tmp_path / "sprung")
    if old == "legacy":
        torch.save(trap, path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps(trap))
    with pytest.raises(ValueError, match="File is not a zip file"):
        graphs.load(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("saved", "match"),
    [
        (
            {"edge_index": torch.zeros(2, 0).long()},
            "expected a torch_geometric.data.Data, got dict",
        ),
        (torch.zeros(2, 0), "expected a torch_geometric.data.Data, got Tensor"),
        (HeteroData(), "HeteroData, which is not executed"),
        (Batch.from_data_list([graphs.layered([1, 1])]), "which is not executed"),
        ([graphs.layered([1, 1]), graphs.layered([1, 1])], "expected one Data, got more objects"),
        (bytearray(10), "bytearray, which is not executed"),
        (torch.nn.Parameter(torch.ones(1)), "_rebuild_parameter, which is not executed"),
        (torch.eye(2).to_sparse(), "which is not executed"),
        (Data(edge_index=torch.zeros(2, 1).long()), "num_nodes is missing"),
        (Data(edge_index=torch.ones(2, 1).long(), num_nodes=1), "got the synapse 1 -> 1"),
        (Data(edge_index=torch.zeros(2, 0).long(), num_nodes=10**12), "1000000000000 neurons take"),
        (Data(edge_index=torch.zeros(2, 0).long(), num_nodes=-1), "num_nodes must be >= 0"),
        (
            Data(edge_index=torch.zeros(1).long().expand(2, 10**12), num_nodes=1),
            "edge_index takes 16000000000000 bytes, more than max_bytes",
        ),
        (
            Data(edge_index=torch.zeros(2, 0).long(), num_nodes=0, y=torch.ones(1).expand(10**12)),
            "y takes 4000000000000 bytes",
        ),
        (Data(edge_index=torch.zeros(2, 0).long(), num_nodes=0, shape=[0] * 99), "64 sides"),
    ],
)
def test_other_things(path, saved, match):
    torch.save(saved, path)
    with pytest.raises(
        ValueError, match=f"connectome.pt' cannot be read as a connectome: .*{match}"
    ):
        graphs.load(path)


def test_a_list_that_holds_itself(path):
    cyclic = []
    cyclic.append(cyclic)
    data = Data(edge_index=torch.zeros(2, 0).long(), num_nodes=0, names=cyclic)
    torch.save(data, path)
    with pytest.raises(ValueError, match="names must be a list of str"):
        graphs.load(path)


@pytest.mark.parametrize("name", ["clone", "_store", "__class__", "to_dict", "a b", ""])
def test_fields_that_would_replace_methods(path, name):
    data = Data(edge_index=torch.zeros(2, 0).long(), num_nodes=0)
    data._store._mapping[name] = "x"
    torch.save(data, path)
    with pytest.raises(ValueError, match="expected the name of a field, got"):
        graphs.load(path)


def test_a_data_without_its_store(path):
    data = Data(edge_index=torch.zeros(2, 0).long(), num_nodes=0)
    data.__dict__["_store"] = {"edge_index": 1}
    torch.save(data, path)
    with pytest.raises(ValueError, match="expected a Data with its fields in one store"):
        graphs.load(path)


def test_copies_over_and_over(path):
    """OrderedDict(large) a thousand times."""
    large = b"}(" + b"".join(b"K" + bytes([at]) + b"N" for at in range(256)) + b"u"
    calls = b"ccollections\nOrderedDict\nq\x01h\x00\x85R0" * 1000
    archive(path, b"\x80\x02" + large + b"q\x00" + calls + b"h\x00.")
    with pytest.raises(ValueError, match="got another call"):
        graphs.load(path)


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"\x80\x02.",
        b"\x80\x02N",
        b"\x80\x02\xffN.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x80\x02r\xff\xff\xff\x7f.",
        b"\x80\x02h\x07.",
        b"\x80\x02" + b"(" * 10**5 + b".",
        b"\x80\x02" + b"]" + b"]a" * 10**5 + b".",
        b"\x80\x02\x8a\xff" + b"\xff" * 255 + b".",
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.",
        b"\x80\x02\x82\x01.",
        b"(S'x'\nios\nsystem\n.",
    ],
)
def test_damaged_pickles(path, pickled):
    archive(path, pickled)
    with pytest.raises(ValueError, match="cannot be read as a connectome: ."):
        graphs.load(path)


def test_storages_that_are_shorter_than_they_say(path, full):
    graphs.save(full, path)
    with zipfile.ZipFile(path) as file:
        folder = file.namelist()[0].partition("/")[0]
        pickled = file.read(f"{folder}/data.pkl")
    records = [bytes(8)] * 8
    archive(path, pickled, records)
    with pytest.raises(ValueError, match="cannot be read"):
        graphs.load(path)


def test_archives_that_torch_does_not_write(path, full):
    graphs.save(full, path)
    good = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(good)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, raw in parts.items():
            file.writestr(name, raw)
    with pytest.raises(ValueError, match="expected an archive of torch.save"):
        graphs.load(path)
    with zipfile.ZipFile(path, "w") as file:
        for name, raw in parts.items():
            file.writestr(name, raw)
        file.writestr("other/data.pkl", b"N.")
    with pytest.raises(ValueError, match="expected an archive of torch.save"):
        graphs.load(path)
    # What is no part of a Data is not looked at, TorchScript's code neither.
    with zipfile.ZipFile(path, "w") as file:
        for name, raw in parts.items():
            file.writestr(name, raw)
        file.writestr("archive/constants.pkl", b"N.")
        file.writestr("archive/code/x.py", b"N.")
    assert graphs.load(path).num_nodes == 5


def test_a_member_that_claims_to_be_huge(path, full):
    graphs.save(full, path)
    raw = bytearray(path.read_bytes())
    del raw[raw.rindex(b"<!-- sha256 ") :]
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 24 : at + 28] = struct.pack("<I", 2**31)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"it unpacks to \d+ bytes, more than max_bytes"):
        graphs.load(path)


def test_ordered_dicts_are_not_built_from_what_is_read(path):
    torch.save(OrderedDict({"a": 1}), path)
    with pytest.raises(ValueError, match="expected a torch_geometric.data.Data|another call"):
        graphs.load(path)
