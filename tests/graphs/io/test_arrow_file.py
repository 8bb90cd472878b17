"""Edge lists in Parquet and Feather, and files made to fill the memory."""

import re
import tracemalloc
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import graphs
from tests.graphs.io.refusals import checked, told

BIG = 720575940596125868
WRITERS = {
    ".parquet": pa.parquet.write_table,
    ".feather": pa.feather.write_feather,
}
every_writer = pytest.mark.parametrize("suffix", WRITERS)


@pytest.fixture
def write(tmp_path):
    def written(suffix, columns, name="a", **options):
        path = tmp_path / f"{name}{suffix}"
        WRITERS[suffix](pa.table(columns), path, **options)
        return path

    return written


@every_writer
def test_ids_keep_all_digits(write, suffix):
    path = write(suffix, {"body_pre": [BIG, 5], "body_post": [BIG + 1, BIG], "weight": [3, 1]})
    data = graphs.load(path)
    assert data.names == ["5", str(BIG), str(BIG + 1)]
    assert data.edge_index.tolist() == [[0, 1], [1, 2]]
    assert data.edge_weight.tolist() == [1.0, 3.0]


@every_writer
@pytest.mark.parametrize("neurons", WRITERS)
def test_text_types_and_a_table_of_neurons(write, suffix, neurons):
    columns = {"pre": ["b", "a", "b"], "post": ["a", "b", "c"], "kind": ["x", "y", "x"]}
    columns["kind"] = pa.array(columns["kind"]).dictionary_encode()
    table = write(neurons, {"name": ["a", "b", "c"], "class": ["K", "L", "K"]}, "neurons")
    data = graphs.load(write(suffix, columns), neurons=table)
    assert data.names == ["a", "b", "c"]
    assert data.edge_type_names == ["x", "y"]
    assert data.edge_type.tolist() == [0, 1, 0]
    assert data.node_type_names == ["K", "L"]
    assert data.node_type.tolist() == [0, 1, 0]


@every_writer
def test_wrong_values_are_told_with_their_rows(write, suffix):
    columns = {
        "pre": pa.array([1, None, 3, None]),
        "post": [1, 2, 3, 4],
        "weight": [1.0, 2.0, np.nan, np.inf],
    }
    message = told(write(suffix, columns))
    assert "2 things are wrong: (1) the source of the edge list must be the name" in message
    assert "got '' in row 2 (and 1 more row)" in message
    assert "the weight of the edge list must be finite in float32, got 'nan' in row 3" in message


@every_writer
def test_floats_that_lost_digits(write, suffix):
    with pytest.raises(ValueError, match="in row 2; it is a number that .* has stored as a float"):
        graphs.load(write(suffix, {"pre": [1.0, 2.0**53], "post": [1.0, 2.0]}))
    assert graphs.load(write(suffix, {"pre": [1.0, 2.0], "post": [0.0, 0.0]})).num_nodes == 3
    narrow = np.array([720575940, 720575941], np.float32)
    with pytest.raises(ValueError, match="in row 1 .*it is a number that .* stored as a float"):
        graphs.load(write(suffix, {"pre": narrow, "post": [5, 7]}))


@every_writer
def test_a_column_that_is_no_name(write, suffix):
    path = write(suffix, {"pre": [[1], [2]], "post": [1, 2]})
    assert "the column 'pre' of the edge list must have integers, floats, booleans" in told(path)
    assert "must have a column 'target', got 'pre'; add" in told(write(suffix, {"pre": [1]}))


NESTED = {
    "list": pa.array([[1], [2]]),
    "nulls": pa.array([[None], []], pa.list_(pa.null())),
    "fixed_size_list": pa.FixedSizeListArray.from_arrays(pa.nulls(2**20), 2**19),
    "fixed_size_binary": pa.array([b"a" * 1000] * 2, pa.binary(1000)),
    "binary": pa.array([b"a", b"b"]),
    "struct": pa.array([{"a": 1}, {"a": 2}]),
    "timestamp": pa.array([1, 2], pa.timestamp("s")),
}


@every_writer
@pytest.mark.parametrize("kind", NESTED)
def test_types_that_may_take_any_memory(write, suffix, kind):
    plain = {"pre": [0, 1], "post": [1, 0]}
    path = write(suffix, {**plain, "note": NESTED[kind]})
    with pytest.warns(graphs.LeftOutWarning, match="'note'"):
        assert graphs.load(path).num_edges == 2
    path = write(suffix, {**plain, "weight": NESTED[kind]})
    message = told(path)
    assert "the column 'weight' of the edge list must have integers, floats" in message


@every_writer
def test_types_that_are_read(write, suffix):
    columns = {
        "pre": pa.array(["a", "b"], pa.large_string()),
        "post": pa.array(["b", "a"]).dictionary_encode(),
        "weight": pa.array([Decimal(2), Decimal(3)], pa.decimal128(9, 1)),
        "type": pa.array([True, False]),
    }
    data = graphs.load(write(suffix, columns))
    assert data.names == ["a", "b"]
    assert data.edge_index.tolist() == [[1, 0], [0, 1]]
    assert data.edge_weight.tolist() == [3.0, 2.0]
    assert data.edge_type_names == ["False", "True"]


def test_views_of_text(write):
    columns = {"pre": pa.array(["a", "b"], pa.string_view()), "post": ["b", "a"]}
    assert graphs.load(write(".parquet", columns)).names == ["a", "b"]
    assert "(string, large_string), got string_view; write" in told(write(".feather", columns))


def test_columns_of_parquet_whose_names_begin_alike(write):
    columns = {"pre.x": [7, 8], "pre": [0, 1], "post": [1, 0]}
    with pytest.warns(graphs.LeftOutWarning, match="'pre.x'"):
        assert graphs.load(write(".parquet", columns)).edge_index.tolist() == [[1, 0], [0, 1]]
    columns["pre.x"] = [[7], [8]]
    assert "the column 'pre.x' of the edge list must have" in told(write(".parquet", columns))


@every_writer
def test_a_bomb_of_rows(write, suffix):
    """A million rows of one value take some KiB in the file."""
    options = {"compression": "zstd"}
    column = pa.array(np.zeros(10**6, np.int64))
    path = write(suffix, {"pre": column, "post": column}, **options)
    assert path.stat().st_size < 2**18
    tracemalloc.start()
    assert re.search("its [0-9]+ rows take", told(path, max_bytes=2**23))
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@every_writer
def test_a_bomb_of_long_texts(write, suffix):
    """One text of a MiB in 1000 rows is in memory once."""
    text = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), pa.array(["x" * 2**20]))
    names = [str(at) for at in range(1000)]
    path = write(suffix, {"pre": names, "post": names, "type": text})
    before = pa.total_allocated_bytes()
    data = graphs.load(path, max_bytes=2**24)
    assert len(data.edge_type_names[0]) == 2**20
    assert pa.total_allocated_bytes() - before < 2**23


def test_a_buffer_that_unpacks_to_more_than_the_limit(write):
    """Only the length before a compressed buffer tells its size."""
    text = pa.array(["x" * 2**22])
    path = write(".feather", {"pre": text, "post": ["a"]}, compression="zstd")
    assert path.stat().st_size < 2**14
    assert "it unpacks to 4194" in told(path, max_bytes=2**21)


@every_writer
@pytest.mark.parametrize("damage", ["cut", "flip", "zeros"])
def test_damaged_files(write, suffix, damage):
    path = write(suffix, {"pre": [0, 1, 2], "post": [1, 2, 0], "weight": [1.0, 2.0, 3.0]})
    raw = path.read_bytes()
    for at in range(0, len(raw), max(1, len(raw) // 40)):
        changed = {
            "cut": raw[:at],
            "flip": raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :],
            "zeros": raw[:at] + bytes(8) + raw[at + 8 :],
        }[damage]
        path.write_bytes(changed)
        try:
            graphs.validate(graphs.load(path))
        except ValueError as error:
            checked(path, error)


def test_other_formats_and_the_first_version_of_feather(tmp_path):
    for suffix in WRITERS:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"source,target\na,b\n")
        assert "use the suffix of its format" in told(path)
    path.write_bytes(b"FEA1" + bytes(20))
    assert "version 1 of Feather; write it again with pyarrow.feather.write_feather" in told(path)


def test_without_pyarrow(write, monkeypatch):
    path = write(".parquet", {"pre": [0], "post": [1]})
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"call pip install 'sparsebrain\[arrow\]'"):
        graphs.load(path)
