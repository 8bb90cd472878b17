import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs

FULL = Data(
    edge_index=torch.tensor([[2, 0, 1], [0, 1, 1]]),
    num_nodes=3,
    pos=torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
    edge_weight=torch.tensor([0.5, -1.0, 2.0]),
    edge_type=torch.tensor([7, 3, 3]),
    edge_sign=torch.tensor([1.0, -1.0, 1.0]),
    node_type=torch.tensor([0, 1, 0]),
    node_type_names=["exc", "inh"],
    node_sign=torch.tensor([1.0, -1.0, 1.0]),
    names=["A", "B", "C"],
    shape=(3,),
)


def without(data, *names):
    data = data.clone()
    for name in names:
        del data[name]
    return data


def synapses(data, *fields):
    return sorted(
        zip(*data.edge_index.tolist(), *(data[name].tolist() for name in fields), strict=True)
    )


@st.composite
def connectomes(draw):
    neurons = draw(st.integers(0, 6))
    places = [(s, t) for s in range(neurons) for t in range(neurons)]
    pairs = draw(st.lists(st.sampled_from(places), unique=True)) if places else []
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T.contiguous()
    data = Data(edge_index=index, num_nodes=neurons)
    for name in draw(st.sets(st.sampled_from(["edge_weight", "edge_type", "edge_sign"]))):
        values = torch.arange(len(pairs)) % 2
        data[name] = {
            "edge_weight": values.float(),
            "edge_type": values,
            "edge_sign": 1 - 2 * values.float(),
        }[name]
    for name in draw(st.sets(st.sampled_from(["pos", "node_type", "node_sign", "names"]))):
        data[name] = {
            "pos": torch.zeros(neurons, 2),
            "node_type": torch.arange(neurons) % 3,
            "node_sign": torch.ones(neurons),
            "names": [str(neuron) for neuron in range(neurons)],
        }[name]
    return data


@given(st.lists(connectomes(), min_size=1, max_size=3), st.booleans())
def test_a_union_is_a_connectome_that_holds_its_parts(parts, labelled):
    labels = [f"part {number}" for number in range(len(parts))] if labelled else None
    data = graphs.validate(graphs.join(parts, labels=labels))
    first = 0
    for part in parts:
        last = first + part.num_nodes
        mine = graphs.subgraph(data, range(first, last))
        assert synapses(mine) == synapses(part)
        first = last
    assert first == data.num_nodes
    assert sum(part.num_edges for part in parts) == data.num_edges


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


def test_join_carries_every_field():
    data = graphs.join([FULL, FULL])
    assert synapses(data, "edge_weight", "edge_type", "edge_sign") == [
        (0, 1, -1.0, 0, -1.0),
        (1, 1, 2.0, 0, 1.0),
        (2, 0, 0.5, 1, 1.0),
        (3, 4, -1.0, 2, -1.0),
        (4, 4, 2.0, 2, 1.0),
        (5, 3, 0.5, 3, 1.0),
    ]
    assert torch.equal(data.pos, FULL.pos.repeat(2, 1))
    assert data.node_type.tolist() == [0, 1, 0, 0, 1, 0]
    assert data.node_type_names == ["exc", "inh"]
    assert torch.equal(data.node_sign, FULL.node_sign.repeat(2))
    assert data.names == ["A", "B", "C", "A", "B", "C"]
    assert "shape" not in data
    assert graphs.join([FULL]).shape == (3,)


def test_labels_keep_parts_apart():
    data = graphs.join([FULL, without(FULL, "node_type", "node_type_names")], labels=["l", "r"])
    assert data.node_type.tolist() == [0, 1, 0, 2, 2, 2]
    assert data.node_type_names == ["l/exc", "l/inh", "r"]
    assert data.names == ["l/A", "l/B", "l/C", "r/A", "r/B", "r/C"]


@pytest.mark.parametrize("name", ["pos", "edge_weight", "names", "node_type"])
def test_join_leaves_out_what_a_part_lacks(name):
    names = [name, "node_type_names"] if name == "node_type" else [name]
    data = graphs.join([FULL, without(FULL, *names)])
    assert not set(names) & set(data.keys())


def test_join_knows_signs_however_they_are_told():
    signed, sender = without(FULL, "node_sign"), without(FULL, "edge_sign")
    data = graphs.join([signed, sender])
    assert "node_sign" not in data
    assert [sign for *_, sign in synapses(data, "edge_sign")] == [-1.0, 1.0, 1.0, 1.0, -1.0, 1.0]
    assert "edge_sign" not in graphs.join([sender, sender])
    assert "edge_sign" not in graphs.join([signed, without(sender, "node_sign")])


def test_join_gives_types_to_a_part_without():
    data = graphs.join([FULL, without(FULL, "edge_type")])
    types = [kind for *_, kind in synapses(data, "edge_type")]
    assert types[:3] == [0, 0, 1]
    assert sorted(types[3:]) == [2, 3, 4]


def test_populations_without_names_stay_apart():
    nameless = without(FULL, "node_type_names")
    data = graphs.join([FULL, nameless])
    assert data.node_type.tolist() == [0, 1, 0, 2, 3, 2]
    assert "node_type_names" not in data
    assert graphs.join([nameless], labels=["a"]).node_type_names == ["a/0", "a/1"]


def test_join_shares_no_memory():
    pos = FULL.pos.clone()
    graphs.join([FULL]).pos.zero_()
    graphs.lesion(FULL, neurons=[0]).pos.zero_()
    graphs.subgraph(FULL, [0, 1, 2]).pos.zero_()
    graphs.match(FULL, 3).pos.zero_()
    assert torch.equal(FULL.pos, pos)


@pytest.mark.parametrize(
    ("parts", "labels", "error", "message"),
    [
        ([], None, ValueError, "at least one connectome, got none; pass"),
        (FULL, None, TypeError, "a sequence of connectomes, got Data; pass"),
        ([FULL, 3], None, TypeError, "expected a torch_geometric.data.Data, got int"),
        ([FULL], ["a", "b"], ValueError, "another name for each of the 1 parts, got .*pass"),
        ([FULL, FULL], ["a", "a"], ValueError, "another name for each of the 2 parts, got .*pass"),
        ([FULL], "a", TypeError, "labels must be a sequence of str, got 'a'; pass"),
    ],
)
def test_join_refuses(parts, labels, error, message):
    with pytest.raises(error, match=message):
        graphs.join(parts, labels=labels)


OUTER = Data(
    edge_index=torch.tensor([[0, 1], [1, 1]]),
    num_nodes=2,
    pos=torch.tensor([[10.0, 0.0], [20.0, 0.0]]),
    edge_weight=torch.tensor([9.0, 8.0]),
    node_type=torch.tensor([1, 0]),
    node_type_names=["V1", "V2"],
    names=["left", "right"],
)


def test_nest_carries_every_field():
    inner = without(FULL, "edge_type", "edge_sign")
    data = graphs.nest(OUTER, inner, connect=graphs.AllToAll(), spacing=2.0)
    within = {(0, 1): -1.0, (1, 1): 2.0, (2, 0): 0.5}
    expected = {(s + c, t + c): weight for (s, t), weight in within.items() for c in (0, 3)}
    expected |= {(s, t + 3): 9.0 for s in range(3) for t in range(3)}
    # The outer self-loop fills the second copy, but for neurons themselves and what is there.
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
    # With Dale's law in the copies the sign of the sender rules.
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
        # 2000 offsets of 20; a count beyond 4.5 standard deviations comes 7 times in a million.
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
