import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import graphs
from tests.graphs.transforms.connectomes import FULL, connectomes, synapses, without


@given(st.lists(connectomes(), min_size=1, max_size=3), st.booleans())
def test_a_union_is_a_connectome_that_holds_its_parts(parts, labeled):
    labels = [f"part {number}" for number in range(len(parts))] if labeled else None
    data = graphs.validate(graphs.join(parts, labels=labels))
    first = 0
    for part in parts:
        last = first + part.num_nodes
        mine = graphs.subgraph(data, range(first, last))
        assert synapses(mine) == synapses(part)
        first = last
    assert first == data.num_nodes
    assert sum(part.num_edges for part in parts) == data.num_edges


def test_join_carries_every_field():
    data = graphs.join([FULL, FULL])
    assert synapses(data, "edge_weight", "edge_type", "edge_sign") == [
        (0, 1, 1.0, 0, -1.0),
        (1, 1, 2.0, 0, 1.0),
        (2, 0, 0.5, 1, 1.0),
        (3, 4, 1.0, 2, -1.0),
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
        (
            FULL,
            None,
            TypeError,
            r"got Data\(.* of type Data; pass parts=",
        ),
        ([FULL, 3], None, TypeError, "expected a torch_geometric.data.Data, got int"),
        ([FULL], ["a", "b"], ValueError, "a different name for each of the 1 parts, got .*pass"),
        (
            [FULL, FULL],
            ["a", "a"],
            ValueError,
            "a different name for each of the 2 parts, got .*pass",
        ),
        (
            [FULL],
            "a",
            TypeError,
            "labels must be a sequence of str, got 'a' of type str; pass",
        ),
    ],
)
def test_join_refuses(parts, labels, error, message):
    with pytest.raises(error, match=message):
        graphs.join(parts, labels=labels)


def test_join_carries_the_names_of_types():
    named = FULL.clone()
    named.edge_type = torch.tensor([2, 0, 0])
    named.edge_type_names = ["chemical", "unused", "electrical"]
    assert graphs.join([named, named]).edge_type_names == ["chemical", "electrical"] * 2
    data = graphs.join([named, named], labels=["l", "r"])
    assert data.edge_type_names == ["l/chemical", "l/electrical", "r/chemical", "r/electrical"]
    assert [kind for *_, kind in synapses(data, "edge_type")] == [0, 0, 1, 2, 2, 3]
    assert "edge_type_names" not in graphs.join([named, FULL])
