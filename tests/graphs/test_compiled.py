"""The compiled helpers against what is done without them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphs import compiled
from graphs.contract import build, canonical_order
from graphs.measures.adjacency import simple
from graphs.measures.clustering import local_clustering
from graphs.measures.triangles import triangles
from graphs.measures.walks import walks
from graphs.small_world import small_world

pytestmark = pytest.mark.skipif(
    compiled.module() is None, reason="no compiled helpers; .ci/run asserts them"
)


@pytest.fixture
def plain(monkeypatch):
    """Run a function without the compiled helpers."""

    def run(function, *args, **options):
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "module", lambda: None)
            return function(*args, **options)

    return run


@st.composite
def synapses(draw):
    neurons = draw(st.integers(1, 9))
    ends = st.integers(0, neurons - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=40))
    source, target = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return neurons, source, target


@given(synapses())
def test_the_order_is_stable_by_target_and_source(case):
    neurons, source, target = case
    assert (
        canonical_order(neurons, source, target).tolist() == np.lexsort((source, target)).tolist()
    )
    edges = build(neurons, source, target).edge_index.numpy()
    order = np.lexsort((source, target))
    assert np.array_equal(edges, np.stack((source[order], target[order])))


def test_large_graphs_are_the_same_without(plain):
    rng = np.random.default_rng(0)
    source, target = rng.integers(1000, size=(2, 100_000))
    kind = rng.integers(2**40, size=100_000)
    for options in ({}, {"edge_type": kind}):
        one = build(1000, source, target, **options)
        other = plain(build, 1000, source, target, **options)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in ("edge_index", *options))


@pytest.mark.parametrize("wrong", [-1, 3, 2**62])
@pytest.mark.parametrize("name", ["sorted_edges", "canonical_order"])
def test_no_index_is_used_unchecked(name, wrong):
    function = getattr(compiled.module(), name)
    good, bad = np.array([0, 2]), np.array([0, wrong])
    for ends in ((good, bad), (bad, good)):
        with pytest.raises(IndexError, match="no neuron"):
            function(*ends, 3)
    with pytest.raises(ValueError, match="one length"):
        function(good, good[:1], 3)
    with pytest.raises(TypeError):
        function(good.astype(np.int32), good, 3)
    with pytest.raises(TypeError):
        function(np.zeros((2, 2), np.int64), good, 3)


ROWS = np.array([0, 2, 3, 3]), np.array([1, 2, 0])
CALLS = {
    "walks": (*ROWS, np.array([0, 1])),
    "triangles": ROWS,
    "closed_walks": (*ROWS, np.array([1, 1, 1]), np.array([0, 2])),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_row_is_read_unchecked(name):
    function, (pointer, index, *rest) = getattr(compiled.module(), name), CALLS[name]
    function(pointer, index, *rest)
    for wrong in (-1, 3, 2**32, 2**62):
        with pytest.raises(IndexError, match="no neuron"):
            function(pointer, np.array([1, wrong, 0]), *rest)
    for wrong in ([1, 2, 3, 3], [0, 2, 3, 4], [0, 2, 3, 2], [0, 5, 3, 3], [0, -1, 3, 3]):
        with pytest.raises(ValueError, match="pointers must rise"):
            function(np.array(wrong), index, *rest)
    with pytest.raises(ValueError, match="one more than neurons"):
        function(np.zeros(0, np.int64), index, *rest)
    with pytest.raises(TypeError):
        function(pointer.astype(np.int32), index, *rest)
    if rest:
        for wrong in (-1, 3, 2**32):
            with pytest.raises(IndexError, match="a chosen neuron"):
                function(pointer, index, *rest[:-1], np.array([0, wrong]))
    if len(rest) > 1:
        with pytest.raises(ValueError, match="one value for each"):
            function(pointer, index, np.array([1, 1]), rest[1])


def test_rows_need_not_be_simple():
    """Nothing but the numbers suffers from loops, parallel synapses and rows out of order."""
    pointer, index = np.array([0, 4, 6]), np.array([1, 0, 1, 0, 1, 0])
    helpers = compiled.module()
    for each in (*helpers.triangles(pointer, index), *helpers.walks(pointer, index, np.arange(2))):
        assert (each >= 0).all()


@pytest.mark.parametrize("sources", [1, 64, 65, 3000])
def test_searches_are_the_same_without(plain, sources):
    """Few walk in words of 64 bits, many in wider ones; some steps are taken backwards."""
    data = small_world(3000, 4, 0.02, directed=True, seed=0)
    adjacency, chosen = simple(data), np.arange(3000)[::-1][:sources]
    for one, other in zip(walks(adjacency, chosen), plain(walks, adjacency, chosen), strict=True):
        assert np.array_equal(one, other)


def test_triangles_are_the_same_without(plain):
    rng = np.random.default_rng(0)
    ends = (300 * rng.random((2, 8000)) ** 2).astype(np.int64)
    source, target = np.unique(ends, axis=1)
    adjacency = simple(build(300, source, target))
    for one, other in zip(triangles(adjacency), plain(triangles, adjacency), strict=True):
        assert np.array_equal(one, other)
    chosen = np.arange(0, 300, 7)
    for directed in (True, False):
        one = local_clustering(adjacency, chosen, directed=directed)
        assert np.array_equal(one, plain(local_clustering, adjacency, chosen, directed=directed))
        every = local_clustering(adjacency, np.arange(300), directed=directed)
        assert np.array_equal(one, every[chosen])
