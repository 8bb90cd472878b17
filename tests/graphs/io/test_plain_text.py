"""Edge lists and matrices in plain text."""

import gzip
import io

import networkx as nx
import numpy as np
import pytest

import graphs
from tests.graphs.io.refusals import told


@pytest.fixture
def load(tmp_path):
    def written(text, **options):
        path = tmp_path / "a.txt"
        path.write_text(text)
        return graphs.load(path, **options)

    return written


@pytest.mark.parametrize(
    "text",
    [
        "# SNAP\n# FromNodeId\tToNodeId\n7\t9\n9\t12\n",
        "7 9\n9 12\n",
        "7,9\n9,12\n",
        "% KONECT\n  7   9 \n9\t  12\n",
        "source target\n7 9\n9 12\n",
        "pre;post\n7;9\n9;12\n",
    ],
)
def test_two_columns(load, text):
    data = load(text)
    assert data.names == ["7", "9", "12"]
    assert data.edge_index.tolist() == [[0, 1], [1, 2]]
    assert "edge_weight" not in data


@pytest.mark.parametrize("text", ["AVAL DA1 3\nAVAR DA1 2.5\n", "AVAL\tDA1\t3\nAVAR\tDA1\t2.5\n"])
def test_two_names_and_a_number(load, text):
    data = load(text)
    assert data.names == ["AVAL", "AVAR", "DA1"]
    assert data.edge_weight.tolist() == [3.0, 2.5]


def test_weighted_edge_lists_of_networkx(tmp_path):
    graph = nx.DiGraph()
    graph.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 0.5)])
    nx.write_weighted_edgelist(graph, tmp_path / "a.txt")
    data = graphs.load(tmp_path / "a.txt")
    assert data.names == ["a", "b", "c"]
    assert data.edge_weight.tolist() == [2.0, 0.5]


def test_names_alone_do_not_tell_whether_the_first_row_is_a_header(load, tmp_path):
    text = "AVAL DA1\nAVAR DA1\n"
    with pytest.raises(ValueError, match="a column 'source' and a column 'target', got 'AVAL'"):
        load(text)
    assert load(text, columns={"source": 0, "target": 1}).names == ["AVAL", "AVAR", "DA1"]


def test_a_matrix(tmp_path):
    matrix = np.diag([1.0, 2.0, 3.0], 1)
    file = io.StringIO()
    np.savetxt(file, matrix)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(file.getvalue().encode()))
    data = graphs.load(tmp_path / "a.txt.gz")
    assert data.edge_index.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert data.edge_weight.tolist() == [1.0, 2.0, 3.0]
    (tmp_path / "b.txt").write_text("1 2 3 4\n5 6 7 8\n")
    assert "but not 4 rows; pass columns={'source': 0, 'target': 1}" in told(tmp_path / "b.txt")


@pytest.mark.parametrize("raw", [b"", b"\n", b"# only\n", b"\0" * 100, b"\x89PNG\r\n\x1a\n", b"a"])
def test_what_is_no_list(tmp_path, raw):
    (tmp_path / "a.txt").write_bytes(raw)
    told(tmp_path / "a.txt")


def test_a_long_row(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1 " * 2**20)
    told(tmp_path / "a.txt")
