"""The compiled helpers, compared with the code that replaces them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs
from graphs import compiled
from graphs.contract import build
from graphs.generators.small_worlds import small_world
from graphs.measures.adjacency import simple
from graphs.measures.clustering_coefficients import local_clustering
from graphs.measures.triangles import triangles
from graphs.measures.walks import walks
from graphs.ordering import canonical_order, survey

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
@pytest.mark.parametrize(
    "name",
    ["sorted_edges", "canonical_order", "answered", "simple_rows", "view", "has_parallel"],
)
def test_no_index_is_used_unchecked(name, wrong):
    function, good, bad = getattr(compiled.module(), name), np.array([0, 2]), np.array([0, wrong])
    options = {"simple_rows": {"directed": True}, "view": {"wide": False}}.get(name, {})
    for ends in ((good, bad), (bad, good)):
        with pytest.raises(IndexError, match="is not a neuron"):
            function(*ends, 3, **options)
    with pytest.raises(ValueError, match="one length"):
        function(good, good[:1], 3, **options)
    with pytest.raises(TypeError):
        function(good.astype(np.int32), good, 3, **options)
    with pytest.raises(TypeError):
        function(np.zeros((2, 2), np.int64), good, 3, **options)


def test_32_bits_are_not_overrun():
    for name, options in (("answered", ()), ("simple_rows", (True,)), ("view", (False,))):
        with pytest.raises(ValueError, match="32-bit"):
            getattr(compiled.module(), name)(*np.zeros((2, 0), np.int64), 2**31, *options)


@given(synapses(), st.booleans())
def test_simple_graphs_are_the_same_without(plain, case, typed):
    neurons, source, target = case
    kind = np.arange(len(source)) if typed else None
    if not typed:
        source, target = np.unique(np.stack((source, target)), axis=1)
    # In any order, as the contract allows.
    data = Data(edge_index=torch.from_numpy(np.stack((source, target))), num_nodes=neurons)
    if typed:
        data.edge_type = torch.from_numpy(kind)
    for directed in (True, False):
        one, other = simple(data, directed=directed), plain(simple, data, directed=directed)
        for part in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(one, part), getattr(other, part))
    assert np.array_equal(graphs.reciprocity(data), plain(graphs.reciprocity, data), equal_nan=True)


@given(synapses())
def test_asurvey_is_the_same_without(plain, case):
    neurons, source, target = case
    for ends in ((source, target), (source - 1, target), (source, target + 2), case[1:]):
        assert survey(*ends, neurons) == plain(survey, *ends, neurons)
    rising = np.unique(np.stack((target, source)), axis=1)[::-1]
    loops = int((rising[0] == rising[1]).sum())
    assert survey(*rising, neurons) == (None, True, loops)


def test_a_honeycomb_is_the_same_without(plain):
    for options in (
        {"radius": 3, "distance": 2.5},
        {"shape": (6, 7), "distance": 2, "periodic": True},
        {"shape": (5, 9), "distance": 4, "periodic": (False, True), "self_loops": False},
    ):
        one = graphs.hexagonal_lattice(**options)
        other = plain(graphs.hexagonal_lattice, **options)
        assert all(torch.equal(one[key], other[key]) for key in ("edge_index", "edge_type", "pos"))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"lengths": np.array([3, 0])}, ValueError),
        ({"lengths": np.array([3, 2**62])}, ValueError),
        ({"lengths": np.array([3])}, ValueError),
        ({"starts": np.array([0, 2**62])}, IndexError),
        ({"offsets": np.zeros((1, 3), np.int64)}, ValueError),
        ({"offsets": np.array([[-(2**62), 0]])}, IndexError),
    ],
)
def test_no_honeycomb_leaves_its_rows(change, error):
    whole = {
        "starts": np.array([0, 0]),
        "lengths": np.array([3, 2]),
        "down": True,
        "along": True,
        "offsets": np.array([[0, 0], [7, -9]]),
    }
    edges, kinds = compiled.module().honeycomb_edges(**whole)
    assert edges.max() == 4
    assert kinds.tolist().count(1) == 5
    with pytest.raises(error):
        compiled.module().honeycomb_edges(**{**whole, **change})


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


ROWS = np.array([0, 2, 3, 3]), np.array([1, 2, 0], np.int32)
CALLS = {
    "walks": (*ROWS, np.array([0, 1])),
    "triangles": ROWS,
    "closed_walks": (*ROWS, np.array([1, 1, 1]), np.array([0, 2])),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_row_is_read_unchecked(name):
    function, (pointer, index, *rest) = getattr(compiled.module(), name), CALLS[name]
    function(pointer, index, *rest)
    for wrong in (-1, 3, 2**31 - 1):
        with pytest.raises(IndexError, match="is not a neuron"):
            function(pointer, np.array([1, wrong, 0], np.int32), *rest)
    for wrong in ([1, 2, 3, 3], [0, 2, 3, 4], [0, 2, 3, 2], [0, 5, 3, 3], [0, -1, 3, 3]):
        with pytest.raises(ValueError, match="pointers must rise"):
            function(np.array(wrong), index, *rest)
    with pytest.raises(ValueError, match="one more than neurons"):
        function(np.zeros(0, np.int64), index, *rest)
    with pytest.raises(TypeError):
        function(pointer.astype(np.int32), index, *rest)
    if rest:
        for wrong in (-1, 3, 2**32):
            with pytest.raises(IndexError, match="a chosen number"):
                function(pointer, index, *rest[:-1], np.array([0, wrong]))
    if len(rest) > 1:
        with pytest.raises(ValueError, match="one value for each"):
            function(pointer, index, np.array([1, 1]), rest[1])


def test_rows_need_not_be_simple():
    """Self-loops, parallel synapses and unsorted rows change the counts but cause no error."""
    pointer, index = np.array([0, 4, 6]), np.array([1, 0, 1, 0, 1, 0], np.int32)
    helpers = compiled.module()
    for each in (*helpers.triangles(pointer, index), *helpers.walks(pointer, index, np.arange(2))):
        assert (each >= 0).all()


@pytest.mark.parametrize("sources", [1, 64, 65, 3000])
def test_searches_are_the_same_without(plain, sources):
    """Few sources fit into 64-bit words and many need wider ones; some steps go backwards."""
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


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("erdos_renyi", {"num_nodes": 500, "probability": 0.02}),
        ("erdos_renyi", {"num_nodes": 60, "probability": 0.45}),
        ("erdos_renyi", {"num_nodes": 60, "probability": 0.8, "directed": False}),
        ("fixed_total", {"num_nodes": 500, "num_edges": 100_000}),
        ("fixed_in_degree", {"num_nodes": 300, "in_degree": 140}),
        ("fixed_out_degree", {"num_nodes": 300, "out_degree": 3}),
        ("barabasi_albert", {"num_nodes": 20_000, "edges_per_node": 4, "directed": False}),
        ("barabasi_albert", {"num_nodes": 90, "edges_per_node": 40, "directed": True}),
        (
            "power_law_cluster",
            {"num_nodes": 9000, "edges_per_node": 5, "triangle": 0.8, "directed": False},
        ),
        ("power_law_cluster", {"num_nodes": 90, "edges_per_node": 40, "triangle": 1.0}),
    ],
)
def test_random_graphs_and_what_is_drawn_after_them_are_the_same_without(plain, name, arguments):
    one, other = np.random.default_rng(5), np.random.default_rng(5)
    make = getattr(graphs, name)
    with_helpers = make(**arguments, seed=one)
    assert torch.equal(with_helpers.edge_index, plain(make, **arguments, seed=other).edge_index)
    assert one.random() == other.random()


@given(st.lists(st.lists(st.integers(-(2**62), 2**62), max_size=60), min_size=1, max_size=5))
def test_rows_of_any_numbers_are_sorted(rows):
    # Far apart or equal, which uniform random numbers almost never are.
    values = np.array([value for row in rows for value in row], dtype=np.int64)
    pointer = np.cumsum([0, *map(len, rows)])
    repeats = compiled.module().sort_rows(values, pointer, np.arange(len(rows)))
    assert values.tolist() == [value for row in rows for value in sorted(row)]
    inner = np.setdiff1d(np.arange(1, len(values)), pointer)
    assert repeats.tolist() == [at for at in inner if values[at] == values[at - 1]]


@pytest.mark.parametrize("rows", [[-1], [2], [1, 0], [0, 0], [2**62]])
def test_no_row_is_sorted_unchecked(rows):
    with pytest.raises(IndexError, match="rows must rise"):
        compiled.module().sort_rows(np.arange(4), np.array([0, 2, 4]), np.array(rows))


@pytest.mark.parametrize("pointer", [[0, 5], [-1, 2], [3, 2], [2**62, 2**62 + 1]])
def test_no_row_lies_outside_the_values(pointer):
    with pytest.raises(IndexError, match="lie within the values"):
        compiled.module().sort_rows(np.arange(4), np.array(pointer), np.array([0]))


def test_growth_checks_what_it_is_given():
    growth = compiled.module().Growth
    for neurons, each in ((3, 3), (3, 0), (-1, 1), (3, -1), (2**33, 1)):
        with pytest.raises(ValueError, match="each must be in"):
            growth(neurons, each, 0.5)
    growing = growth(9, 2, 0.5)
    for wrong in (1.0, -0.1, float("nan")):
        with pytest.raises(IndexError, match="draw must be in"):
            growing.advance(np.array([0.5, wrong]))
    assert not growing.complete
    assert growing.advance(np.full(99, 0.3)) < 99
    assert growing.complete
    assert growing.advance(np.zeros(0)) == 0
    assert growing.targets().max() < 9


@pytest.mark.parametrize("triangle", [0.0, 0.7])
def test_growth_does_not_depend_on_how_many_draws_come_at_a_time(triangle):
    draws = np.random.default_rng(0).random(3000)
    at_once, one_by_one = (compiled.module().Growth(80, 7, triangle) for _ in range(2))
    at_once.advance(draws)
    used, size = 0, 1
    while not one_by_one.complete:
        step = one_by_one.advance(draws[used : used + size])
        used, size = used + step, 1 if step else size + 1
    assert np.array_equal(at_once.targets(), one_by_one.targets())
