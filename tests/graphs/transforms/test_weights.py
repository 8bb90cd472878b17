from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch_geometric.data import Data

import graphs
from graphs.transforms.weights import WITHIN

FALSE_ALARM = 1e-5


@st.composite
def connectomes(draw):
    neurons = draw(st.integers(1, 6))
    pairs = sorted(draw(st.sets(st.tuples(*[st.integers(0, neurons - 1)] * 2))))
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T.contiguous()
    data = Data(edge_index=index, num_nodes=neurons)
    signs = draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=len(pairs), max_size=len(pairs)))
    data.edge_weight = torch.arange(1, len(pairs) + 1, dtype=torch.float32)
    data.edge_weight *= torch.tensor(signs, dtype=torch.float32)
    data.node_type = torch.arange(neurons) % 2
    data.edge_type = torch.arange(len(pairs)) % 2
    return data


def groups(data, within):
    """The weights of the synapses that may exchange them."""
    source, target = data.edge_index
    kind = data.node_type
    keys = {
        "all": [],
        "source": [source],
        "target": [target],
        "populations": [kind[source], kind[target]],
    }[within]
    keys = [*keys, data.edge_weight.sign(), data.edge_type]
    found = {}
    for key, weight in zip(
        zip(*(each.tolist() for each in keys), strict=True), data.edge_weight.tolist(), strict=True
    ):
        found.setdefault(key, []).append(weight)
    return {key: sorted(weights) for key, weights in found.items()}


@given(connectomes(), st.sampled_from(WITHIN), st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_weights_stay_within_their_groups(data, within, seed):
    null = graphs.validate(graphs.shuffle_weights(data, within, seed=seed))
    ordered = data.edge_index[:, np.lexsort(data.edge_index.numpy())]
    assert torch.equal(null.edge_index, ordered)
    assert groups(null, within) == groups(data, within)


def test_all_orders_are_equally_likely():
    data = Data(
        edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]),
        num_nodes=4,
        edge_weight=torch.tensor([1.0, 2.0, 3.0, -4.0]),
    )
    rng = np.random.default_rng(0)
    draws = 3000
    seen = Counter(
        tuple(graphs.shuffle_weights(data, seed=rng).edge_weight.tolist()) for _ in range(draws)
    )
    # Synapses are sorted by target, so that the negative one comes first.
    assert seen.keys() == {(-4.0, *each) for each in permutations([1.0, 2.0, 3.0])}
    statistic = sum((count - draws / 6) ** 2 / (draws / 6) for count in seen.values())
    assert statistic < chi2.isf(FALSE_ALARM, 5)


def test_missing_fields_are_told():
    ring = graphs.small_world(10, 2, 0.0, seed=0)
    with pytest.raises(ValueError, match=r"data must have edge_weight .*; set data\.edge_weight"):
        graphs.shuffle_weights(ring)
    ring.edge_weight = torch.ones(ring.num_edges)
    with pytest.raises(ValueError, match="within='populations' needs node_type"):
        graphs.shuffle_weights(ring, "populations")
