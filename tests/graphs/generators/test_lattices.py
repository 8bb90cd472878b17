import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv_transpose2d

import graphs
from graphs import compiled

NORMS = {
    "chebyshev": lambda offset: max(map(abs, offset)),
    "euclidean": lambda offset: math.sqrt(sum(step**2 for step in offset)),
    "manhattan": lambda offset: sum(map(abs, offset)),
}


def by_hand(shape, distance, metric, padding, periodic, self_loops):
    """The definition, point by point: {(source, target): type}."""
    reach = math.floor(distance)
    window = [
        offset
        for offset in itertools.product(range(-reach, reach + 1), repeat=len(shape))
        if NORMS[metric](offset) <= distance and (self_loops or any(offset))
    ]
    synapses = {}
    for point in itertools.product(*map(range, shape)):
        inner = all(
            wrap or reach <= at < side - reach
            for at, side, wrap in zip(point, shape, periodic, strict=True)
        )
        for kind, offset in enumerate(window):
            end = [at + step for at, step in zip(point, offset, strict=True)]
            end = [
                at % side if wrap else at
                for at, side, wrap in zip(end, shape, periodic, strict=True)
            ]
            inside = all(0 <= at < side for at, side in zip(end, shape, strict=True))
            if inside and (padding or inner):
                ends = np.ravel_multi_index(point, shape), np.ravel_multi_index(end, shape)
                synapses[tuple(map(int, ends))] = kind
    return synapses


@st.composite
def grids(draw):
    axes = draw(st.integers(1, 4))
    distance = draw(st.sampled_from([0, 0.9, 1, 1.5, 2, math.sqrt(5), 3]))
    distance = distance if axes < 3 else min(distance, 1.5)
    periodic = draw(st.tuples(*[st.booleans()] * axes))
    shape = tuple(
        draw(st.integers(2 * math.floor(distance) + 1 if wrap else 1, 7 if axes < 3 else 4))
        for wrap in periodic
    )
    return {
        "shape": shape,
        "distance": distance,
        "metric": draw(st.sampled_from(sorted(NORMS))),
        "padding": draw(st.booleans()),
        "periodic": periodic,
        "self_loops": draw(st.booleans()),
    }


@settings(max_examples=150, deadline=None)
@given(grids())
def test_equals_the_definition(grid):
    data = graphs.validate(graphs.grid_local(**grid))
    pairs = zip(*data.edge_index.tolist(), strict=True)
    assert dict(zip(pairs, data.edge_type.tolist(), strict=True)) == by_hand(**grid)
    assert data.num_nodes == math.prod(grid["shape"])


@pytest.mark.parametrize(
    ("distance", "padding", "synapses"),
    [(1, True, 6724), (2, True, 17956), (1, False, 6084), (2, False, 14400)],
)
def test_synapses_of_the_paper(distance, padding, synapses):
    data = graphs.grid_local((28, 28), distance, padding=padding)
    assert data.num_edges == synapses
    width = 2 * distance + 1
    in_range = sum(min(27, y + distance) - max(0, y - distance) + 1 for y in range(28)) ** 2
    senders = 28 if padding else 28 - 2 * distance
    assert synapses == (in_range if padding else senders**2 * width**2)
    windows = data.edge_index[0].bincount(minlength=784)
    assert windows.max() == width**2
    assert (windows > 0).sum() == senders**2
    assert data.edge_type.unique().tolist() == list(range(width**2))


@pytest.mark.parametrize(("distance", "entries"), [(1, 7056), (2, 19600)])
def test_a_torus_has_all_entries_of_all_windows(distance, entries):
    data = graphs.grid_local((28, 28), distance, periodic=True)
    assert data.num_edges == entries == 28**2 * (2 * distance + 1) ** 2
    for end in data.edge_index:
        assert set(end.bincount().tolist()) == {(2 * distance + 1) ** 2}


def one_loop(data, weight, x):
    source, target = data.edge_index
    return torch.zeros_like(x).index_add(0, target, weight * x[source])


@settings(max_examples=50, deadline=None)
@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(0, 3), st.integers(0, 2**20))
def test_shared_weights_are_a_transposed_convolution(shape, d, seed):
    random = torch.Generator().manual_seed(seed)
    kernel = torch.randn(2 * d + 1, 2 * d + 1, generator=random, dtype=torch.float64)
    image = torch.randn(shape, generator=random, dtype=torch.float64)
    data = graphs.grid_local(shape, d)
    found = one_loop(data, kernel.flatten()[data.edge_type], image.flatten()).reshape(shape)
    expected = conv_transpose2d(image[None, None], kernel[None, None], padding=d)[0, 0]
    torch.testing.assert_close(found, expected)
    if d and min(shape) > 1:
        # With the unflipped kernel, neurons would gather values and not send them.
        gathered = conv_transpose2d(image[None, None], kernel.flip(0, 1)[None, None], padding=d)
        assert not torch.allclose(found, gathered[0, 0])


def test_without_padding_the_border_does_not_send():
    random = torch.Generator().manual_seed(0)
    kernel = torch.randn(5, 5, generator=random, dtype=torch.float64)
    image = torch.randn(8, 9, generator=random, dtype=torch.float64)
    data = graphs.grid_local((8, 9), 2, padding=False)
    found = one_loop(data, kernel.flatten()[data.edge_type], image.flatten()).reshape(8, 9)
    expected = torch.zeros(8, 9, dtype=torch.float64)
    for y in range(2, 6):  # the slices of the paper, with the upper end corrected
        for x in range(2, 7):
            expected[y - 2 : y + 3, x - 2 : x + 3] += image[y, x] * kernel
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("periodic", [True, (True, False)])
def test_periodic_axes_roll(periodic):
    image = np.arange(35.0).reshape(5, 7)
    data = graphs.grid_local((5, 7), 1, periodic=periodic)
    kernel = torch.zeros(9, dtype=torch.float64)
    kernel[1] = 1.0  # the offset (-1, 0): every value moves one row up, the first to the last
    found = one_loop(data, kernel[data.edge_type], torch.from_numpy(image).flatten())
    np.testing.assert_array_equal(found.reshape(5, 7).numpy(), np.roll(image, -1, axis=0))


@pytest.mark.parametrize("distance", [1, 2, 3])
@pytest.mark.parametrize("loops", [1, 2, 4])
def test_one_pixel_reaches_exactly_distance_times_loops(distance, loops):
    shape, start = (28, 28), (9, 17)
    matrix = graphs.to_scipy(graphs.grid_local(shape, distance))
    state = np.zeros(784)
    state[np.ravel_multi_index(start, shape)] = 1
    for _ in range(loops):
        state = matrix.T @ state
    rows, columns = np.indices(shape)
    far = np.maximum(abs(rows - start[0]), abs(columns - start[1]))
    np.testing.assert_array_equal(state.reshape(shape) > 0, far <= distance * loops)


def test_types_number_the_offsets_in_row_major_order():
    data = graphs.grid_local((5, 6), 1.5, metric="euclidean", self_loops=False)
    source, target = data.edge_index
    offsets = (data.pos[target] - data.pos[source]).long()
    expected = [step for step in itertools.product((-1, 0, 1), repeat=2) if any(step)]
    assert [tuple(offsets[data.edge_type == kind].unique(dim=0)[0].tolist())
            for kind in range(8)] == expected  # fmt: skip
    for kind in range(8):
        assert len(offsets[data.edge_type == kind].unique(dim=0)) == 1


@pytest.mark.parametrize(
    ("metric", "distance", "window"),
    [("chebyshev", 2, 25), ("euclidean", 2, 13), ("manhattan", 2, 13), ("euclidean", 1.5, 9),
     ("manhattan", 1.5, 5), ("chebyshev", 1.99, 9), ("euclidean", math.sqrt(5), 21)],
)  # fmt: skip
def test_windows_of_the_metrics(metric, distance, window):
    data = graphs.grid_local((9, 9), distance, metric=metric)
    assert data.edge_index[0].bincount()[40] == window


def test_fields():
    data = graphs.grid_local((2, 3), 1)
    assert data.shape == (2, 3)
    assert data.pos.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert graphs.grid_local(4, 1).shape == (4,)
    assert graphs.grid_local(4, 1).pos.tolist() == [[0], [1], [2], [3]]
    assert graphs.grid_local(np.array([2, 3]), 1).shape == (2, 3)
    assert graphs.grid_local((2, 2, 2), 1).pos.shape == (8, 3)
    assert "pos" not in graphs.grid_local((2, 2, 2, 2), 1)


def test_distance_beyond_the_lattice_connects_all():
    assert graphs.grid_local((3, 4), 1000).num_edges == 144
    assert graphs.grid_local((3, 4), 4, padding=False).num_edges == 0
    assert graphs.grid_local((3, 4), 0, self_loops=False).num_edges == 0
    assert graphs.grid_local(1, 5).num_edges == 1


def test_many_axes_of_few_neurons():
    data = graphs.grid_local((2,) * 14, 1, metric="manhattan", self_loops=False)
    assert data.num_edges == 2**14 * 14  # a hypercube


@pytest.mark.parametrize("side", [1, 3, 4])
def test_periodic_axis_shorter_than_the_window(side):
    with pytest.raises(ValueError, match=rf"the window, 5, got {side} along axis 1"):
        graphs.grid_local((9, side), 2, periodic=True)
    assert graphs.grid_local((9, side), 2, periodic=(True, False)).num_nodes == 9 * side


def test_periodic_of_another_length():
    with pytest.raises(ValueError, match=r"one bool for each of the 2 axes, got 1"):
        graphs.grid_local((9, 9), 2, periodic=(True,))
    with pytest.raises(TypeError, match=r"periodic\[1\] must be True or False, got 1"):
        graphs.grid_local((9, 9), 2, periodic=(True, 1))


def test_window_too_large_to_list():
    with pytest.raises(ValueError, match=r"window below .* got 1000000.0"):
        graphs.grid_local((9, 9), 1e6)


@pytest.mark.parametrize("distance", [1e9, 1e300])
def test_a_huge_window_is_refused_before_it_is_made(distance):
    with pytest.raises(ValueError, match="distance must keep the window below"):
        graphs.grid_local((28, 28), distance)


@settings(max_examples=100, deadline=None)
@given(grids())
def test_compiled_windows_are_the_same(grid):
    found = graphs.grid_local(**grid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "module", lambda: None)
        expected = graphs.grid_local(**grid)
    assert torch.equal(found.edge_index, expected.edge_index)
    assert torch.equal(found.edge_type, expected.edge_type)


def test_a_volume():
    data = graphs.grid_local((6, 5, 4), 1)
    assert data.num_edges == (3 * 6 - 2) * (3 * 5 - 2) * (3 * 4 - 2)
    source, target = data.edge_index
    assert (data.pos[target] - data.pos[source]).abs().max() == 1
    assert data.edge_type.unique().tolist() == list(range(27))


def hexagonal_by_hand(points, reach, self_loops, images):
    """The definition over all pairs; `images` are the shifts (r, q) that map to the same point."""
    steps = range(-reach, reach + 1)
    window = [
        (r, q)
        for r in steps
        for q in steps
        if abs(r + q) <= reach and (self_loops or (r, q) != (0, 0))
    ]
    assert len(window) == 3 * reach * (reach + 1) + self_loops
    number = {point: index for index, point in enumerate(points)}
    synapses = {}
    for source, (r, q) in enumerate(points):
        for kind, (down, along) in enumerate(window):
            for shift in images:
                end = (r + down + shift[0], q + along + shift[1])
                if end in number:
                    synapses[source, number[end]] = kind
    return synapses


@pytest.mark.parametrize("self_loops", [True, False])
@pytest.mark.parametrize("reach", [0, 1, 2])
@pytest.mark.parametrize("radius", [0, 1, 3])
def test_a_hexagon_equals_its_definition(radius, reach, self_loops):
    data = graphs.validate(graphs.hexagonal_lattice(radius, reach + 0.5, self_loops=self_loops))
    across = range(-radius, radius + 1)
    points = [(r, q) for r in across for q in across if abs(r + q) <= radius]
    assert data.num_nodes == len(points) == 3 * radius * (radius + 1) + 1
    pairs = zip(*data.edge_index.tolist(), strict=True)
    found = dict(zip(pairs, data.edge_type.tolist(), strict=True))
    assert found == hexagonal_by_hand(points, reach, self_loops, [(0, 0)])
    assert "shape" not in data


@pytest.mark.parametrize("periodic", [False, True, (True, False), (False, True)])
@pytest.mark.parametrize(("shape", "reach"), [((6, 5), 2), ((8, 9), 1), ((4, 3), 1)])
def test_a_honeycomb_sheet_equals_its_definition(shape, reach, periodic):
    rows, columns = shape
    data = graphs.validate(graphs.hexagonal_lattice(shape=shape, distance=reach, periodic=periodic))
    points = [(r, c - r // 2) for r in range(rows) for c in range(columns)]
    down, along = periodic if isinstance(periodic, tuple) else (periodic, periodic)
    images = [
        (up * rows, -up * rows // 2 + left * columns)
        for up in ((-1, 0, 1) if down else (0,))
        for left in ((-2, -1, 0, 1, 2) if along else (0,))
    ]
    pairs = zip(*data.edge_index.tolist(), strict=True)
    found = dict(zip(pairs, data.edge_type.tolist(), strict=True))
    assert found == hexagonal_by_hand(points, reach, True, images)
    assert data.shape == shape
    if periodic is True:
        assert set(data.edge_index[1].bincount().tolist()) == {3 * reach * (reach + 1) + 1}


@pytest.mark.parametrize("size", [{"radius": 4}, {"shape": (7, 6)}])
def test_neighbors_of_a_honeycomb_are_one_step_apart(size):
    data = graphs.hexagonal_lattice(**size, distance=1, self_loops=False)
    source, target = data.edge_index
    lengths = (data.pos[target] - data.pos[source]).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(data.num_edges))
    far = torch.cdist(data.pos, data.pos)
    assert ((far > 0) & (far < 1.01)).sum() == data.num_edges
    if "radius" in size:
        torch.testing.assert_close(data.pos.mean(dim=0), torch.zeros(2), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "shape must be given if and only if radius is not, got radius=None and"),
        (
            {"radius": 3, "shape": (3, 3)},
            "only if radius is not, got radius=3 and shape=\\(3, 3\\)",
        ),
        ({"radius": 3, "periodic": True}, "periodic must be False for a hexagon"),
        ({"shape": (5, 7), "periodic": True}, "even number of rows .* got 5; pass shape=\\(6, 7"),
        (
            {"shape": (6, 4), "periodic": True, "distance": 2},
            "the window, 5, got 4 along axis 1",
        ),
        ({"shape": (6, 4, 2)}, "rows and columns of a sheet, got \\(6, 4, 2\\)"),
        ({"radius": 3, "distance": 1e9}, "distance must keep the window below"),
    ],
)
def test_honeycombs_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        graphs.hexagonal_lattice(**options)
