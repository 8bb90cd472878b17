import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs


def pairs_of(data):
    return list(zip(*data.edge_index.tolist(), strict=True))


@st.composite
def pairs_among(draw, most=6):
    neurons = draw(st.integers(0, most))
    places = [(s, t) for s in range(neurons) for t in range(neurons)]
    return neurons, set(draw(st.lists(st.sampled_from(places), unique=True)) if places else [])


@given(pairs_among(), st.booleans(), st.floats(0, 1), st.integers(0, 99))
def test_exactly_as_many_synapses(drawn, loops, share, seed):
    neurons, pairs = drawn
    index = torch.tensor(sorted(pairs), dtype=torch.int64).reshape(-1, 2).T.contiguous()
    data = Data(edge_index=index, num_nodes=neurons)
    own = sum(s == t for s, t in pairs)
    most = neurons**2 if loops else neurons * (neurons - 1) + own
    wanted = round(share * most)
    found = graphs.match(data, wanted, self_loops=loops, seed=seed)
    assert graphs.validate(found).num_edges == wanted
    assert found.num_nodes == neurons
    kept = set(pairs_of(found))
    assert kept <= pairs or kept >= pairs
    assert loops or all(s != t for s, t in kept - pairs)
    with pytest.raises(ValueError, match=rf"num_edges must be at most {most} on .*pass"):
        graphs.match(data, most + 1, self_loops=loops)


@pytest.mark.parametrize("wanted", [3, 7])
def test_synapses_are_removed_and_added_alike(wanted):
    data = graphs.grid_local(4, 1)
    counts = {}
    data = graphs.match(graphs.lesion(data, fraction=0.5, seed=0), 5, seed=0)
    keys = set(pairs_of(data))
    for seed in range(900):
        for pair in keys ^ set(pairs_of(graphs.match(data, wanted, seed=seed))):
            counts[pair] = counts.get(pair, 0) + 1
    own = sum(s == t for s, t in keys)
    choices = 5 if wanted == 3 else 12 - (5 - own)
    chance = 2 / choices
    # A deviation of 4.5 standard deviations has a probability of 7 in a million.
    assert len(counts) == choices
    deviation = np.abs(np.array(list(counts.values())) - 900 * chance)
    assert deviation.max() < 4.5 * (900 * chance * (1 - chance)) ** 0.5


def test_added_synapses_take_after_those_of_their_source():
    index = torch.tensor([[0, 0, 1], [1, 2, 2]])
    data = Data(
        edge_index=index,
        num_nodes=4,
        edge_weight=torch.tensor([1.0, 2.0, 3.0]),
        edge_type=torch.tensor([5, 6, 7]),
        edge_sign=torch.tensor([1.0, 1.0, -1.0]),
        node_sign=torch.tensor([1.0, -1.0, 1.0, -1.0]),
        names=["a", "b", "c", "d"],
        shape=(2, 2),
    )
    full = graphs.validate(graphs.match(data, 12, seed=0))
    for source, weight, kind, sign in zip(
        full.edge_index[0].tolist(), full.edge_weight.tolist(), full.edge_type.tolist(),
        full.edge_sign.tolist(), strict=True,
    ):  # fmt: skip
        assert sign == data.node_sign[source]
        assert kind == weight + 4
        assert source > 1 or weight in ((1.0, 2.0), (3.0,))[source]
    assert full.names == data.names
    assert full.shape == (2, 2)


def test_parallel_synapses_take_one_place():
    index = torch.tensor([[0, 0], [1, 1]])
    data = Data(edge_index=index, num_nodes=3, edge_type=torch.tensor([0, 1]))
    assert graphs.match(data, 7, seed=0).num_edges == 7
    with pytest.raises(ValueError, match="at most 7 on 3 neurons"):
        graphs.match(data, 8)


def test_nothing_to_take_after():
    data = Data(
        edge_index=torch.empty((2, 0), dtype=torch.int64), num_nodes=3, edge_weight=torch.empty(0)
    )
    with pytest.raises(ValueError, match="take edge_weight from, got none; del data.edge_weight"):
        graphs.match(data, 2)
    del data.edge_weight
    assert graphs.match(data, 2, seed=0).num_edges == 2


def test_order_and_seed():
    data = graphs.small_world(50, 4, 0.3, seed=0)
    shuffled = data.clone()
    shuffled.edge_index = data.edge_index[:, torch.arange(data.num_edges).flip(0)]
    for wanted in (100, 300):
        one, other = (graphs.match(each, wanted, seed=5).edge_index for each in (data, shuffled))
        assert torch.equal(one, other)
        assert not torch.equal(one, graphs.match(data, wanted, seed=6).edge_index)


@pytest.mark.parametrize(
    ("num_edges", "error"), [(-1, ValueError), (2.5, TypeError), (None, TypeError)]
)
def test_bad_numbers(num_edges, error):
    with pytest.raises(error, match=r"num_edges must be an integer >= 0, got .*pass"):
        graphs.match(graphs.layered([2, 2]), num_edges)
