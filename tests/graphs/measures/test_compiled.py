"""Measures with and without the compiled helpers."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch_geometric.data import Data

import graphs
from graphs import compiled
from graphs.measures.connectedness import by_size

pytestmark = pytest.mark.skipif(
    compiled.module() is None, reason="no compiled helpers; .ci/run asserts them"
)

MEASURES = {
    "in": lambda data: graphs.degree_distribution(data, direction="in"),
    "out": lambda data: graphs.degree_distribution(data, direction="out"),
    "both": lambda data: graphs.degree_distribution(data, direction="both"),
    "weak": lambda data: graphs.components(data, connection="weak"),
    "strong": lambda data: graphs.components(data, connection="strong"),
    "strongly_connected": graphs.strongly_connected,
    "reciprocity": graphs.reciprocity,
    "modularity": lambda data: graphs.modularity(data, np.arange(data.num_nodes) // 3),
    "wiring_length": graphs.wiring_length,
}


def connectome(seed, *, ordered, typed):
    rng = np.random.default_rng(seed)
    neurons = int(rng.integers(1, 60))
    edges = rng.integers(neurons, size=(2, int(rng.integers(0, 3 * neurons))))
    kind = rng.integers(5, size=edges.shape[1]) if typed else np.zeros(edges.shape[1], np.int64)
    # Sorted by target, source and type, without duplicates.
    target, source, kind = np.unique(np.stack((edges[1], edges[0], kind)), axis=1)
    order = np.arange(len(source)) if ordered else rng.permutation(len(source))
    data = Data(
        edge_index=torch.from_numpy(np.stack((source, target))[:, order]), num_nodes=neurons
    )
    data.pos = torch.from_numpy(rng.random((neurons, 1 + seed % 3), dtype=np.float32))
    if typed:
        data.edge_type = torch.from_numpy(kind[order])
    return data


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
def test_measures_are_the_same_without(plain, name, ordered, typed):
    for seed in range(12):
        data = connectome(seed, ordered=ordered, typed=typed)
        one, other = MEASURES[name](data), plain(MEASURES[name], data)
        assert type(one) is type(other)
        for each, without in zip(np.atleast_1d(one), np.atleast_1d(other), strict=True):
            assert np.array_equal(each, without, equal_nan=True)


@pytest.mark.parametrize("groups", [1, 3, 200])
def test_groups_are_numbered_the_same_without(plain, groups):
    group = np.random.default_rng(groups).integers(groups, size=200)
    assert np.array_equal(by_size(group), plain(by_size, group))
    assert by_size(np.empty(0, np.int64)).tolist() == []


@pytest.mark.parametrize("resolution", [0.0, 0.3, 1.0, 5.0])
def test_communities_are_the_same_without(plain, resolution):
    for seed in range(12):
        data = connectome(seed, ordered=seed % 2 == 0, typed=seed % 3 == 0)
        one = graphs.communities(data, resolution=resolution, seed=seed)
        other = plain(graphs.communities, data, resolution=resolution, seed=seed)
        assert one.dtype == other.dtype == np.int64
        assert np.array_equal(one, other)
    worm = graphs.c_elegans()
    assert np.array_equal(
        graphs.communities(worm, resolution=resolution),
        plain(graphs.communities, worm, resolution=resolution),
    )


def test_moves_are_checked():
    pointer, index, ones = np.array([0, 1, 2]), np.array([1, 0], np.int32), np.ones(2, np.int64)
    moved = compiled.module().moved
    assert moved(pointer, index, ones, ones, ones, 0.25, 1e-5).tolist() == [1, 1]
    for wrong in (-1, 2):
        with pytest.raises(IndexError, match="is not a neuron"):
            moved(pointer, np.array([wrong, 0], np.int32), ones, ones, ones, 0.25, 1e-5)
    for wrong in (pointer[:2], np.array([0, 2, 1])):
        with pytest.raises(ValueError, match=r"weight for each|pointers must rise"):
            moved(wrong, index, ones, ones, ones, 0.25, 1e-5)
    for at in range(3):
        sums = [ones[:1] if each == at else ones for each in range(3)]
        with pytest.raises(ValueError, match="a weight for each synapse, and sums for each neuron"):
            moved(pointer, index, *sums, 0.25, 1e-5)


def test_strong_parts_are_found_along_any_path():
    """The path visits all neurons, so recursion would overflow the stack."""
    neurons = 200_000
    number = np.arange(neurons)
    ring = compiled.module().strong_parts(number, (number + 1) % neurons, neurons)
    assert (ring == ring[0]).all()
    path = compiled.module().strong_parts(number[:-1], number[1:], neurons)
    assert len(np.unique(path)) == neurons
    for degree in (0.9, 1.5, 3.0):
        data = graphs.erdos_renyi(20_000, probability=degree / 20_000, seed=0)
        source, target = data.edge_index.numpy()
        matrix = csr_array((np.ones(len(source)), (source, target)), shape=(20_000,) * 2)
        _, part = connected_components(matrix, connection="strong")
        assert np.array_equal(graphs.components(data), by_size(part))


@pytest.mark.parametrize("wrong", [-1, 3, 2**62])
@pytest.mark.parametrize("name", ["weak_parts", "strong_parts", "degrees", "lengths", "group_ends"])
def test_no_index_is_used_unchecked(name, wrong):
    function, good, bad = getattr(compiled.module(), name), np.array([0, 2]), np.array([wrong, 0])
    last = {"lengths": np.zeros((3, 2), np.float32), "group_ends": np.array([0, 2, 0])}.get(name, 3)
    function(good, good, last)
    with pytest.raises(IndexError, match="is not a neuron"):
        function(bad, good, last)
    with pytest.raises(ValueError, match="one length"):
        function(good, good[:1], last)
    with pytest.raises(TypeError):
        function(good.astype(np.int32), good, last)
    if name != "degrees":
        with pytest.raises(IndexError, match="is not a neuron"):
            function(good, bad, last)


def test_groups_and_coordinates_are_checked():
    helpers, ends = compiled.module(), (np.array([0]), np.array([1]))
    for wrong in (-1, 2, 2**62):
        with pytest.raises(IndexError, match="below N"):
            helpers.group_ends(*ends, np.array([0, wrong]))
        with pytest.raises(IndexError, match="below N"):
            helpers.by_size(np.array([0, wrong]))
    for axes in (0, 4):
        with pytest.raises(ValueError, match="1, 2 or 3 coordinates"):
            helpers.lengths(*ends, np.zeros((2, axes), np.float32))
    assert helpers.lengths(*ends, np.array([[0, 0], [3, 4]], np.float32)).tolist() == [5.0]
