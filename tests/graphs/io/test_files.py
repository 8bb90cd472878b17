import contextlib
import copy
import json
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs
from graphs.io.files import files_of
from graphs.io.formats import FORMATS as ALL_FORMATS
from graphs.io.formats import READ
from graphs.io.formats import SAVED as FORMATS


@pytest.mark.parametrize("suffix", [*FORMATS, ".NPZ", ".GraphML"])
@pytest.mark.parametrize("kind", [str, "path"])
def test_what_is_saved_is_loaded(tmp_path, full, assert_same, suffix, kind):
    path = tmp_path / f"a b:c,d=e{suffix}"
    path = str(path) if kind is str else path
    assert graphs.save(full, path) is None
    loaded = graphs.load(path)
    assert sorted(tmp_path.iterdir()) == sorted(files_of(path))
    for name in ("pos", "names", "node_type_names", "shape", "num_nodes", "node_sign"):
        if isinstance(full[name], torch.Tensor):
            assert torch.equal(loaded[name], full[name])
        else:
            assert loaded[name] == full[name]
    assert sorted(zip(*loaded.edge_index.tolist(), loaded.edge_weight.tolist(), strict=True)) == (
        sorted(zip(*full.edge_index.tolist(), full.edge_weight.tolist(), strict=True))
    )


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "data",
    [
        graphs.grid_local((4, 5), 1.5),
        graphs.grid_local((1, 1), 1, self_loops=False),
        graphs.coordinate_random(20, (3, 2, 1), 1.0, seed=0),
        graphs.small_world(20, 4, 0.2, seed=0),
        graphs.layered([3, 1, 2]),
        Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=3),
        Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=0),
    ],
)
def test_round_trip_of_generators(tmp_path, assert_same, data, suffix):
    path = tmp_path / f"connectome{suffix}"
    graphs.save(data, path)
    loaded = graphs.load(path)
    assert_same(loaded, data)


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=120, deadline=None)
@given(drawn=st.data())
def test_round_trip_loses_nothing(tmp_path_factory, connectomes, assert_same, suffix, drawn):
    data = drawn.draw(connectomes())
    path = tmp_path_factory.mktemp("files") / f"connectome{suffix}"
    graphs.save(data, path)
    assert_same(graphs.load(path), data)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_connectome_is_the_same_file(tmp_path, full, suffix):
    one, other = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
    graphs.save(full, one)
    graphs.save(copy.deepcopy(full), other)
    for file, twin in zip(files_of(one), files_of(other), strict=True):
        assert file.read_bytes() == twin.read_bytes()


@pytest.mark.parametrize("suffix", FORMATS)
def test_only_the_contract_is_kept_and_nothing_is_changed(tmp_path, full, assert_same, suffix):
    given = copy.deepcopy(full)
    given.edge_weight.requires_grad_()
    given.x = torch.ones(5, 2)
    before = copy.deepcopy(given)
    given.transmitters = before.transmitters = ["GABA"] * 5
    told = f"'a{suffix}' is written without transmitters, x: .* del data.transmitters; del data.x"
    with pytest.warns(UserWarning, match=told):
        graphs.save(given, tmp_path / f"a{suffix}")
    assert_same(given, before)
    assert not {"x", "transmitters"} & set(graphs.load(tmp_path / f"a{suffix}").keys())


@pytest.mark.parametrize("call", [lambda path: graphs.save(Data(), path), graphs.load])
@pytest.mark.parametrize("name", ["a.foo", "a", "", ".npz", "a.npz.gz", "npz"])
def test_an_unknown_suffix(call, name):
    match = rf"must end in .npz, .csv, .*, .pt.* got {name!r}; pass"
    with pytest.raises(ValueError, match=match if name else r"got ''|got '.'"):
        call(name)


@pytest.mark.parametrize("suffix", READ)
def test_a_format_that_is_only_read(tmp_path, suffix):
    with pytest.raises(ValueError, match=r".gexf, .pt or .h5, got '.*'; pass for example"):
        graphs.save(graphs.layered([1, 2]), tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("a.xlsx", r"call graphs.from_dataframe\(pandas.read_excel\(path\)\)"),
        ("a.pkl", "pickle.load.*which can execute anything in the file"),
        ("a.json", "networkx.node_link_graph"),
        ("a.zip", "graphs.load with the unpacked file"),
        ("a.edges", "graphs.load with a copy that ends in .txt"),
        ("a.hdf5", "a copy that ends in .h5 if it is SONATA"),
    ],
)
def test_a_suffix_that_is_refused_names_the_call_that_works(name, match):
    with pytest.raises(ValueError, match=match):
        graphs.load(name)


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_not_there(tmp_path, full, suffix):
    with pytest.raises(FileNotFoundError, match=r"nix\..*does not exist; pass the path"):
        graphs.load(tmp_path / f"nix{suffix}")
    with pytest.raises(FileNotFoundError, match=r"the folder of '.*' does not exist; call path"):
        graphs.save(full, tmp_path / "nix" / f"a{suffix}")
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match="is a folder; pass"):
        graphs.load(folder)
    with pytest.raises(IsADirectoryError, match="is a folder; pass"):
        graphs.save(full, folder)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_broken_connectome_is_not_saved(tmp_path, full, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    before = [file.read_bytes() for file in files_of(path)]
    full.edge_weight[0] = torch.nan
    with pytest.raises(ValueError, match="edge_weight must be finite"):
        graphs.save(full, path)
    with pytest.raises(TypeError, match="expected a torch_geometric"):
        graphs.save({"edge_index": []}, path)
    assert [file.read_bytes() for file in files_of(path)] == before
    assert sorted(tmp_path.iterdir()) == sorted(files_of(path))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_beyond_the_limit(tmp_path, full, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    with pytest.raises(ValueError, match=r"cannot be read .*more than max_bytes=100; if you trust"):
        graphs.load(path, max_bytes=100)
    with pytest.raises(ValueError, match="max_bytes must be an integer >= 1, got 0"):
        graphs.load(path, max_bytes=0)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file(tmp_path, full, suffix, share):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    raw = path.read_bytes()
    # The last byte of the XML is not needed.
    path.write_bytes(raw[: min(int(share * len(raw)), len(raw.rstrip()) - 1)])
    with pytest.raises(ValueError, match=rf"^{re.escape(repr(str(path)))} cannot be read as"):
        graphs.load(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_flipped_bit_never_gives_another_connectome(tmp_path, full, assert_same, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    expected = graphs.load(path)
    for file in files_of(path):
        raw = file.read_bytes()
        # Each part at about 70 places, and at the last bytes, where archives and checksums end.
        places = {*range(3, len(raw), max(1, len(raw) // 70)), *range(len(raw) - 9, len(raw))}
        for turn, at in enumerate(sorted(places)):
            changed = bytearray(raw)
            changed[at] ^= 1 << turn % 8
            file.write_bytes(changed)
            with contextlib.suppress(ValueError):
                assert_same(graphs.load(path), expected)
        file.write_bytes(raw)
    assert_same(graphs.load(path), expected)


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_without_a_checksum_are_read(tmp_path, full, assert_same, suffix):
    """As earlier versions wrote them, and other programs do."""
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    expected = graphs.load(path)
    header = tmp_path / f"{path.name}.json"
    if header.exists():
        told = json.loads(header.read_text())
        del told["version"], told["sha256"]
        header.write_text(json.dumps(told))
    else:
        raw = path.read_bytes()
        path.write_bytes(raw[: raw.rindex(b"<!-- sha256 ")])
    assert_same(graphs.load(path), expected)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_symbolic_link_is_written_through(tmp_path, full, assert_same, suffix):
    (tmp_path / "store").mkdir()
    (tmp_path / "here").mkdir()
    target, link = tmp_path / "store" / f"b{suffix}", tmp_path / "here" / f"a{suffix}"
    link.symlink_to(target)
    graphs.save(graphs.layered([1, 2]), link)
    graphs.save(full, link)
    assert link.is_symlink()
    assert sorted((tmp_path / "here").iterdir()) == [link]
    assert sorted((tmp_path / "store").iterdir()) == sorted(files_of(target))
    assert_same(graphs.load(link), graphs.load(target))
    assert graphs.load(link).names == full.names
    target.unlink()
    target.parent.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match="the folder of .* does not exist; call path"):
        graphs.save(full, link)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_every_part_may_be_a_link_of_its_own(tmp_path, full, assert_same, suffix):
    (tmp_path / "store").mkdir()
    path = tmp_path / f"a{suffix}"
    graphs.save(graphs.layered([1, 2]), path)
    parts = files_of(path)
    for number, part in enumerate(parts):
        part.rename(tmp_path / "store" / str(number))
        part.symlink_to(tmp_path / "store" / str(number))
    assert graphs.load(path).num_nodes == 3
    graphs.save(full, path)
    assert all(part.is_symlink() for part in parts)
    assert len(list((tmp_path / "store").iterdir())) == 3
    assert graphs.load(path).names == full.names


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_option_that_the_format_does_not_take(tmp_path, full, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    known = "".join(f", {name}" for name in FORMATS[suffix].options)
    with pytest.raises(
        TypeError, match=f"{suffix} file takes the options max_bytes{known}, got 'x'"
    ):
        graphs.load(path, x=1)


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != ".pt"])
def test_all_that_may_repeat_synapses_take_duplicates(tmp_path, full, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    assert graphs.load(path, duplicates="sum").num_edges == 4
    with pytest.raises(ValueError, match="duplicates must be one of .*'error', 'sum'.*'add'"):
        graphs.load(path, duplicates="add")


def test_every_option_is_documented():
    for kept in ALL_FORMATS.values():
        assert all(name in graphs.load.__doc__ for name in kept.options)
    for suffix in ALL_FORMATS:
        assert f"``{suffix.removesuffix('.gz')}``" in graphs.load.__doc__
    for suffix in FORMATS:
        assert f"``{suffix}``" in graphs.save.__doc__
