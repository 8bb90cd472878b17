"""The compiled helpers against what is done without them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphs import compiled
from graphs.contract import build, canonical_order

pytestmark = pytest.mark.skipif(
    compiled.module() is None, reason="no compiled helpers; .ci/run asserts them"
)


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


# Two axes of 5 and 4, of which the first wraps; a window of two offsets.
WINDOW = {
    "sides": np.array([5, 4]),
    "wraps": np.array([True, False]),
    "margins": np.array([0, 0]),
    "offsets": np.array([[0, 0], [1, -1]]),
    "kinds": np.array([3, 7]),
}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"sides": np.array([5, 0])}, ValueError),
        ({"sides": np.array([2**40, 2**40])}, ValueError),
        ({"sides": np.array([5, 4, 3])}, ValueError),
        ({"sides": np.empty(0, np.int64)}, ValueError),
        ({"margins": np.array([0, -1])}, ValueError),
        ({"wraps": np.array([True])}, ValueError),
        ({"kinds": np.array([3])}, ValueError),
        ({"offsets": np.array([[0, 0], [1, 4]])}, IndexError),
        ({"offsets": np.array([[0, 0], [-5, 0]])}, IndexError),
        ({"offsets": np.array([[0, 0], [2**62, -(2**62)]])}, IndexError),
        ({"offsets": np.array([[0, 0], [1, 1]], np.int32)}, TypeError),
    ],
)
def test_no_window_leaves_its_lattice(change, error):
    edges, kinds = compiled.module().window_edges(**WINDOW)
    assert edges.shape == (2, 20 + 15)
    assert sorted(set(kinds.tolist())) == [3, 7]
    with pytest.raises(error):
        compiled.module().window_edges(**{**WINDOW, **change})


def test_margins_longer_than_the_lattice_leave_no_sources():
    margins = np.array([0, 2**62])
    edges, _ = compiled.module().window_edges(**{**WINDOW, "margins": margins})
    assert edges.shape == (2, 0)


CELLS = {
    "points": np.array([[0.5, 0.5], [1.0, 1.5], [3.0, 3.5]], np.float32),
    "scale": np.ones(2),
    "period": np.full(2, np.inf),
    "reach": 2.0,
    "sends": np.arange(3, dtype=np.uint64),
    "receives": np.arange(3, dtype=np.uint64),
    "certain": np.zeros(4, np.uint64),
    "possible": np.full(4, 2**53, np.uint64),
    "directed": True,
    "self_loops": False,
}


@pytest.mark.parametrize(
    "change",
    [
        {"points": np.zeros((3, 4), np.float32)},
        {"points": np.zeros((2, 2), np.float32)},
        {"points": np.full((3, 2), np.nan, np.float32)},
        {"points": np.full((3, 2), np.inf, np.float32)},
        {"scale": np.ones(3)},
        {"scale": np.array([1.0, 0.0])},
        {"scale": np.array([1.0, np.nan])},
        {"period": np.array([np.inf, 3.0])},
        {"period": np.array([np.inf, -1.0])},
        {"reach": 0.0},
        {"reach": np.nan},
        {"reach": 1e200},
        {"sends": np.arange(2, dtype=np.uint64)},
        {"receives": np.arange(4, dtype=np.uint64)},
        {"certain": np.zeros(3, np.uint64)},
        {"certain": np.zeros(0, np.uint64), "possible": np.zeros(0, np.uint64)},
    ],
)
def test_cells_refuse_what_does_not_fit(change):
    with pytest.raises(ValueError):  # noqa: PT011
        compiled.module().Cells(**{**CELLS, **change})


def test_cells_are_asked_in_turn():
    cells = compiled.module().Cells(**CELLS)
    with pytest.raises(IndexError, match="must be neurons"):
        cells.search(4)
    with pytest.raises(ValueError, match="searched and settled"):
        cells.edges()
    squares, draws = cells.search(2)
    assert squares.tolist() == [1.25, 1.25]
    assert ((draws >= 0) & (draws < 1)).all()
    with pytest.raises(ValueError, match="settled first"):
        cells.search(3)
    with pytest.raises(ValueError, match="one flag for each"):
        cells.settle(np.array([True]))
    cells.settle(np.array([True, False]))
    with pytest.raises(IndexError, match="must be neurons"):
        cells.search(1)
    squares, _ = cells.search(3)
    cells.settle(np.ones(len(squares), bool))
    assert cells.edges().tolist() == [[1], [0]]
