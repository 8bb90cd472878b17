from collections import Counter
from itertools import combinations

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


def connectome(pairs, kinds):
    index = torch.tensor(sorted(pairs), dtype=torch.int64).reshape(-1, 2).T.contiguous()
    data = Data(edge_index=index, num_nodes=len(kinds), node_type=torch.tensor(kinds))
    data.edge_weight = torch.arange(1, len(pairs) + 1, dtype=torch.float32)
    return data


def blocks(data):
    """The weights of the synapses between each two populations."""
    source, target = data.node_type[data.edge_index].tolist()
    found = {}
    for pair, weight in zip(
        zip(source, target, strict=True), data.edge_weight.tolist(), strict=True
    ):
        found.setdefault(pair, []).append(weight)
    return {pair: sorted(weights) for pair, weights in found.items()}


@st.composite
def connectomes(draw):
    kinds = draw(st.lists(st.integers(0, 3), min_size=1, max_size=8))
    pairs = draw(st.sets(st.tuples(*[st.integers(0, len(kinds) - 1)] * 2), min_size=1))
    return connectome(pairs, kinds)


@given(connectomes(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_blocks_and_their_weights_are_preserved(data, seed):
    null = graphs.validate(graphs.rewire_populations(data, seed=seed))
    assert blocks(null) == blocks(data)
    assert torch.equal(null.node_type, data.node_type)
    loops = data.edge_index[0] == data.edge_index[1]
    kept = null.edge_index[0] == null.edge_index[1]
    assert torch.equal(data.edge_index[:, loops], null.edge_index[:, kept])
    assert torch.equal(data.edge_weight[loops], null.edge_weight[kept])


def test_all_sets_of_pairs_are_equally_likely():
    # Two of the six pairs from population 0 to population 1, and one of the two within 0.
    data = connectome({(0, 2), (1, 3), (0, 1)}, [0, 0, 1, 1, 1])
    across = [(s, t) for s in (0, 1) for t in (2, 3, 4)]
    expected = {
        frozenset((*two, one)) for two in combinations(across, 2) for one in [(0, 1), (1, 0)]
    }
    rng = np.random.default_rng(0)
    draws = 6000
    seen = Counter(
        frozenset(zip(*graphs.rewire_populations(data, seed=rng).edge_index.tolist(), strict=True))
        for _ in range(draws)
    )
    assert seen.keys() == expected
    each = draws / len(expected)
    statistic = sum((count - each) ** 2 / each for count in seen.values())
    assert statistic < chi2.isf(FALSE_ALARM, len(expected) - 1)


def test_full_blocks_cannot_change_but_for_their_weights():
    data = connectome({(0, 2), (0, 3), (1, 2), (1, 3)}, [0, 0, 1, 1])
    weights = set()
    for seed in range(200):
        null = graphs.rewire_populations(data, seed=seed)
        assert torch.equal(null.edge_index.sort()[0], data.edge_index.sort()[0])
        weights.add(tuple(null.edge_weight.tolist()))
    # All 24 orders; each is missed with probability (23/24)^200 = 2e-4.
    assert len(weights) == 24


def test_without_populations_it_is_a_random_graph():
    data = graphs.grid_local((20, 20), 1)
    null = graphs.rewire_populations(data, seed=0)
    assert null.num_edges == data.num_edges
    assert graphs.clustering(null).value < 0.05
    assert graphs.clustering(data).value > 0.3


def test_signs_of_populations_stay():
    larva = graphs.larva_mushroom_body()
    larva.edge_sign = 1.0 - 2.0 * (larva.node_type[larva.edge_index[0]] == 2)
    null = graphs.rewire_populations(larva, seed=0)
    inhibitory = null.node_type[null.edge_index[0]] == 2
    assert torch.equal(null.edge_sign == -1, inhibitory)


def test_parallel_synapses_are_refused():
    worm = graphs.c_elegans("both")
    with pytest.raises(ValueError, match="must connect no two neurons twice"):
        graphs.rewire_populations(worm)


@given(connectomes(), st.integers(0, 3), st.data())
@settings(max_examples=40, deadline=None)
def test_signed_weights_leave_neurons_of_their_sign(data, seed, draws):
    signs = draws.draw(
        st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=len(data.node_type)).filter(bool)
    )
    data.node_sign = torch.tensor((signs * 8)[: data.num_nodes])
    data.edge_weight *= torch.where(data.node_sign[data.edge_index[0]] < 0, -1.0, 1.0)
    null = graphs.validate(graphs.rewire_populations(data, seed=seed))
    assert blocks(null) == blocks(data)
    sent = [each.node_sign[each.edge_index[0]].tolist() for each in (null, data)]
    assert Counter(sent[0]) == Counter(sent[1])
