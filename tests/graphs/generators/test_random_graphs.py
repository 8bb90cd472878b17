import itertools
import math
from collections import Counter

import numpy as np
import pytest

import graphs

# |z| >= 4.5 has a probability of 7 in a million. Seeds are fixed, so a passing test keeps passing.
Z = 4.5


def test_number_of_synapses_of_erdos_renyi():
    neurons, draws = 300, 200
    for probability, directed in itertools.product((0.01, 0.4, 0.9), (True, False)):
        pairs = neurons * (neurons - 1) // (1 if directed else 2)
        found = sum(
            graphs.erdos_renyi(
                neurons, probability=probability, directed=directed, seed=seed
            ).num_edges
            for seed in range(draws)
        ) / (1 if directed else 2)
        spread = math.sqrt(draws * pairs * probability * (1 - probability))
        assert abs(found - draws * pairs * probability) < Z * spread


@pytest.mark.parametrize("directed", [True, False])
def test_degrees_of_erdos_renyi_are_binomial(directed):
    neurons, probability = 40_000, 8 / 40_000
    data = graphs.erdos_renyi(neurons, probability=probability, directed=directed, seed=0)
    for end in data.edge_index:
        found = end.bincount(minlength=neurons).bincount(minlength=20).numpy()[:20]
        chance = np.array(
            [
                math.comb(neurons - 1, k) * probability**k * (1 - probability) ** (neurons - 1 - k)
                for k in range(20)
            ]
        )
        # Two degrees have at most one pair in common, so they are almost independent.
        chi2 = ((found - neurons * chance) ** 2 / (neurons * chance)).sum()
        assert abs(chi2 - 19) / math.sqrt(2 * 19) < Z


@pytest.mark.parametrize(
    ("directed", "synapses", "different"), [(True, 2, 15), (True, 5, 6), (False, 4, 3)]
)
def test_all_graphs_of_a_size_are_equally_likely(directed, synapses, different):
    draws = 200 * different
    rng = np.random.default_rng(synapses)
    found = Counter(
        str(graphs.fixed_total(3, synapses, directed=directed, seed=rng).edge_index.tolist())
        for _ in range(draws)
    )
    assert len(found) == different
    chi2 = sum((count - 200) ** 2 / 200 for count in found.values())
    assert abs(chi2 - different + 1) / math.sqrt(2 * (different - 1)) < Z


def test_sources_of_a_fixed_in_degree_are_any_set():
    draws = 3000
    rng = np.random.default_rng(0)
    found = Counter()
    for _ in range(draws):
        source = graphs.fixed_in_degree(5, 2, seed=rng).edge_index[0].reshape(5, 2)
        found.update((target, *pair) for target, pair in enumerate(source.tolist()))
    # Each neuron independently draws one of C(4, 2) sets of sources.
    assert len(found) == 5 * 6
    chi2 = sum((count - draws / 6) ** 2 / (draws / 6) for count in found.values())
    assert abs(chi2 - 25) / math.sqrt(2 * 25) < Z


@pytest.mark.parametrize("self_loops", [False, True])
@pytest.mark.parametrize("degree", [0, 1, 7, 30, 49])
def test_fixed_degrees_are_exact(degree, self_loops):
    options = {"self_loops": self_loops, "seed": 0}
    received = graphs.fixed_in_degree(50, degree, **options)
    sent = graphs.fixed_out_degree(50, degree, **options)
    for data, end in ((received, 1), (sent, 0)):
        graphs.validate(data)
        assert set(data.edge_index[end].bincount(minlength=50).tolist()) == {degree + self_loops}


def test_a_fixed_out_degree_is_a_fixed_in_degree_turned_around():
    received = graphs.fixed_in_degree(50, 7, seed=3).edge_index
    sent = graphs.fixed_out_degree(50, 7, seed=3).edge_index
    assert set(zip(*received.tolist(), strict=True)) == set(
        zip(*sent.flip(0).tolist(), strict=True)
    )


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("synapses", [0, 2, 100, 1400, 2450])
def test_a_fixed_total_is_exact(synapses, directed):
    data = graphs.fixed_total(50, synapses, directed=directed, seed=1)
    assert graphs.validate(data).num_edges == synapses
    assert not data.has_self_loops()


def test_clustering_and_reciprocity_are_the_probability():
    data = graphs.erdos_renyi(400, probability=0.1, seed=0)
    matrix = graphs.to_scipy(data)
    assert matrix.multiply(matrix.T).sum() / data.num_edges == pytest.approx(0.1, abs=0.01)
    undirected = graphs.erdos_renyi(400, probability=0.1, directed=False, seed=0)
    assert graphs.clustering(undirected, max_sources=400).value == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("options", "synapses"),
    [
        ({"probability": 0.03}, 18624),
        ({"probability": 0.03, "directed": False}, 18620),
        ({"probability": 0.7}, 429662),
    ],
)
def test_pinned_number_of_synapses(options, synapses):
    assert graphs.erdos_renyi(784, seed=0, **options).num_edges == synapses


@pytest.mark.parametrize("neurons", [0, 1])
def test_no_pairs(neurons):
    loops = [list(range(neurons))] * 2
    for data in (
        graphs.erdos_renyi(neurons, probability=0.5, self_loops=True),
        graphs.erdos_renyi(neurons, probability=0.5, self_loops=True, directed=False),
        graphs.fixed_total(neurons, 0, self_loops=True),
        graphs.fixed_in_degree(neurons, 0, self_loops=True),
        graphs.fixed_out_degree(neurons, 0, self_loops=True),
    ):
        assert graphs.validate(data).edge_index.tolist() == loops


def test_more_than_there_is_room_for():
    with pytest.raises(ValueError, match=r"at most num_nodes .* = 90, got 91; pass num_edges=90"):
        graphs.fixed_total(10, 91)
    with pytest.raises(ValueError, match=r"must be even if not directed.*got 7; pass num_edges=6"):
        graphs.fixed_total(10, 7, directed=False)
    with pytest.raises(TypeError, match=r"num_edges must be an integer"):
        graphs.fixed_total(10, None)
    with pytest.raises(ValueError, match=r"in_degree must be less than num_nodes = 10, got 10"):
        graphs.fixed_in_degree(10, 10)
