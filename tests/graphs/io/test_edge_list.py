import json
import tracemalloc

import numpy as np
import pytest
import torch

import graphs

HEADER = "source,target,weight\n"

more_columns = pytest.mark.filterwarnings("ignore::graphs.LeftOutWarning")


@pytest.fixture
def load(tmp_path):
    """Write an edge list and read it."""

    def written(text, *, neurons=None, suffix=".csv", **options):
        path = tmp_path / f"edges{suffix}"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        if neurons is not None:
            (tmp_path / "table.csv").write_text(neurons)
            options["neurons"] = tmp_path / "table.csv"
        return graphs.load(path, **options)

    return written


def test_names_are_sorted_whatever_the_order_of_the_rows(load):
    data = load("source,target,weight\nb,a,2\na,c,0.5\n")
    assert data.names == ["a", "b", "c"]
    assert data.edge_index.tolist() == [[1, 0], [0, 2]]
    assert data.edge_weight.tolist() == [2.0, 0.5]
    assert load("source,target,weight\na,c,0.5\nb,a,2\n").edge_index.equal(data.edge_index)


def test_numbers_from_0_are_no_names(load):
    data = load("source,target\n10,2\n" + "".join(f"0,{at}\n" for at in range(11)))
    assert data.num_nodes == 11
    assert "names" not in data
    assert data.edge_index[:, -1].tolist() == [0, 10]
    sparse = load("source,target\n10,2\n720575940596125868,10\n")
    assert sparse.names == ["2", "10", "720575940596125868"]
    assert sparse.edge_index.tolist() == [[1, 2], [0, 1]]


def test_num_nodes_numbers_neurons_and_keeps_those_without_synapses(load):
    data = load("source,target\n5,2\n", num_nodes=9)
    assert data.num_nodes == 9
    assert data.edge_index.tolist() == [[5], [2]]
    assert "names" not in data
    for bad in ("9", "-1", "1.0", "x", "", "1_0", "1 0", "٣", str(10**30)):
        with pytest.raises(
            ValueError, match=r"the target .* must be a neuron in \[0, 9\), .*row 2"
        ):
            load(f"source,target\n5,2\n5,{bad}\n", num_nodes=9)


@pytest.mark.parametrize(
    "header",
    ["pre,post,synapses", "Pre Name,POST_NAME,syn_count", "src,tar,n_syn", "from,to,Weight"],
)
@more_columns
def test_usual_names_of_columns(load, header):
    data = load(f"more,{header}\nx,a,b,3\n")
    assert data.names == ["a", "b"]
    assert data.edge_weight.tolist() == [3.0]


@more_columns
def test_columns_by_choice(load):
    text = "a;b;weight;strength\nx;y;1;2\n"
    chosen = {"source": "b", "target": "a", "weight": "strength"}
    data = load(text, columns=chosen, delimiter=";")
    assert data.edge_index.tolist() == [[1], [0]]
    assert data.edge_weight.tolist() == [2.0]
    assert "edge_weight" not in load(text, columns={**chosen, "weight": None}, delimiter=";")


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        ("", {}, "the edge list must start with a header of 1 to 65536 names, got 0"),
        ("\n", {}, "must start with a header"),
        (
            "a,b\n",
            {},
            r"'source' and a column 'target', got 'a', 'b'; pass columns={'source': 'a', 'targ",
        ),
        ("source;target\n", {}, "delimiter=';' if it separates the values"),
        ("pre,src,post\n", {}, r"one column for the source, got 'pre', 'src'; pass columns={"),
        ("pre,pre,post\n", {}, "one column for the source, got 'pre', 'pre'"),
        (HEADER, {"columns": {"source": "nix"}}, "the column 'nix' for the source, got 'source'"),
        (HEADER, {"columns": {"sauce": "source"}}, "columns must choose .* got 'sauce'"),
        (HEADER, {"neuron_columns": {"name": "x"}}, "pass neurons='neurons.csv' too"),
        (HEADER + "a,b\n", {}, "must have 3 values in each row, as its header has, got 2 in row 1"),
        (HEADER + "a,b,1\na,b,2,3\n", {}, "got 4 in row 2"),
        (HEADER + "a,b,1\na,c,x\n", {}, "weight of the edge list must be a number, got 'x' in row"),
        (HEADER + "a,b,\n", {}, "must be a number, got '' in row 1"),
        (HEADER + "a,b,nan\n", {}, "must be finite in float32, got 'nan' in row 1"),
        (HEADER + "a,c,1\na,b,-inf\n", {}, "must be finite in float32, got '-inf' in row 2"),
        (HEADER + "a,b,1e39\n", {}, "must be finite in float32, got '1e39'"),
        (HEADER + 'a,"b,1\n', {}, "unexpected end of data"),
        (HEADER + 'a,"b"c,1\n', {}, "expected after"),
        (HEADER + "a,b,1\na,b,2\n", {}, r"once, got 'a' -> 'b' again .*pass duplicates='sum'"),
        ("source,target,sign\na,b,2\n", {}, r"edge_sign must be -1, 0 .* or \+1, got 2.0"),
        (
            "source,target,sign\na,b,+\n",
            {},
            "the sign of the edge list must be a number, got '.' in row 1",
        ),
    ],
)
def test_damaged_files(load, text, options, match):
    with pytest.raises(ValueError, match=f"edges.csv' cannot be read as a connectome: .*{match}"):
        load(text, **options)


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"source,target\n\xff,b\n", "utf-8"),
        (b"\x00\x01\x02", "must have a column 'source'"),
        (b"PK\x03\x04\n", "must have a column 'source'"),
        ("source,target\na,b\n".encode("utf-16"), "utf-8"),
    ],
)
def test_no_text(load, raw, match):
    with pytest.raises(ValueError, match=match):
        load(raw)


def test_blank_lines_a_byte_order_mark_and_any_line_ends(load):
    for end in ("\n", "\r\n", "\r"):
        data = load(f"\ufeffsource,target{end}a,b{end}{end}b,a")
        assert data.edge_index.tolist() == [[1, 0], [0, 1]]


def test_types_are_numbers_or_names(load):
    text = "source,target,type\na,b,{}\nb,a,{}\n"
    named = load(text.format("electrical", "chemical"))
    assert named.edge_type_names == ["chemical", "electrical"]
    assert named.edge_type.tolist() == [0, 1]  # b -> a comes first
    numbered = load(text.format(2**63 - 1, 7))
    assert "edge_type_names" not in numbered
    assert numbered.edge_type.tolist() == [7, 2**63 - 1]
    assert load(text.format(2**63, 7)).edge_type_names == ["7", str(2**63)]
    assert load(text.format("01", "1")).edge_type_names == ["01", "1"]


@more_columns
def test_parallel_synapses_are_added_up_on_request(load):
    text = "source,target,n\na,b,1\nb,a,2\na,b,4\n"
    data = load(text, columns={"weight": "n"}, duplicates="sum")
    assert data.edge_weight.tolist() == [2.0, 5.0]
    assert load(text, duplicates="sum").edge_weight.tolist() == [1.0, 2.0]
    typed = "source,target,type\na,b,x\na,b,y\na,b,x\n"
    assert load(typed, duplicates="sum").edge_weight.tolist() == [2.0, 1.0]
    mixed = "source,target,sign\na,b,1\na,b,-1\n"
    with pytest.raises(ValueError, match="must have one sign, got 'a' -> 'b' with both"):
        load(mixed, duplicates="sum")


@more_columns
def test_transmitters_are_signs(load):
    text = "source,target,nt_type\na,b,ACH\nb,a,gaba\n"
    assert load(text).edge_sign.tolist() == [-1, 1]
    assert load(text, transmitter_signs={"Gaba ": 1}).edge_sign.tolist() == [1, 1]
    assert "edge_sign" not in load(text, columns={"transmitter": None})
    both = "source,target,sign,nt_type\na,b,-1,who knows\n"
    assert load(both).edge_sign.tolist() == [-1]


def test_unknown_transmitters_have_the_sign_0(load):
    text = "source,target,transmitter\na,b,Glutamate\nb,a,ACH\nb,c,\nc,a,GLUTAMATE\n"
    with pytest.warns(
        graphs.LeftOutWarning,
        match=r"sign is 0 \(unknown\) for the transmitters 'Glutamate' \(1 rows\), 'GLUTAMATE' "
        r"\(1 rows\), none \(1 rows\), whose weights stay as they are; "
        r"pass transmitter_signs={'Glutamate': ..., "
        r"'GLUTAMATE': ...} with .*, "
        r"columns={'transmitter': None}",
    ):
        assert load(text).edge_sign.tolist() == [1, 0, 0, 0]
    with pytest.warns(
        graphs.LeftOutWarning, match=r"for the transmitters none \(1 rows\), whose .*; leave"
    ):
        data = load(text, transmitter_signs={"glutamate": -1})
    assert data.edge_sign.tolist() == [1, -1, -1, 0]
    assert load(text, transmitter_signs={"glutamate": 0, "": 1}).edge_sign.tolist() == [1, 0, 0, 1]
    with pytest.warns(graphs.LeftOutWarning, match="no row has 'glutamat' of transmitter_signs"):
        load(text, transmitter_signs={"glutamat": -1})
    with pytest.raises(
        ValueError, match="transmitter_signs must be -1, 0 .* or 1, got 2 of type int for 'Glu'"
    ):
        load(text, transmitter_signs={"Glu": 2})
    many = "source,target,transmitter\n" + "".join(f"a,{at},t{at}\n" for at in range(99))
    with pytest.warns(graphs.LeftOutWarning, match=r"'t9' \(1 rows\) and more, whose .*; pass"):
        load(many)


@more_columns
def test_a_table_of_neurons(load):
    data = load(
        "pre,post\nb,a\n",
        neurons="name,cell_type,x,y,neurotransmitter,note\n"
        "a,motor,0.5,1,GABA,\nb,sensory,1,2,ACh,x\nc,motor,3,4,gaba,y\n",
    )
    assert data.names == ["a", "b", "c"]
    assert data.edge_index.tolist() == [[1], [0]]
    assert data.node_type_names == ["motor", "sensory"]
    assert data.node_type.tolist() == [0, 1, 0]
    assert data.pos.tolist() == [[0.5, 1], [1, 2], [3, 4]]
    assert data.node_sign.tolist() == [-1, 1, -1]


@more_columns
def test_neurons_may_have_a_number_and_a_name(load):
    table = "root_id,name\n77,a\n11,a\n"
    data = load("pre,post\n77,11\n", neurons=table)
    assert data.names == ["a", "a"]
    assert data.edge_index.tolist() == [[0], [1]]
    counted = load("pre,post\n1,0\n", neurons="node,type\n0,K\n1,K\n2,O\n")
    assert "names" not in counted
    assert counted.num_nodes == 3
    assert load("pre,post\n7,3\n", neurons="id\n7\n3\n").names == ["7", "3"]
    # A table of cell types lists them as its neurons.
    kinds = load("pre,post\nR1,L1\n", neurons="cell_type,input\nL1,no\nR1,yes\n")
    assert kinds.names == ["L1", "R1"]
    assert "node_type" not in kinds


@pytest.mark.parametrize(
    ("table", "options", "match"),
    [
        (
            "x,y\n1,2\n",
            {},
            r"must have a column 'name', got 'x', 'y'; pass neuron_columns={'name':",
        ),
        ("name\na\nb\na\n", {}, "name of the table of neurons must differ in each row, got 'a' ag"),
        (
            "name\na\n",
            {},
            "target of the edge list must be in the table .*got 'b' in row 1; add it",
        ),
        ("name,x\na,\nb,1\n", {}, "x of the table of neurons must be a number, got ''"),
        ("name,class,type2\na,b,c\n", {"num_nodes": 2}, "neurons= or num_nodes=, not both"),
        ("name,class,cell_type\n", {}, "one column for the type, got 'class', 'cell_type'"),
        ("", {}, "the table of neurons must start with a header"),
    ],
)
def test_damaged_tables_of_neurons(load, table, options, match):
    with pytest.raises(ValueError, match=match):
        load("source,target\na,b\n", neurons=table, **options)


def test_a_table_that_is_not_there(tmp_path):
    (tmp_path / "edges.csv").write_text("source,target\na,b\n")
    with pytest.raises(FileNotFoundError, match=r"nix.csv"):
        graphs.load(tmp_path / "edges.csv", neurons=str(tmp_path / "nix.csv"))


def test_the_table_beside_an_edge_list_is_read(load, tmp_path):
    (tmp_path / "edges.neurons.csv").write_text("name\nc\nb\na\n")
    assert load("source,target\na,b\n").names == ["c", "b", "a"]
    # Not where the caller tells the neurons.
    assert load("source,target\n0,1\n", num_nodes=2).num_nodes == 2


def test_what_is_written(tmp_path, full):
    path = tmp_path / "a.tsv"
    full.edge_type = torch.tensor([0, 2, 1, 1])
    full.edge_type_names = ["chemical", "electrical", "x"]
    graphs.save(full, path)
    rows = path.read_text("utf-8").splitlines()
    assert rows[0] == "source\ttarget\tweight\ttype\tsign"
    assert rows[2] == "a\tβ\t-1.0\tx\t-1"
    table = (tmp_path / "a.neurons.tsv").read_text("utf-8").splitlines()
    assert table[:2] == ["name\ttype\tx\ty\tsign", "a\tpyramidal\t0.1\t2.0\t1"]
    stated = json.loads((tmp_path / "a.tsv.json").read_text())
    assert (stated["num_nodes"], stated["num_edges"], stated["shape"]) == (5, 4, [5, 1])


def test_floats_are_short_and_exact(tmp_path):
    data = graphs.from_edges(np.zeros(10**4, int), np.arange(10**4), num_nodes=10**4)
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 10**4, dtype=np.uint32)
    weight = bits.view(np.float32).copy()
    weight[~np.isfinite(weight)] = -0.0
    weight[:3] = 0.1, 1e-45, 3.4028235e38
    data.edge_weight = torch.from_numpy(weight)
    path = tmp_path / "a.csv"
    graphs.save(data, path)
    assert path.read_text().splitlines()[1:4] == ["0,0,0.1", "0,1,1e-45", "0,2,3.4028235e+38"]
    loaded = graphs.load(path).edge_weight
    assert loaded.numpy().tobytes() == weight.tobytes()


@pytest.mark.parametrize("names", [["a", "a"], ["1", "0"], ["0", "1"], ["", "\ud800"]])
def test_odd_names(tmp_path, assert_same, names):
    data = graphs.from_edges([0, 1], [1, 1], num_nodes=2)
    data.names = names
    graphs.save(data, tmp_path / "a.csv")
    assert_same(graphs.load(tmp_path / "a.csv"), data)


def test_a_name_that_csv_cannot_read_again(tmp_path):
    data = graphs.from_edges([0], [0], num_nodes=1)
    data.names = ["x" * 200_000]
    with pytest.raises(ValueError, match=r"names must have at most 131072 .* save it to an .npz"):
        graphs.save(data, tmp_path / "a.csv")


@pytest.mark.parametrize(
    "raw",
    [
        b"source,target\n" + b"x" * 10**7,
        b"source,target\n" + b"x," * (5 * 10**6),
        b"x," * (5 * 10**6),
        b'source,target\n"' + b"x\n" * (5 * 10**6),
        b"source,target\n" + b'"\n",' * (2 * 10**6),
    ],
)
def test_a_row_without_end_takes_little_memory(tmp_path, raw):
    path = tmp_path / "a.csv"
    path.write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 1048576 characters|field larger than"):
        graphs.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Of 2^20 characters in rows of two each, a list has 56 MiB at most.
    assert peak < 100 * 2**20


def test_memory_follows_the_file_not_the_numbers_in_it(load):
    tracemalloc.start()
    data = load(f"source,target\n{10**18},{10**30}\n")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert data.names == [str(10**18), str(10**30)]
    assert peak < 2**20


def test_large_parts_are_refused_before_they_are_read(tmp_path, full):
    path = tmp_path / "a.csv"
    graphs.save(full, path)
    for part, what in (
        ("a.neurons.csv", "the table of neurons has"),
        ("a.csv.json", "'a.csv.json'"),
    ):
        graphs.save(full, path)
        with (tmp_path / part).open("ab") as file:
            file.truncate(10**6)
        with pytest.raises(ValueError, match=f"{what}.* 1000000 bytes, more than max_bytes=10000"):
            graphs.load(path, max_bytes=10_000)


def test_columns_without_a_role_are_told_unless_they_are_declined(load):
    text = "pre,post,du,transmitter\na,b,3,GABA\n"
    with pytest.warns(graphs.LeftOutWarning, match="column 'du' of the edge list: a") as told:
        load(text)
    assert len(told) == 1
    with pytest.warns(graphs.LeftOutWarning, match="without the column 'du' of the edge list:"):
        assert "edge_sign" not in load(text, columns={"transmitter": None})
    load(text.replace(",du", "").replace(",3", ""), columns={"transmitter": None})


def test_a_table_without_a_header_loses_no_row(load):
    for options in ({}, {"columns": {"source": "0", "target": "1"}}):
        with pytest.raises(ValueError, match="a row of numbers; add a first line such as"):
            load("0,1\n1,2\n2,3\n", **options)


def test_one_column_is_not_both_ends(load):
    with pytest.raises(ValueError, match="must be two columns, got 'a' for both"):
        load("a,b\nx,y\n", columns={"source": "a", "target": "a"})
