"""Dataframes of each library as connectomes, and connectomes as dataframes."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import graphs

BIG = 720575940596125868
MAKE = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
every_library = pytest.mark.parametrize("library", MAKE)


@every_library
def test_a_frame_of_ids(library):
    frame = MAKE[library]({"pre": [BIG + 1, 5], "post": [5, BIG], "weight": [3.0, 0.5]})
    data = graphs.from_dataframe(frame)
    assert data.names == ["5", str(BIG), str(BIG + 1)]
    assert data.edge_index.tolist() == [[2, 0], [0, 1]]
    assert data.edge_weight.tolist() == [3.0, 0.5]
    assert "names" not in graphs.from_dataframe(MAKE[library]({"pre": [0, 1], "post": [1, 2]}))


@every_library
def test_a_frame_of_neurons(library):
    edges = MAKE[library]({"source": ["b", "b"], "target": ["a", "c"], "region": ["L", "R"]})
    neurons = {
        "name": ["a", "b", "c", "d"],
        "cell_type": ["K", None, "L", "K"],
        "nt_type": ["gaba", "ACH", "dopamine", None],
        "x": [1, 2, 3, 4],
    }
    with pytest.warns(graphs.LeftOutWarning) as warned:
        data = graphs.from_dataframe(edges, MAKE[library](neurons), columns={"type": "region"})
    assert "the transmitters 'dopamine' (1 rows)" in str(warned[0].message)
    assert data.names == ["a", "b", "c", "d"]
    assert data.node_type_names == ["", "K", "L"]
    assert data.node_type.tolist() == [1, 0, 2, 1]
    assert data.node_sign.tolist() == [-1, 1, 0, 0]
    assert data.edge_type_names == ["L", "R"]
    assert data.pos.tolist() == [[1.0], [2.0], [3.0], [4.0]]


@every_library
def test_a_round_trip(library, full, assert_same):
    del full.shape
    # The names of two types, which are numbered from 0.
    full.edge_type = torch.tensor([0, 1, 1, 1])
    full.edge_type_names = ["chemical", "electrical"]
    full.node_type_names = ["Körner", "pyramidal"]
    full.names[3] = "c"
    edges, nodes = graphs.to_dataframe(full, library=library)
    assert type(edges).__module__.startswith(library)
    assert type(nodes) is type(edges)
    back = graphs.from_dataframe(edges, nodes)
    expected = graphs.from_edges(
        *full.edge_index,
        num_nodes=5,
        edge_weight=full.edge_weight,
        edge_type=full.edge_type,
        edge_sign=full.edge_sign,
    )
    for name in ("pos", "node_type", "node_type_names", "node_sign", "names", "edge_type_names"):
        expected[name] = full[name]
    assert_same(back, expected)


@every_library
@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 2**24), (np.float64, 2**53)])
def test_floats_that_may_have_lost_digits(library, dtype, limit):
    def load(value):
        ids = np.array([value, value], dtype)
        return graphs.from_dataframe(MAKE[library]({"pre": ids, "post": [5, 7]}))

    assert load(limit - 1).names == ["5", "7", str(limit - 1)]
    with pytest.raises(ValueError, match="in row 1 .*has stored as a float, which cuts its last"):
        load(limit)


def test_narrow_floats_of_pyarrow():
    ids = pa.array(np.array([2047, 2048], np.float16))
    with pytest.raises(ValueError, match="in row 2; it is a number that .* stored as a float"):
        graphs.from_dataframe(pa.table({"pre": ids, "post": [5, 7]}))
    data = graphs.from_dataframe(pa.table({"pre": ids.slice(0, 1), "post": [5]}))
    assert data.names == ["5", "2047"]
    coded = pa.array(np.array([720575940, 720575941], np.float32)).dictionary_encode()
    with pytest.raises(ValueError, match="stored as a float"):
        graphs.from_dataframe(pa.table({"pre": coded, "post": [5, 7]}))
    frame = pa.table({"pre": coded.dictionary_decode(), "post": [5, 7]}).to_pandas(
        types_mapper=pd.ArrowDtype
    )
    with pytest.raises(ValueError, match="stored as a float"):
        graphs.from_dataframe(frame)


def test_missing_values_do_not_round_ids():
    frame = pd.DataFrame({"pre": pd.array([BIG, None], "Int64"), "post": [1, 2]})
    with pytest.raises(ValueError, match="the source of edges must be the name .* '' in row 2"):
        graphs.from_dataframe(frame)
    neurons = pd.DataFrame({"root_id": pd.array([BIG, BIG + 1], "Int64")})
    frame = pd.DataFrame({"pre": pd.array([BIG], "Int64"), "post": [BIG + 1]})
    assert graphs.from_dataframe(frame, neurons).names == [str(BIG), str(BIG + 1)]


@every_library
@pytest.mark.parametrize("bad", [float(BIG), 2.0**53, np.float64(1e300)])
def test_floats_that_lost_digits_are_refused(library, bad):
    frame = MAKE[library]({"pre": [1.0, bad], "post": [2.0, 3.0]})
    with pytest.raises(ValueError, match="in row 2; it is a number that a dataframe .* as a float"):
        graphs.from_dataframe(frame)
    frame = MAKE[library]({"pre": [1.0, 2.0], "post": [0.0, 0.0]})
    assert graphs.from_dataframe(frame).edge_index.tolist() == [[1, 2], [0, 0]]


def test_narrow_floats_lose_digits_earlier():
    frame = pd.DataFrame({"pre": np.array([2**24 + 2], np.float32), "post": [1]})
    with pytest.raises(ValueError, match="stored as a float"):
        graphs.from_dataframe(frame)


@every_library
def test_all_problems_of_a_frame_at_once(library):
    frame = MAKE[library](
        {"pre": ["a", None, "c"], "post": ["b", "c", "nan"], "weight": [1.0, 2.0, float("inf")]}
    )
    with pytest.raises(ValueError, match="3 things are wrong") as caught:
        graphs.from_dataframe(frame)
    assert "(1) the source of edges must be the name of a neuron, got '' in row 2" in str(
        caught.value
    )
    assert "(2) the target of edges must be the name of a neuron, got 'nan' in row 3" in str(
        caught.value
    )
    assert "(3) the weight of edges must be finite in float32, got 'inf' in row 3" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("edges", "options", "error", "match"),
    [
        ({"pre": [1]}, {}, TypeError, r"edges must be a dataframe .*, got .*; pass edges=pandas"),
        (np.eye(3), {}, TypeError, r"or call graphs.from_edges\(source, target\) for arrays"),
        (pl.LazyFrame({"pre": [1]}), {}, TypeError, r"pass edges=edges.collect\(\)"),
        (pd.DataFrame({"a": [1], "b": [2]}), {}, ValueError, r"pass columns={'source': 'a', 'targ"),
        (pd.DataFrame(), {}, ValueError, "edges must start with a header"),
        (
            pd.DataFrame({"pre": [True], "post": [1]}),
            {},
            TypeError,
            "the source of edges must be integers or text, got True of type bool",
        ),
        (
            pd.DataFrame({"pre": [1], "post": [1]}),
            {"neuron_columns": {"name": "x"}},
            ValueError,
            "got no nodes; pass nodes= too",
        ),
        (
            pd.DataFrame({"pre": [1], "post": [1]}),
            {"columns": {"weight": "w"}},
            ValueError,
            "edges must have the column 'w' for the weight, got",
        ),
        (
            pd.DataFrame({"pre": [1, 1], "post": [1, 1], "neuropil": ["A", "B"]}),
            {},
            ValueError,
            r"pass duplicates='sum' to add up the rows .* or columns={'type': 'neuropil'} to keep",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::graphs.LeftOutWarning")
def test_refused_frames(edges, options, error, match):
    with pytest.raises(error, match=match):
        graphs.from_dataframe(edges, **options)


def test_a_library_that_is_not_there(monkeypatch):
    data = graphs.layered([1, 2])
    with pytest.raises(ValueError, match="library must be one of 'pandas', 'polars', 'pyarrow'"):
        graphs.to_dataframe(data, library="panda")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ModuleNotFoundError, match="call pip install polars, or pass the library="):
        graphs.to_dataframe(data, library="polars")
    monkeypatch.setitem(sys.modules, "narwhals", None)
    for call in (lambda: graphs.to_dataframe(data), lambda: graphs.from_dataframe(pd.DataFrame())):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'sparsebrain\[dataframes\]'"):
            call()


def test_other_columns_of_pandas():
    text = pd.DataFrame({"pre": pd.array(["a", None], "string"), "post": ["b", "c"]})
    with pytest.raises(ValueError, match="the source of edges must be the name .*'' in row 2"):
        graphs.from_dataframe(text)
    objects = pd.DataFrame({"pre": pd.Series([BIG, pd.NA], dtype=object), "post": [1, 2]})
    with pytest.raises(ValueError, match="the source of edges must be the name .*'' in row 2"):
        graphs.from_dataframe(objects)
    whole = pd.DataFrame({"pre": pd.Series([BIG, 5], dtype=object), "post": [5, 6]})
    assert graphs.from_dataframe(whole).names == ["5", "6", str(BIG)]
    groups = pd.DataFrame({"pre": pd.Categorical(["b", "a"]), "post": pd.Categorical([BIG, 5])})
    assert graphs.from_dataframe(groups).names == ["5", str(BIG), "a", "b"]
    indexed = pd.DataFrame({"pre": [1], "post": [2], "weight": [3]}).set_index(["pre", "post"])
    with pytest.raises(ValueError, match=r"pass edges.reset_index\(\)"):
        graphs.from_dataframe(indexed)
    assert graphs.from_dataframe(indexed.reset_index()).names == ["1", "2"]
    twice = pd.DataFrame([[1, 2, 3]], columns=["pre", "post", "post"])
    with pytest.raises(ValueError, match="edges must have columns of different names"):
        graphs.from_dataframe(twice)


def test_types_that_no_row_has_are_not_read():
    kinds = pd.Categorical(["x"], categories=["w", "x", "y"])
    for frame in (
        pd.DataFrame({"pre": [1], "post": [2], "type": kinds}),
        pa.Table.from_pandas(pd.DataFrame({"pre": [1], "post": [2], "type": kinds})),
    ):
        assert graphs.from_dataframe(frame).edge_type_names == ["x"]
