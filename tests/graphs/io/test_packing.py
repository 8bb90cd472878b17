"""Files packed by gzip."""

import gzip
import tracemalloc

import pytest

import graphs
from tests.graphs.io.refusals import told


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".graphml", ".gexf"])
def test_what_is_packed_is_read_as_it_was(tmp_path, full, suffix):
    path = tmp_path / f"a{suffix}"
    graphs.save(full, path)
    packed = tmp_path / f"b{suffix}.GZ"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    options = {}
    if suffix in (".csv", ".tsv"):
        neurons = tmp_path / f"n{suffix}.gz"
        neurons.write_bytes(gzip.compress((tmp_path / f"a.neurons{suffix}").read_bytes()))
        options["neurons"] = neurons
    data = graphs.load(packed, **options)
    assert data.edge_index.equal(graphs.load(path).edge_index)
    assert data.edge_weight.equal(graphs.load(path).edge_weight)


def test_a_file_beside_belongs_to_the_plain_file_only(tmp_path, full):
    graphs.save(full, tmp_path / "a.csv")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"source,target\nx,y\n"))
    assert graphs.load(tmp_path / "a.csv.gz").names == ["x", "y"]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.graphml.gz", "a.mtx.gz", "a.txt.gz"])
def test_a_bomb(tmp_path, name):
    path = tmp_path / name
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    assert "it unpacks to at least" in told(path, max_bytes=2**23)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_bomb_as_the_table_of_neurons(tmp_path):
    (tmp_path / "a.csv").write_text("source,target\na,b\n")
    with gzip.open(tmp_path / "n.csv.gz", "wb") as file:
        file.write(b"name\n" + b"a\n" * 2**22)
    assert "it unpacks to" in told(
        tmp_path / "a.csv", neurons=tmp_path / "n.csv.gz", max_bytes=2**20
    )


def test_names_that_do_not_fit_the_content(tmp_path):
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"source,target\na,b\n"))
    assert "it is packed by gzip; rename it to 'a.csv.gz'" in told(tmp_path / "a.csv")
    (tmp_path / "b.csv.gz").write_bytes(b"source,target\na,b\n")
    assert "it is not packed by gzip; rename it to end without '.gz'" in told(tmp_path / "b.csv.gz")
    raw = gzip.compress(b"source,target\na,b\n")
    (tmp_path / "c.csv.gz").write_bytes(raw[:-6])
    assert "it is damaged" in told(tmp_path / "c.csv.gz")
