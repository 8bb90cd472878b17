import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphs

# |z| >= 4.5 has a probability of 7 in a million. Seeds are fixed, so a passing test keeps passing.
Z = 4.5


def choices(known, own, friend, number, triangle) -> Iterator[tuple[tuple[int, ...], float]]:
    """All choices of a new neuron with their probabilities, as the paper defines them."""
    if len(own) == number:
        yield tuple(sorted(own)), 1.0
        return
    free = known[friend] - set(own) if own else set()
    closing = triangle if free else 0.0
    for found in free:
        for rest, chance in choices(known, [*own, found], friend, number, triangle):
            yield rest, closing / len(free) * chance
    degrees = {neuron: len(known[neuron]) for neuron in known if neuron not in own}
    for found, degree in degrees.items():
        for rest, chance in choices(known, [*own, found], found, number, triangle):
            yield rest, (1 - closing) * degree / sum(degrees.values()) * chance


def law(neurons, number, triangle):
    """The probability of every graph, from the choices of its new neurons."""
    chances = Counter({(tuple(range(number)),): 1.0})
    for newcomer in range(number + 1, neurons):
        before, chances = chances, Counter()
        for graph, chance in before.items():
            known = {neuron: set() for neuron in range(newcomer)}
            for sender, chosen in enumerate(graph, start=number):
                for each in chosen:
                    known[sender].add(each)
                    known[each].add(sender)
            for chosen, more in choices(known, [], -1, number, triangle):
                chances[(*graph, chosen)] += chance * more
    return chances


@pytest.mark.parametrize(
    ("neurons", "number", "triangle"),
    [(5, 1, 0.0), (5, 2, 0.0), (5, 2, 0.6), (6, 3, 1.0), (6, 3, 0.3)],
)
def test_every_graph_has_its_chance(neurons, number, triangle):
    chances = law(neurons, number, triangle)
    assert sum(chances.values()) == pytest.approx(1)
    draws = 4000
    rng = np.random.default_rng(0)
    found = Counter()
    for _ in range(draws):
        data = graphs.power_law_cluster(
            neurons, number, triangle, directed=True, outward=1.0, seed=rng
        )
        chosen = [[] for _ in range(neurons)]
        for source, target in data.edge_index.T.tolist():
            chosen[source].append(target)
        found[tuple(map(tuple, chosen[number:]))] += 1
    assert set(found) <= {graph for graph, chance in chances.items() if chance > 0}
    # Rare graphs are counted together, so that each count is approximately normal.
    common = [graph for graph, chance in chances.items() if chance * draws >= 10]
    expected = [chances[graph] * draws for graph in common]
    counts = [found[graph] for graph in common]
    rest = draws - sum(expected)
    if rest > 10:
        expected, counts = [*expected, rest], [*counts, draws - sum(counts)]
    chi2 = sum((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True))
    freedom = len(expected) - 1
    assert abs(chi2 - freedom) / math.sqrt(2 * freedom) < Z


@pytest.mark.parametrize("number", [1, 3, 8])
@pytest.mark.parametrize("triangle", [0.0, 0.8])
def test_degrees_follow_the_power_law(number, triangle):
    neurons, largest = 100_000, 12 * number
    data = graphs.power_law_cluster(neurons, number, triangle, seed=0)
    degrees = data.edge_index[0].bincount(minlength=neurons).numpy()
    k = np.arange(number, largest)
    chance = 2 * number * (number + 1) / (k * (k + 1) * (k + 2))
    expected = neurons * np.append(chance, 1 - chance.sum())
    found = np.bincount(np.minimum(degrees, largest), minlength=largest + 1)[number:]
    assert found.sum() == neurons - (degrees < number).sum()
    # The number of neurons with a given degree varies less than if neurons were independent.
    chi2 = ((found - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    assert (chi2 - freedom) / math.sqrt(2 * freedom) < Z, (chi2, freedom)


@given(st.integers(1, 8), st.integers(1, 60), st.floats(0, 1), st.integers(0, 99))
def test_newcomers_choose_older_neurons_once(number, more, triangle, seed):
    neurons = number + more
    data = graphs.power_law_cluster(
        neurons, number, triangle, directed=True, outward=1.0, seed=seed
    )
    assert graphs.validate(data).num_edges == number * more
    source, target = data.edge_index
    assert (source > target).all()
    assert source.bincount(minlength=neurons).tolist() == [0] * number + [number] * more
    pairs = graphs.power_law_cluster(neurons, number, triangle, seed=seed)
    assert pairs.num_edges == 2 * number * more
    assert pairs.is_undirected()
    older = pairs.edge_index[:, pairs.edge_index[0] > pairs.edge_index[1]]
    assert older.equal(data.edge_index)


@pytest.mark.parametrize("outward", [0.0, 0.25, 0.5])
def test_directions_are_drawn(outward):
    data = graphs.barabasi_albert(20_000, 5, directed=True, outward=outward, seed=0)
    draws = 5 * (20_000 - 5)
    assert graphs.validate(data).num_edges == draws
    outwards = int((data.edge_index[0] > data.edge_index[1]).sum())
    spread = math.sqrt(draws * outward * (1 - outward))
    assert abs(outwards - draws * outward) <= Z * spread


def test_all_three_properties_of_a_small_world():
    found = {}
    for neurons in (1000, 4000):
        for triangle in (0.0, 0.5, 1.0):
            data = graphs.power_law_cluster(neurons, 5, triangle, seed=0)
            found[neurons, triangle] = graphs.summary(data)
    for neurons in (1000, 4000):
        none, half, all_ = (found[neurons, triangle] for triangle in (0.0, 0.5, 1.0))
        assert none.clustering < half.clustering < all_.clustering
        assert half.path_length < 4.5
    # Clustering decreases with the number of neurons without triangle steps, and stays with them.
    assert found[4000, 0.0].clustering < 0.5 * found[1000, 0.0].clustering
    assert found[4000, 1.0].clustering > 0.9 * found[1000, 1.0].clustering > 0.4


def test_without_triangles_it_is_barabasi_albert():
    for options in ({}, {"directed": True, "self_loops": True}):
        one = graphs.power_law_cluster(200, 4, 0.0, seed=2, **options)
        assert one.edge_index.equal(graphs.barabasi_albert(200, 4, seed=2, **options).edge_index)


def test_pinned_degrees():
    degrees = graphs.barabasi_albert(784, 11, seed=0).edge_index[0].bincount()
    assert degrees.sum() == 2 * 11 * (784 - 11)
    assert degrees.topk(3).values.tolist() == [156, 147, 138]
    degrees = graphs.power_law_cluster(784, 11, 0.9, seed=0).edge_index[0].bincount()
    assert degrees.topk(3).values.tolist() == [150, 142, 139]


def test_a_star_where_there_is_one_newcomer():
    data = graphs.power_law_cluster(4, 3, 1.0)
    assert data.edge_index.tolist() == [[3, 3, 3, 0, 1, 2], [0, 1, 2, 3, 3, 3]]


def test_newcomers_need_older_neurons():
    with pytest.raises(ValueError, match=r"less than num_nodes = 3, got 3; pass num_nodes=4"):
        graphs.barabasi_albert(3, 3)
