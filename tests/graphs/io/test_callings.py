"""How tables of other programs call neurons."""

import re

import numpy as np
import pytest

import graphs


@pytest.fixture
def load(tmp_path):
    """Write an edge list, and maybe a table of neurons, and read them."""

    def written(text, *, neurons=None, suffix=".csv", **options):
        path = tmp_path / f"edges{suffix}"
        path.write_bytes(text.encode())
        if neurons is not None:
            (tmp_path / "table.csv").write_text(neurons)
            options["neurons"] = tmp_path / "table.csv"
        return graphs.load(path, **options)

    return written


def test_blanks_around_names_are_no_part_of_them(load):
    data = load("pre , post,weight , type\nI1L , I2L ,10,chemical \n I2L,I1L , 3 ,\tchemical\n")
    assert data.names == ["I1L", "I2L"]
    assert data.edge_index.tolist() == [[1, 0], [0, 1]]
    assert data.edge_weight.tolist() == [3, 10]
    assert data.edge_type_names == ["chemical"]
    assert load("pre\tpost\na \t b\nb\ta\n", suffix=".tsv").names == ["a", "b"]
    assert load("pre post\na b\n", delimiter=" ").names == ["a", "b"]
    assert load('pre,post\n"a", "b"\n"b ",a\u00a0\n').names == ["a", "b"]
    padded = load("pre,post\na , b\n", neurons="name, type\n a,x \nb ,x\n")
    assert padded.names == ["a", "b"]
    assert padded.node_type_names == ["x"]
    assert load("pre,post\n 1,0 \n", num_nodes=2).edge_index.tolist() == [[1], [0]]
    # Two rows that state one synapse are seen to.
    with pytest.raises(ValueError, match="each synapse once, got 'a' -> 'b' again"):
        load("pre,post\na,b\na ,b\n")


def test_a_padded_worm_has_300_neurons(tmp_path):
    worm = graphs.c_elegans(kind="both")
    ends = [[worm.names[at] for at in end] for end in worm.edge_index.tolist()]
    kinds = [worm.edge_type_names[kind] for kind in worm.edge_type.tolist()]
    rows = zip(*ends, worm.edge_weight.tolist(), kinds, strict=True)
    path = tmp_path / "worm.csv"
    lines = [f"{pre} , {post} ,{weight:g},{kind}\n" for pre, post, weight, kind in rows]
    path.write_text("pre,post,weight,type\n" + "".join(lines))
    data = graphs.load(path)
    # 302 neurons, two of them without synapses.
    assert data.names == sorted({*ends[0], *ends[1]})
    assert data.num_nodes == 300
    assert data.num_edges == 5811
    assert graphs.reciprocity(data) == graphs.reciprocity(worm)
    assert round(graphs.reciprocity(data), 4) == 0.6261


@pytest.mark.parametrize("bad", ["", " ", '""', "nan", "NaN", "NA", "None", "null", "<NA>", "N/A"])
@pytest.mark.parametrize(
    ("text", "role", "row"),
    [
        ("source,target,weight\nA,B,1\nA,{},1\n", "target", 2),
        ("source,target,weight\n\n{},B,1\n", "source", 1),
    ],
)
def test_a_missing_end_is_no_neuron(load, bad, text, role, row):
    told = bad.strip(' "')
    with pytest.raises(
        ValueError,
        match=f"the {role} of the edge list must be the name of a neuron, got '{told}' in row "
        f"{row}; it is a sign of a missing value; name the neuron, or delete the row",
    ):
        load(text.format(bad))
    with pytest.raises(ValueError, match=f"the name of the table of neurons .* '{told}' in row 2"):
        load("source,target\nA,A\n", neurons=f"name,x\nA,0\n{bad},0\n")


@pytest.mark.parametrize("bad", ["# note", "#", " # note", "% note", "// note"])
def test_a_comment_is_no_neuron(load, bad):
    with pytest.raises(
        ValueError, match="source .* got '.*' in row 2; it looks like a comment; delete the row"
    ):
        load(f"source,target\nA,B\n{bad},\n")
    with pytest.raises(ValueError, match="must have 2 values in each row, .* got 1 in row 2"):
        load(f"source,target\nA,B\n{bad}\n")


def test_whole_numbers_that_became_floats_are_the_same_neurons(load):
    data = load("source,target\n1,0.0\n0,1.0\n2.0,1\n2,2.00\n")
    assert data.num_nodes == 3
    assert "names" not in data
    assert data.edge_index.tolist() == [[1, 0, 2, 2], [0, 1, 1, 2]]
    table = load("source,target\n7.0,3\n", neurons="id,x\n7,1\n3.0,2\n")
    assert table.names == ["7", "3"]
    assert load("source,target\n1.5,1.0\n-0.0,-2.0\n").names == ["-2", "0", "1", "1.5"]
    typed = load("source,target,type\n0,1,1\n1,0,2.0\n0,0,10\n")
    assert typed.edge_type.tolist() == [10, 2, 1]
    assert "edge_type_names" not in typed
    with pytest.raises(ValueError, match="must differ in each row, got '1' again in row 3, as in"):
        load("source,target\n1,1\n", neurons="id\n1\n2\n1.0\n")


@pytest.mark.parametrize(
    "bad",
    ["7.20575940612453e+17", "7.20576E+17", "1e+16", "720575940612453000.0", "9007199254740992.0"],
)
def test_a_number_that_has_lost_digits_is_no_neuron(load, bad):
    with pytest.raises(
        ValueError,
        match=rf"target .* '{re.escape(bad)}' in row 2; it is .*read_csv\(path, dtype=str\)",
    ):
        load(f"source,target\n1,2\n1,{bad}\n")
    with pytest.raises(
        ValueError, match="neuron of the table of neurons must be .* in row 1; it i"
    ):
        load("source,target\n1,2\n", neurons=f"id\n{bad}\n")


def test_what_only_looks_like_such_a_number_is_a_name(load):
    data = load("source,target\n1E1,2e3\n9007199254740991.0,NA1\nMi1.0a,e+1\n")
    assert data.names == ["1E1", "2e3", "9007199254740991", "Mi1.0a", "NA1", "e+1"]


@pytest.mark.parametrize(
    ("one", "other"), [("I1L", "i1l"), ("7", "007"), ("É", "e\u0301"), ("STRASSE", "straße")]
)
def test_names_that_differ_by_case_only(load, one, other):
    text = f"source,target\n{one},x\n\ny,z\nx,{other}\n"
    with pytest.raises(
        ValueError,
        match=f"the target of the edge list must be spelled alike in all rows, got '{other}' in "
        f"row 3 and '{one}', which differ only by case, .* neurons='neurons.csv'",
    ):
        load(text)
    both = load(text, neurons=f"name\nx\ny\nz\n{one}\n{other}\n")
    assert both.names == ["x", "y", "z", one, other]


def test_a_long_row_of_digits_takes_no_time(load):
    long = "0" * 130_000
    assert load(f"source,target\n{long},{long}1.0\n").num_nodes == 2


def test_tables_of_save_are_read_to_the_letter(tmp_path, assert_same):
    names = ["", " ", "a", " a", "A", "a ", "nan", "NA", "# a", "1", "1.0", "01", "1e+17", '"a"']
    data = graphs.from_edges(np.arange(14), np.arange(14)[::-1], num_nodes=14)
    data.names = names
    data.edge_type = data.edge_index[1] % 3
    data.edge_type_names = ["1", "1.0", " 1"]
    for suffix in (".csv", ".tsv"):
        graphs.save(data, tmp_path / f"a{suffix}")
        assert_same(graphs.load(tmp_path / f"a{suffix}"), data)


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ("1_0", "must be a number, got '1_0' in row 2"),
        ("1e-60", "must be 0 or at least 1.4e-45 in size, got '1e-60' in row 2"),
        ("-1e-400", "must be 0 or at least 1.4e-45 in size, got '-1e-400' in row 2"),
    ],
)
def test_weights_that_would_become_others(load, bad, match):
    with pytest.raises(ValueError, match=match):
        load(f"source,target,weight\na,b,1\nb,a,{bad}\n")
    assert load("source,target,weight\na,b,0e-99\nb,a,1e-45\n").edge_weight.tolist()[1] == 0
