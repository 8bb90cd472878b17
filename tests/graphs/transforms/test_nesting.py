import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs
from tests.graphs.transforms.connectomes import FULL, connectomes, synapses, without

OUTER = Data(
    edge_index=torch.tensor([[0, 1], [1, 1]]),
    num_nodes=2,
    pos=torch.tensor([[10.0, 0.0], [20.0, 0.0]]),
    edge_weight=torch.tensor([9.0, 8.0]),
    node_type=torch.tensor([1, 0]),
    node_type_names=["V1", "V2"],
    names=["left", "right"],
)


@given(connectomes(), connectomes(), st.integers(0, 3))
def test_nested_connectomes_are_connectomes(outer, inner, total):
    size = inner.num_nodes
    total = min(total, size * max(size - 1, 0))
    data = graphs.nest(outer, inner, connect=graphs.FixedTotal(total), seed=0)
    assert graphs.validate(data).num_nodes == outer.num_nodes * size
    loops = sum(s == t for s, t in synapses(outer))
    most = outer.num_nodes * inner.num_edges + outer.num_edges * total
    assert most - loops * total <= data.num_edges <= most
    for copy in range(outer.num_nodes):
        mine = graphs.subgraph(data, range(copy * size, (copy + 1) * size))
        assert set(synapses(inner)) <= set(synapses(mine))


def test_nest_carries_every_field():
    inner = without(FULL, "edge_type", "edge_sign")
    data = graphs.nest(OUTER, inner, connect=graphs.AllToAll(), spacing=2.0)
    within = {(0, 1): 1.0, (1, 1): 2.0, (2, 0): 0.5}
    expected = {(s + c, t + c): weight for (s, t), weight in within.items() for c in (0, 3)}
    expected |= {(s, t + 3): 9.0 for s in range(3) for t in range(3)}
    # The outer self-loop fills the second copy, except for self-loops and existing synapses.
    for s, t in ((s, t) for s in range(3) for t in range(3) if s != t and (s, t) not in within):
        expected[s + 3, t + 3] = 8.0
    found = {(s, t): weight for s, t, weight in synapses(data, "edge_weight")}
    assert found == expected
    assert data.pos[4].tolist() == [42.0, 3.0]
    assert data.names[:4] == ["left/A", "left/B", "left/C", "right/A"]
    assert data.node_type.tolist() == [2, 3, 2, 0, 1, 0]
    assert data.node_type_names == ["V1/exc", "V1/inh", "V2/exc", "V2/inh"]
    assert torch.equal(data.node_sign, FULL.node_sign.repeat(2))
    assert "edge_sign" not in data


def test_nested_signs():
    outer = OUTER.clone()
    outer.edge_sign = torch.tensor([-1.0, 1.0])
    inner = without(FULL, "node_sign", "edge_type")
    signs = {(s, t): sign for s, t, sign in synapses(graphs.nest(outer, inner), "edge_sign")}
    assert signs[0, 1] == signs[3, 4] == -1.0
    assert signs[0, 3] == signs[2, 4] == -1.0
    # If the copies obey Dale's law, the sign is that of the source.
    dale = graphs.nest(outer, without(FULL, "edge_type"))
    signs = {(s, t): sign for s, t, sign in synapses(dale, "edge_sign")}
    assert signs[0, 1] == -1.0
    assert signs[0, 3] == 1.0
    assert signs[1, 3] == -1.0


def test_nested_types_are_shared_by_the_copies():
    data = graphs.nest(OUTER, FULL, connect=graphs.FixedTotal(2), seed=0)
    types = {(s, t, kind) for s, t, kind in synapses(data, "edge_type")}
    assert {(0, 1, 0), (1, 1, 0), (2, 0, 1), (3, 4, 0), (4, 4, 0), (5, 3, 1)} <= types
    assert sorted(kind for *_, kind in types) == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]


def test_each_outer_synapse_is_drawn_by_itself():
    ring = graphs.small_world(50, 2, 0.0)
    column = graphs.populations({"all": 20}, {})
    for rule in (graphs.FixedInDegree(1), lambda s, t, rng: (rng.integers(s, size=t), range(t))):
        data = graphs.nest(ring, column, connect=rule, seed=0)
        assert data.num_edges == 100 * 20
        assert set(data.edge_index[1].bincount().tolist()) == {2}
        offsets = (data.edge_index[0] % 20 - data.edge_index[1] % 20) % 20
        # 2000 offsets of 20; 4.5 standard deviations have a probability of 7 in a million.
        assert (offsets.bincount(minlength=20) - 100).abs().max() < 4.5 * (
            2000 * 0.05 * 0.95
        ) ** 0.5


def test_nest_refuses():
    with pytest.raises(TypeError, match="connect must be a connection rule .*got 0.5 .*pass"):
        graphs.nest(OUTER, FULL, connect=0.5)
    with pytest.raises(ValueError, match="FixedTotal"):
        graphs.nest(OUTER, FULL, connect=graphs.FixedTotal(10))
    with pytest.raises(TypeError, match="expected a torch_geometric"):
        graphs.nest(OUTER, None)


def test_nested_types_keep_their_names():
    inner, outer = FULL.clone(), OUTER.clone()
    inner.edge_type = torch.tensor([2, 0, 0])
    inner.edge_type_names = ["chemical", "unused", "electrical"]
    outer.edge_type = torch.tensor([1, 0])
    outer.edge_type_names = ["within", "across"]
    data = graphs.validate(graphs.nest(outer, inner, connect=graphs.FixedTotal(2), seed=0))
    assert data.edge_type_names == ["chemical", "electrical", "within", "across"]
    assert data.edge_type.bincount().tolist() == [4, 2, 2, 2]
    assert {kind for s, t, kind in synapses(data, "edge_type") if (s < 3) != (t < 3)} == {3}
    assert "edge_type_names" not in graphs.nest(OUTER, inner)
