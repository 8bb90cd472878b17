import json
import os
import threading

import pytest
import torch

import graphs
from graphs.io.files import files_of

PARTS = ["a.csv", "a.neurons.csv", "a.csv.json"]
# In the order in which they are replaced.
REPLACED = ["a.csv.json", "a.neurons.csv", "a.csv"]


def as_first_version(path):
    """Make the header of a saved edge list what it was before it had checksums."""
    header = path.with_name(f"{path.name}.json")
    told = json.loads(header.read_text())
    del told["version"], told["sha256"]
    header.write_text(json.dumps(told) + "\n")


def twins():
    """Two connectomes whose files have the same rows and differ in every field."""
    found = []
    for seed in range(2):
        data = graphs.layered([40, 40])
        torch.manual_seed(seed)
        data.edge_weight = torch.rand(data.num_edges)
        data.edge_sign = 1.0 - 2.0 * torch.randint(2, (data.num_edges,))
        data.pos = torch.rand(80, 3)
        data.node_sign = 1.0 - 2.0 * torch.randint(2, (80,))
        data.names = [f"{at + seed}" for at in range(80)]
        found.append(graphs.validate(data))
    return found


def same(one, other):
    return all(
        torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        for name, value in one.to_dict().items()
    )


def test_what_is_stated(tmp_path, full):
    graphs.save(full, tmp_path / "a.csv")
    told = json.loads((tmp_path / "a.csv.json").read_text())
    assert told["version"] == 2
    assert (told["num_nodes"], told["num_edges"], told["shape"]) == (5, 4, [5, 1])
    assert set(told["sha256"]) == {"edges", "neurons", "header"}


@pytest.mark.parametrize("part", PARTS)
def test_wherever_a_part_is_cut_it_is_refused(tmp_path, full, part):
    graphs.save(full, tmp_path / "a.csv")
    raw = (tmp_path / part).read_bytes()
    whole = len(raw.rstrip()) if part.endswith("json") else len(raw)
    for length in {*range(0, whole, 7), whole - 2, whole - 1}:
        (tmp_path / part).write_bytes(raw[:length])
        with pytest.raises(ValueError, match="cannot be read as a connectome"):
            graphs.load(tmp_path / "a.csv")


@pytest.mark.parametrize("part", PARTS)
def test_files_of_the_first_version_have_no_checksums(tmp_path, full, assert_same, part):
    path = tmp_path / "a.csv"
    graphs.save(full, path)
    expected = graphs.load(path)
    as_first_version(path)
    assert_same(graphs.load(path), expected)
    raw = (tmp_path / part).read_bytes()
    for length in range(0, len(raw.rstrip()), 7):
        (tmp_path / part).write_bytes(raw[:length])
        with pytest.raises(ValueError, match="cannot be read as a connectome"):
            graphs.load(path)


@pytest.mark.parametrize(
    ("part", "what"), [("a.csv", "the edge list"), ("a.neurons.csv", "the table of neurons")]
)
def test_an_edited_table_is_refused_until_its_header_is_deleted(tmp_path, full, part, what):
    path = tmp_path / "a.csv"
    full.edge_type = torch.tensor([0, 2, 1, 1])
    graphs.save(full, path)
    table = tmp_path / part
    table.write_bytes(table.read_bytes().replace("β".encode(), "ω".encode()))
    with pytest.raises(
        ValueError,
        match=f"{what} is not the one that 'a.csv.json' was saved with: its checksum differs; "
        f"save the connectome again, .*if you have edited {what}, delete 'a.csv.json'",
    ):
        graphs.load(path)
    for each in PARTS[:2]:
        file = tmp_path / each
        file.write_bytes(file.read_bytes().replace("β".encode(), "ω".encode()))
    (tmp_path / "a.csv.json").unlink()
    # Another program's: blanks do not belong to the names.
    assert graphs.load(path).names == ["a", "ω", "<&>", "c", "神経"]


def test_parts_that_are_missing(tmp_path, full):
    path = tmp_path / "a.csv"
    graphs.save(full, path)
    rows = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(rows[:-1]), "utf-8")
    as_first_version(path)
    with pytest.raises(
        ValueError, match=r"is not whole: expected 4 rows .* got 3 .*delete the .js"
    ):
        graphs.load(path)
    (tmp_path / "a.csv.json").unlink()
    assert graphs.load(path).num_edges == 3
    graphs.save(full, path)
    (tmp_path / "a.neurons.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"a.neurons.csv"):
        graphs.load(path)


@pytest.mark.parametrize(
    "stated",
    [
        "",
        "[]",
        "{}",
        '{"num_nodes": 5}',
        '{"num_nodes": 5.0, "num_edges": 4}',
        '{"num_nodes": true, "num_edges": 4}',
        '{"num_nodes": 5, "num_edges": 4, "shape": 5}',
        '{"num_nodes": 5, "num_edges": 4, "shape": [[5]]}',
        '{"num_nodes": 5, "num_edges": 4, "node_type_names": [["a"]]}',
        '{"num_nodes": 5, "num_edges": 4, "version": 2}',
        '{"num_nodes": 5, "num_edges": 4, "version": 2, "sha256": {}}',
        '{"num_nodes": 5, "num_edges": 4, "version": 2, "sha256": []}',
        '{"num_nodes": 5, "num_edges": 4, "sha256": {"edges": "", "neurons": "", "header": ""}}',
        '{"num_nodes": 5, "num_edges": 4, "versiom": 2}',
        "[" * 10**5,
    ],
)
def test_damaged_statements(tmp_path, full, stated):
    path = tmp_path / "a.csv"
    graphs.save(full, path)
    (tmp_path / "a.csv.json").write_text(stated)
    with pytest.raises(ValueError, match="'a.csv.json', which belongs to it, is dama|recursion"):
        graphs.load(path)


def test_no_checksum_can_be_left_out_and_nothing_changed(tmp_path, full):
    path = tmp_path / "a.csv"
    graphs.save(full, path)
    header = tmp_path / "a.csv.json"
    whole = json.loads(header.read_text())
    changed = [{**whole, "shape": [1, 5]}, {**whole, "node_type_names": ["a", "b"]}]
    changed += [{key: whole[key] for key in whole if key != left} for left in whole]
    for left in whole["sha256"]:
        kept = {key: value for key, value in whole["sha256"].items() if key != left}
        changed.append({**whole, "sha256": kept})
    for told in changed:
        header.write_text(json.dumps(told))
        with pytest.raises(ValueError, match="'a.csv.json', which belongs to it, is damaged"):
            graphs.load(path)
    header.write_text(json.dumps(whole, indent=4))
    assert graphs.load(path).shape == (5, 1)


def test_a_header_of_a_later_version(tmp_path, full):
    graphs.save(full, tmp_path / "a.csv")
    header = tmp_path / "a.csv.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "version": 3}))
    with pytest.raises(ValueError, match="has version 3, but this program reads up to 2; upda"):
        graphs.load(tmp_path / "a.csv")


def test_a_type_that_is_not_stated(tmp_path):
    data = graphs.layered([1, 2])
    path = tmp_path / "a.csv"
    graphs.save(data, path)
    as_first_version(path)
    table = tmp_path / "a.neurons.csv"
    table.write_text(table.read_text().replace("layer 1", "layer 2"))
    with pytest.raises(ValueError, match="the type of the table of neurons must be one of"):
        graphs.load(path)


@pytest.mark.parametrize("replaced", range(4))
def test_a_save_that_is_killed_leaves_one_of_both_or_an_error(tmp_path, monkeypatch, replaced):
    old, new = twins()
    path = tmp_path / "a.csv"
    graphs.save(old, path)
    before = {part: (tmp_path / part).read_bytes() for part in PARTS}
    done = []
    move = os.replace

    def killed(source, target, **options):
        if len(done) == replaced:
            raise KeyboardInterrupt
        move(source, target, **options)
        done.append(os.path.basename(target))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        patch.setattr(os, "rename", killed)
        if replaced < 3:
            with pytest.raises(KeyboardInterrupt):
                graphs.save(new, path)
        else:
            graphs.save(new, path)
    assert done == REPLACED[:replaced]
    assert sorted(tmp_path.iterdir()) == sorted(files_of(path))
    assert {part for part in PARTS if (tmp_path / part).read_bytes() != before[part]} == set(done)
    if replaced in (0, 3):
        assert same((old, new)[replaced // 3], graphs.load(path))
        return
    with pytest.raises(ValueError, match="is not the one that 'a.csv.json' was saved with"):
        graphs.load(path)
    graphs.save(new, path)
    assert same(new, graphs.load(path))


def test_a_table_of_neurons_never_joins_an_edge_list_of_another_program(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("source,target\n1,0\n")
    data = graphs.from_edges([0], [1], num_nodes=2)
    data.names = ["0", "1"]
    graphs.save(data, tmp_path / "b.csv")
    # As they lie between two renames of the first save onto it.
    (tmp_path / "b.csv.json").replace(tmp_path / "a.csv.json")
    with pytest.raises(FileNotFoundError, match=r"a\.neurons\.csv"):
        graphs.load(path)
    (tmp_path / "b.neurons.csv").replace(tmp_path / "a.neurons.csv")
    with pytest.raises(ValueError, match="the edge list is not the one that 'a.csv.json'"):
        graphs.load(path)


def test_a_reader_during_saves_gets_one_of_both_or_an_error(tmp_path):
    both = twins()
    path = tmp_path / "a.csv"
    graphs.save(both[0], path)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for data in both:
                graphs.save(data, path)

    writer = threading.Thread(target=write)
    writer.start()
    got, refused = [], []
    try:
        for _ in range(200):
            try:
                loaded = graphs.load(path)
            except ValueError as error:
                refused.append(str(error))
            else:
                got.append([same(data, loaded) for data in both])
    finally:
        stop.set()
        writer.join()
    assert all("is not the one that 'a.csv.json' was saved with" in told for told in refused)
    assert all(sum(found) == 1 for found in got)
    assert len(got) > 100
    assert any(found[0] for found in got)
    assert any(found[1] for found in got)
