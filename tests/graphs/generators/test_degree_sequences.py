import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphs

# |z| >= 4.5 has a probability of 7 in a million. Seeds are fixed, so a passing test keeps passing.
Z = 4.5


def made(received, sent, **options):
    """Make a configuration, and check that it is valid and has exactly these degrees."""
    data = graphs.validate(graphs.configuration(received, sent, **options))
    for degrees, end in ((sent, data.edge_index[0]), (received, data.edge_index[1])):
        assert end.bincount(minlength=len(degrees)).tolist() == list(degrees)
    assert options.get("self_loops") or not data.has_self_loops()
    return data


def graphs_of(neurons, self_loops):
    """All simple graphs, as matrices [source, target], by their degrees."""
    cells = [
        cell
        for cell in itertools.product(range(neurons), repeat=2)
        if self_loops or len({*cell}) > 1
    ]
    found = {}
    for bits in itertools.product((0, 1), repeat=len(cells)):
        matrix = np.zeros((neurons, neurons), dtype=int)
        matrix[tuple(zip(*cells, strict=True))] = bits
        degrees = tuple(matrix.sum(axis=0).tolist()), tuple(matrix.sum(axis=1).tolist())
        found.setdefault(degrees, []).append(matrix)
    return found


@pytest.mark.parametrize(("neurons", "self_loops"), [(2, False), (2, True), (3, False), (3, True)])
def test_exactly_the_degrees_of_graphs_are_taken(neurons, self_loops):
    known = graphs_of(neurons, self_loops)
    every = list(itertools.product(range(neurons + 1), repeat=neurons))
    for degrees in itertools.product(every, every):
        if degrees in known:
            made(*degrees, self_loops=self_loops, seed=0)
        else:
            with pytest.raises(ValueError, match=r"in_degrees|out_degrees"):
                graphs.configuration(*degrees, self_loops=self_loops, seed=0)


@given(st.integers(1, 12), st.floats(0, 1), st.booleans(), st.booleans(), st.integers(0, 2**32))
def test_any_graph_gives_degrees(neurons, probability, tight, self_loops, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.random((neurons, neurons)) < probability
    if tight:
        # Almost no other graph has the degrees of a triangular matrix.
        matrix = np.triu(matrix)
    if not self_loops:
        np.fill_diagonal(matrix, False)
    received, sent = matrix.sum(axis=0).tolist(), matrix.sum(axis=1).tolist()
    made(received, sent, self_loops=self_loops, seed=seed)


@pytest.mark.parametrize("self_loops", [False, True])
def test_all_graphs_of_small_degrees_are_nearly_equally_likely(self_loops):
    degrees = (1, 1, 2, 1), (2, 1, 1, 1)
    possible = len(graphs_of(4, self_loops)[degrees])
    draws = 100 * possible
    rng = np.random.default_rng(0)
    found = Counter(
        str(made(*degrees, self_loops=self_loops, seed=rng).edge_index.tolist())
        for _ in range(draws)
    )
    assert len(found) == possible
    assert min(found.values()) > 50
    assert max(found.values()) < 200


def test_synapses_join_in_proportion_to_degrees():
    draws = 200
    group = np.repeat([0, 1, 2], [200, 150, 50])
    degrees = np.array([2, 6, 12])[group]
    counts = np.zeros((3, 3))
    for seed in range(draws):
        source, target = made(degrees, degrees, seed=seed).edge_index.numpy()
        np.add.at(counts, (group[source], group[target]), 1)
    ends = np.array([400, 900, 600])
    expected = draws * np.outer(ends, ends) / ends.sum()
    # Removing repeated pairs affects the largest neurons most, by a few percent.
    assert np.abs(counts / expected - 1).max() < 0.05


def test_heavy_tails():
    # The largest neurons connect to a third of all others, so they were matched repeatedly.
    rng = np.random.default_rng(0)
    degrees = np.minimum((rng.pareto(1.1, 1500) + 1) * 3, 500).astype(int)
    made(degrees, rng.permutation(degrees), seed=0)
    made(degrees, degrees, seed=0, self_loops=True)


@pytest.mark.parametrize("self_loops", [False, True])
def test_the_only_graph_is_found(self_loops):
    neurons = 60
    sent = np.arange(neurons)[::-1]
    received = sent[::-1]
    data = made(received, sent, self_loops=self_loops, seed=0)
    if not self_loops:
        assert data.num_edges == math.comb(neurons, 2)
        assert (data.edge_index[0] < data.edge_index[1]).all()


def test_constructed_graphs_are_switched():
    # Neuron 0 sends to all, and random switches rarely find its only solution.
    neurons = 300
    sent = [neurons - 1] + [3] * (neurons - 1)
    received = [1] + [4] * (neurons - 2) + [sum(sent) - 1 - 4 * (neurons - 2)]
    one, other = (made(received, sent, seed=seed).edge_index for seed in (0, 1))
    assert not one.equal(other)


def test_pinned_synapses():
    data = graphs.configuration([1, 5, 2, 0] * 9, [2] * 36, seed=0)
    assert data.num_edges == 72
    assert int((data.edge_index[0] * data.edge_index[1]).sum()) == 21214


def test_no_neurons_no_synapses():
    assert made([], [], seed=0).num_nodes == 0
    assert made([0, 0], [0, 0], seed=0).num_nodes == 2


@pytest.mark.parametrize(
    ("received", "sent", "match"),
    [
        ([1, 0], [1], "the same length, got 2 and 1"),
        ([1, 1], [1, 0], "the same sum, the number of synapses, got 2 and 1"),
        ([2, 0], [1, 1], "in_degrees must be at most 1, the number of partners, got 2"),
        (
            [0, 1],
            [0, 1],
            "a sum of 1 for the 1 largest in-degrees, .* can receive at most 0",
        ),
        (
            [2, 2, 0, 0],
            [2, 2, 0, 0],
            "a sum of 2 for the 1 largest in-degrees, .* can receive at most 1",
        ),
    ],
)
def test_what_no_graph_has_is_refused_with_the_reason(received, sent, match):
    with pytest.raises(ValueError, match=match):
        graphs.configuration(received, sent)
