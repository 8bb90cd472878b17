import math

import numpy as np
import pytest
import torch

import graphs
from graphs import compiled

# |z| >= 4.5 has a probability of 7 in a million. Seeds are fixed, so a passing test keeps passing.
Z = 4.5


def ring_share(data, neighbors):
    """Fraction of synapses between neurons that are neighbors on the ring."""
    source, target = data.edge_index
    apart = (source - target) % data.num_nodes
    apart = torch.minimum(apart, data.num_nodes - apart)
    return float((apart <= neighbors // 2).double().mean())


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("method", ["watts-strogatz", "newman-watts"])
def test_without_rewiring_it_is_a_ring(method, directed):
    data = graphs.small_world(11, 4, 0, method=method, directed=directed)
    expected = {(s, (s + step) % 11) for s in range(11) for step in (-2, -1, 1, 2)}
    assert set(zip(*data.edge_index.tolist(), strict=True)) == expected
    assert data.num_edges == 44


@pytest.mark.parametrize("neighbors", [2, 4, 6, 10, 20])
def test_clustering_of_the_ring(neighbors):
    found = graphs.clustering(graphs.small_world(200, neighbors, 0))
    assert found.value == pytest.approx(3 * (neighbors - 2) / (4 * (neighbors - 1)), abs=1e-12)


@pytest.mark.parametrize("rewire", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("self_loops", [False, True])
def test_directed_watts_strogatz_keeps_sources_and_number(rewire, self_loops):
    data = graphs.small_world(300, 8, rewire, self_loops=self_loops, seed=1)
    assert data.num_edges == 300 * 8 + 300 * self_loops
    assert set(data.edge_index[0].bincount().tolist()) == {8 + self_loops}
    assert graphs.validate(data) is data


def test_undirected_watts_strogatz_keeps_the_number():
    data = graphs.small_world(300, 8, 0.7, directed=False, seed=1)
    assert data.num_edges == 300 * 8
    assert data.is_undirected()
    # Every neuron keeps the half of its pairs of which it is the source.
    assert data.edge_index[0].bincount().min() >= 4


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("rewire", [0.02, 0.3, 1.0])
def test_share_of_rewired_synapses(rewire, directed):
    neurons, neighbors = 20_000, 10
    data = graphs.small_world(neurons, neighbors, rewire, directed=directed, seed=2)
    draws = data.num_edges if directed else data.num_edges / 2
    # A shortcut may hit a place that became free, at most with the probability of a random neuron.
    slack = rewire * neighbors / (neurons - neighbors)
    deviation = abs(1 - ring_share(data, neighbors) - rewire)
    assert deviation < Z * math.sqrt(rewire * (1 - rewire) / draws) + slack


def test_shortcuts_lead_anywhere_alike():
    neurons, neighbors = 101, 4
    counts = np.zeros(neurons)
    for seed in range(100):
        data = graphs.small_world(neurons, neighbors, 1.0, seed=seed)
        source, target = data.edge_index.numpy()
        counts += np.bincount((target - source) % neurons, minlength=neurons)
    assert counts[0] == 0
    far = counts[neighbors // 2 + 1 : -neighbors // 2]
    chi2 = ((far - far.mean()) ** 2 / far.mean()).sum()
    freedom = len(far) - 1
    assert abs(chi2 - freedom) / math.sqrt(2 * freedom) < Z


@pytest.mark.parametrize("rewire", [0.0, 0.05, 0.2, 0.5])
def test_clustering_of_watts_strogatz(rewire):
    # C(p) = C(0) (1 - p)^3 up to terms of order k / N.
    neurons, neighbors = 4000, 10
    found = [
        graphs.clustering(
            graphs.small_world(neurons, neighbors, rewire, directed=False, seed=seed),
            max_sources=neurons,
        ).value
        for seed in range(5)
    ]
    expected = 3 * (neighbors - 2) / (4 * (neighbors - 1)) * (1 - rewire) ** 3
    assert np.mean(found) == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize("rewire", [0.05, 0.2, 0.5, 1.0])
def test_transitivity_of_newman_watts(rewire):
    # Three times the triangles over the connected triples, up to terms of order 1 / N.
    neurons, k = 20_000, 8
    options = {"method": "newman-watts", "directed": False}
    found = []
    for seed in range(2):
        matrix = graphs.to_scipy(graphs.small_world(neurons, k, rewire, seed=seed, **options))
        degree = matrix.sum(axis=0)
        closed = (matrix @ matrix).multiply(matrix).sum()
        found.append(closed / (degree * (degree - 1)).sum())
    # Newman's formula has no 2 p^2, because it assumes a Poisson number of shortcuts per neuron.
    # Here half of the shortcuts of a neuron come from its own k / 2 pairs. They are binomial, which
    # lowers the variance of its degree by k p^2 / 2.
    poisson = 4 * (k - 1) + 4 * k * rewire * (rewire + 2)
    assert np.mean(found) == pytest.approx(3 * (k - 2) / (poisson - 2 * rewire**2), rel=0.008)
    assert np.mean(found) == pytest.approx(3 * (k - 2) / poisson, rel=0.03)


@pytest.mark.parametrize("directed", [True, False])
def test_newman_watts_adds_to_the_ring(directed):
    neurons, neighbors, rewire = 5000, 6, 0.25
    options = {"method": "newman-watts", "directed": directed}
    data = graphs.small_world(neurons, neighbors, rewire, seed=0, **options)
    ring = graphs.small_world(neurons, neighbors, 0, **options)
    pairs = set(zip(*data.edge_index.tolist(), strict=True))
    assert pairs > set(zip(*ring.edge_index.tolist(), strict=True))
    draws = neurons * neighbors // (1 if directed else 2)
    added = (data.num_edges - ring.num_edges) / (1 if directed else 2)
    assert abs(added - draws * rewire) / math.sqrt(draws * rewire * (1 - rewire)) < Z


def test_small_world_regime():
    ring, small, random = (
        graphs.summary(graphs.small_world(1000, 10, rewire, directed=False, seed=0))
        for rewire in (0.0, 0.01, 1.0)
    )
    # Figure 2 of Watts and Strogatz: at p = 0.01 L is much smaller than at p = 0, and C is not.
    assert small.path_length < 0.25 * ring.path_length
    assert small.clustering > 0.9 * ring.clustering
    assert random.clustering < 0.05 * ring.clustering


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("method", ["watts-strogatz", "newman-watts"])
@pytest.mark.parametrize(("neurons", "neighbors"), [(3, 2), (5, 4), (21, 20), (30, 28), (6, 4)])
def test_saturated_neurons_come_to_an_end(neurons, neighbors, method, directed):
    data = graphs.small_world(neurons, neighbors, 1.0, method=method, directed=directed, seed=0)
    graphs.validate(data)
    assert not data.has_self_loops()
    if method == "watts-strogatz":
        assert data.num_edges == neurons * neighbors
    if neighbors == neurons - 1:
        assert data.num_edges == neurons * (neurons - 1)


def test_the_last_free_place_is_found():
    # Each neuron has one free target, which its shortcut must find.
    data = graphs.small_world(40, 38, 1.0, method="newman-watts", seed=0)
    assert data.num_edges == 40 * 39


def test_points_on_the_unit_circle():
    data = graphs.small_world(8, 2, 0)
    torch.testing.assert_close(data.pos.norm(dim=1), torch.ones(8))
    torch.testing.assert_close(data.pos[2], torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize(
    ("options", "synapses"),
    [
        ({"method": "newman-watts"}, 19022),
        ({"method": "newman-watts", "directed": False}, 19028),
        ({"method": "watts-strogatz"}, 17248),
    ],
)
def test_pinned_number_of_synapses(options, synapses):
    assert graphs.small_world(784, 22, 0.1, seed=0, **options).num_edges == synapses


@pytest.mark.parametrize("neurons", [0, 1, 2])
def test_no_neighbors(neurons):
    data = graphs.small_world(neurons, 0, 0.5, self_loops=True, seed=0)
    assert graphs.validate(data).edge_index.tolist() == [list(range(neurons))] * 2


def test_neighbors_odd_or_too_many():
    with pytest.raises(ValueError, match=r"even, half on each side, got 5; pass neighbors=4"):
        graphs.small_world(10, 5, 0.1)
    with pytest.raises(ValueError, match=r"less than num_nodes = 10, got 10; pass neighbors=8"):
        graphs.small_world(10, 10, 0.1)


needs_helpers = pytest.mark.skipif(
    compiled.module() is None, reason="no compiled helpers; .ci/run asserts them"
)


@needs_helpers
@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("method", ["watts-strogatz", "newman-watts"])
def test_rings_are_the_same_without_compiled_helpers(plain, method, directed):
    options = {"method": method, "directed": directed}
    for neurons, neighbors, rewire in ((3000, 8, 0.3), (12, 10, 0.9), (7, 6, 1.0), (1, 0, 0.5)):
        for seed in range(3):
            draws = [np.random.default_rng(seed) for _ in range(2)]
            one, other = (
                run(graphs.small_world, neurons, neighbors, rewire, seed=rng, **options)
                for run, rng in zip((lambda f, *a, **k: f(*a, **k), plain), draws, strict=True)
            )
            assert torch.equal(one.edge_index, other.edge_index)
            assert draws[0].random() == draws[1].random()


@needs_helpers
def test_no_shortcut_is_placed_unchecked():
    shortcuts = compiled.module().Shortcuts
    for neurons, neighbors in ((4, 3), (4, 4), (-1, 0), (4, -2)):
        with pytest.raises(ValueError, match="neighbors must be even"):
            shortcuts(neurons, neighbors, True, np.array([0]), False)
    for wrong in ([-1], [10], [3, 2], [3, 3], [2**62]):
        with pytest.raises(IndexError, match="chosen synapses must rise"):
            shortcuts(5, 2, True, np.array(wrong), False)
    ring = shortcuts(5, 2, True, np.array([0, 3]), True)
    for wrong in (0, 5, 2**62):
        with pytest.raises(IndexError, match=r"in \[1, neurons\)"):
            ring.place(np.array([2, wrong]))
    with pytest.raises(ValueError, match="one draw for each"):
        ring.place(np.array([2]))
    # 0 -> 1 is on the ring, 1 -> 3 is free.
    ring.place(np.array([1, 2]))
    assert ring.waiting == 1
    ends, left = ring.ends()
    assert ends[:, 10:].tolist() == [[0, 1], [-1, 3]]
    assert left.tolist() == [10]
