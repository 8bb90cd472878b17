from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch_geometric.data import Data

import graphs

# False-alarm rate of a statistical test; seeds are fixed, so a test that passes keeps passing.
FALSE_ALARM = 1e-5

SPATIAL = graphs.coordinate_random(300, (6, 5), 1.2, seed=0)
SPATIAL.edge_weight = torch.arange(SPATIAL.num_edges, dtype=torch.float32)
MODELS = {
    "degrees": graphs.rewire_degrees,
    "self_loops": lambda data, **more: graphs.rewire_degrees(data, self_loops=True, **more),
    "reciprocal": graphs.rewire_reciprocal,
    "degrees and populations": lambda data, **more: graphs.rewire_degrees(
        populated(data), populations=True, **more
    ),
    "reciprocal and populations": lambda data, **more: graphs.rewire_reciprocal(
        populated(data), populations=True, **more
    ),
    "lengths": lambda data, **more: graphs.rewire_lengths(data, 0.4, **more),
    "one bin of lengths": lambda data, **more: graphs.rewire_lengths(data, 1000.0, **more),
}


def populated(data):
    """The same connectome with three populations."""
    data = data.clone()
    data.node_type = torch.arange(data.num_nodes) % 3
    return data


every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


def connectome(pairs, neurons):
    index = torch.tensor(sorted(pairs), dtype=torch.int64).reshape(-1, 2).T.contiguous()
    return Data(edge_index=index, num_nodes=neurons)


def pairs_of(data):
    return tuple(sorted(zip(*data.edge_index.tolist(), strict=True)))


def degrees(pairs):
    return Counter(s for s, _ in pairs), Counter(t for _, t in pairs)


def reciprocal_degrees(pairs):
    held = set(pairs)
    return Counter(s for s, t in pairs if (t, s) in held and s != t)


def block_counts(pairs):
    """The number of synapses between each two populations of `populated`."""
    return Counter((s % 3, t % 3) for s, t in pairs)


def lengths(data, width):
    source, target = data.pos.double()[data.edge_index]
    return Counter(((source - target).norm(dim=1) / width).long().tolist())


@st.composite
def connectomes(draw):
    neurons = draw(st.integers(1, 8))
    pairs = draw(st.sets(st.tuples(*[st.integers(0, neurons - 1)] * 2)))
    data = connectome(pairs, neurons)
    data.pos = torch.arange(neurons, dtype=torch.float32)[:, None] ** 1.3
    return data


@every_model
@settings(max_examples=40)
@given(data=connectomes(), seed=st.integers(0, 99))
def test_degrees_stay(model, data, seed):
    null = graphs.validate(model(data, swaps=5, seed=seed))
    before, after = pairs_of(data), pairs_of(null)
    assert len(set(after)) == len(before)
    assert degrees(after) == degrees(before)
    if model is not MODELS["self_loops"]:
        assert {p for p in after if p[0] == p[1]} == {p for p in before if p[0] == p[1]}
    if model in (MODELS["degrees and populations"], MODELS["reciprocal and populations"]):
        assert block_counts(after) == block_counts(before)
    if model in (MODELS["reciprocal"], MODELS["reciprocal and populations"]):
        assert reciprocal_degrees(after) == reciprocal_degrees(before)
    if model is MODELS["lengths"]:
        assert lengths(null, 0.4) == lengths(data, 0.4)


@every_model
def test_a_large_graph_is_another_one(model):
    null = graphs.validate(model(SPATIAL, seed=0))
    before, after = pairs_of(SPATIAL), pairs_of(null)
    assert degrees(after) == degrees(before)
    kept = len(set(before) & set(after)) / len(before)
    assert kept < (0.9 if model is MODELS["lengths"] else 0.12)
    # A weight keeps its source.
    source = torch.empty(SPATIAL.num_edges, dtype=torch.int64)
    source[null.edge_weight.long()] = null.edge_index[0]
    assert torch.equal(source, SPATIAL.edge_index[0])
    assert torch.equal(null.pos, SPATIAL.pos)


def test_reciprocity_of_a_large_graph_stays():
    before = pairs_of(SPATIAL)
    both = reciprocal_degrees(before)
    assert sum(both.values()) > len(before) / 3
    assert reciprocal_degrees(pairs_of(graphs.rewire_reciprocal(SPATIAL, seed=0))) == both
    lost = reciprocal_degrees(pairs_of(graphs.rewire_degrees(SPATIAL, seed=0)))
    assert sum(lost.values()) < sum(both.values()) / 4


@pytest.mark.parametrize("width", [0.05, 0.4, 10.0])
def test_lengths_of_a_large_graph_stay(width):
    null = graphs.rewire_lengths(SPATIAL, width, swaps=20, seed=0)
    assert lengths(null, width) == lengths(SPATIAL, width)
    sums = [
        (data.pos[data.edge_index[0]] - data.pos[data.edge_index[1]]).norm(dim=1).sort().values
        for data in (SPATIAL, null)
    ]
    assert (sums[0] - sums[1]).abs().max() < width


def all_graphs(pairs, neurons, loops):
    """Every graph with the degrees of this one."""
    out, into = degrees(pairs)
    rows = [
        list(combinations([t for t in range(neurons) if loops or t != s], out[s]))
        for s in range(neurons)
    ]
    for targets in product(*rows):
        if Counter(t for row in targets for t in row) == into:
            yield tuple(sorted((s, t) for s, row in enumerate(targets) for t in row))


RING = [(0, 1), (1, 2), (2, 0)]
PATHS = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 2)]
# Neurons 0 and 3, 1 and 4, 2 and 5 are the populations.
BLOCKS = [(0, 1), (3, 4), (0, 2), (3, 5), (1, 3), (4, 0), (2, 4)]
PAIRED_BLOCKS = [(0, 1), (1, 0), (3, 4), (4, 3), (0, 2), (3, 5), (2, 1), (5, 4)]
PAIRED = [(0, 1), (1, 0), (2, 3), (3, 2), (0, 4), (4, 2), (5, 1)]


@pytest.mark.parametrize(
    ("pairs", "neurons", "model", "number"),
    [
        (RING, 3, "degrees", 2),
        (RING, 3, "self_loops", 6),
        ([*RING, (0, 3), (3, 1)], 4, "degrees", 7),
        # A cycle that no swap reverses; a fourth neuron is connected to all three alike.
        ([*RING, (3, 0), (3, 1), (3, 2)], 4, "degrees", 2),
        (PATHS, 5, "degrees", 48),
        ([(0, 0), (0, 1), (1, 2), (2, 0)], 3, "self_loops", 5),
        (PAIRED, 6, "reciprocal", None),
        (BLOCKS, 6, "degrees and populations", 16),
        (PAIRED_BLOCKS, 6, "reciprocal and populations", None),
        ([*RING, (0, 3), (3, 1)], 4, "one bin of lengths", 7),
    ],
)
def test_all_graphs_are_equally_likely(pairs, neurons, model, number):
    expected = set(all_graphs(pairs, neurons, model == "self_loops"))
    if "populations" in model:
        count = block_counts(pairs)
        expected = {each for each in expected if block_counts(each) == count}
    if "reciprocal" in model:
        both = reciprocal_degrees(pairs)
        expected = {each for each in expected if reciprocal_degrees(each) == both}
    assert number in (None, len(expected))
    rng, runs = np.random.default_rng(0), 20 * len(expected)
    data = connectome(pairs, neurons)
    data.pos = torch.arange(neurons, dtype=torch.float32)[:, None] ** 1.3
    counts = Counter(pairs_of(MODELS[model](data, swaps=30, seed=rng)) for _ in range(runs))
    assert set(counts) == expected
    found = sum((counts[each] - 20) ** 2 / 20 for each in expected)
    assert found < chi2.isf(FALSE_ALARM, len(expected) - 1)


def test_a_null_model_has_no_more_clustering_than_chance():
    ring = graphs.small_world(1000, 10, 0.0)
    null = graphs.rewire_degrees(ring, seed=0)
    assert graphs.clustering(ring).value > 0.6
    assert graphs.clustering(null).value < 0.05


@every_model
def test_the_seed_and_the_graph_decide(model):
    shuffled = SPATIAL.clone()
    mixed = torch.randperm(SPATIAL.num_edges, generator=torch.Generator().manual_seed(0))
    shuffled.edge_index = SPATIAL.edge_index[:, mixed]
    shuffled.edge_weight = SPATIAL.edge_weight[mixed]
    one, other = (model(data, seed=3) for data in (SPATIAL, shuffled))
    assert torch.equal(one.edge_index, other.edge_index)
    assert torch.equal(one.edge_weight, other.edge_weight)
    assert not torch.equal(one.edge_index, model(SPATIAL, seed=4).edge_index)
    assert pairs_of(model(SPATIAL, swaps=0)) == pairs_of(SPATIAL)


@every_model
def test_bad_input(model):
    twice = Data(
        edge_index=torch.tensor([[0, 0], [1, 1]]),
        num_nodes=2,
        edge_type=torch.tensor([0, 1]),
        pos=torch.zeros(2, 1),
    )
    with pytest.raises(ValueError, match=r"no two neurons twice .*got 0 -> 1 with .*; pass"):
        model(twice)
    with pytest.raises(ValueError, match=r"swaps must be .*got -1.0; pass"):
        model(SPATIAL, swaps=-1)
    with pytest.raises(TypeError, match=r"seed must be .*pass seed=0"):
        model(SPATIAL, seed="a")


@pytest.mark.parametrize("model", [graphs.rewire_degrees, graphs.rewire_reciprocal])
def test_populations_need_types(model):
    with pytest.raises(ValueError, match="populations=True needs node_type, and data has none"):
        model(SPATIAL, populations=True)


def test_lengths_need_positions_and_a_width():
    with pytest.raises(ValueError, match=r"must have pos .*got none; set data.pos"):
        graphs.rewire_lengths(connectome(RING, 3), 1.0)
    with pytest.raises(ValueError, match=r"tolerance must be .*> 0, got 0.0; pass"):
        graphs.rewire_lengths(SPATIAL, 0)


@pytest.mark.parametrize("name", ["degrees", "reciprocal", "lengths"])
def test_pinned_graphs(name):
    # Sums over all synapses identify the graph.
    source, target = MODELS[name](SPATIAL, seed=0).edge_index
    found = int((source * target).sum())
    assert found == {"degrees": 89030849, "reciprocal": 88909062, "lengths": 88628869}[name]


def test_rewiring_by_length_tells_where_hardly_any_synapse_moves():
    data = graphs.coordinate_random(300, (10, 10), 1.5, seed=0)
    with pytest.warns(UserWarning, match=r"only \d+ of \d+ synapses .* pass a larger tolerance"):
        graphs.rewire_lengths(data, 1e-6, seed=0)
    null = graphs.rewire_lengths(data, seed=0)
    assert (null.edge_index != data.edge_index).any(dim=0).float().mean() > 0.1
