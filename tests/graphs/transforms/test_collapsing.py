import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs


def typed(**fields):
    """Three neurons A, one B and none C."""
    return Data(
        edge_index=torch.tensor([[0, 1, 3, 3, 2], [3, 3, 3, 0, 3]]),
        num_nodes=4,
        edge_weight=torch.tensor([1.0, 2.0, 8.0, 16.0, 3.0]),
        node_type=torch.tensor([0, 0, 0, 1]),
        node_type_names=["A", "B", "C"],
        **fields,
    )


def test_a_count_by_hand():
    found = graphs.validate(graphs.collapse(typed()))
    assert found.names == ["A", "B", "C"]
    assert found.node_size.tolist() == [3, 1, 0]
    assert found.edge_index.tolist() == [[1, 0, 1], [0, 1, 1]]
    assert found.edge_weight.tolist() == [16, 6, 8]
    assert graphs.collapse(typed(), combine="mean").edge_weight.tolist() == [16, 2, 8]
    assert graphs.collapse(typed(), weight=None).edge_weight.tolist() == [1, 3, 1]


def test_it_is_what_by_type_returns():
    for data in (graphs.larva_mushroom_body(), graphs.fly_visual_system(2)):
        data.signed = torch.from_numpy(graphs.signed_weights(data))
        found = graphs.validate(graphs.collapse(data))
        matrix = graphs.by_type(data, weight="signed")
        assert found.names == matrix.names
        assert found.node_size.tolist() == matrix.num_nodes.tolist()
        source, target = found.edge_index
        summed = torch.zeros(matrix.weight.shape, dtype=torch.float64)
        summed.index_put_((source, target), signed(found), accumulate=True)
        assert np.allclose(summed.numpy(), matrix.weight.toarray(), rtol=1e-6)


def signed(data):
    return torch.from_numpy(graphs.signed_weights(data)).double()


def pair(edge_weight, sign, **options):
    """Two neurons that send to a third one, collapsed."""
    data = Data(edge_index=torch.tensor([[0, 1], [2, 2]]), num_nodes=3)
    data.edge_weight, data.node_sign = torch.tensor(edge_weight), torch.tensor(sign)
    data.other = torch.tensor([2.0, -5.0])
    return graphs.validate(graphs.collapse(data, ["a", "a", "b"], **options))


@pytest.mark.parametrize(
    ("weight", "sign", "new", "new_sign"),
    [
        ([3.0, 3.0], [1.0, -1.0, 1.0], 0, 0),
        ([3.0, 4.0], [1.0, -1.0, 1.0], -1, 0),
        # Counts stay counts where all signs are the same.
        ([3.0, 4.0], [-1.0, -1.0, 1.0], 7, -1),
        ([3.0, 4.0], [1.0, 1.0, 1.0], 7, 1),
        ([-3.0, -4.0], [-1.0, -1.0, 1.0], -7, -1),
        ([-3.0, 4.0], [-1.0, -1.0, 1.0], -7, -1),
        # A synapse of unknown sign has the sign of its weight.
        ([2.0, -5.0], [1.0, 0.0, 1.0], -3, 0),
        ([2.0, 5.0], [1.0, 0.0, 1.0], 7, 1),
        ([2.0, 5.0], [-1.0, 0.0, 1.0], 3, 0),
        ([2.0, -5.0], [-1.0, 0.0, 1.0], -7, -1),
        ([2.0, -5.0], [0.0, 0.0, 1.0], -3, 0),
    ],
)
def test_signs_by_hand(weight, sign, new, new_sign):
    found = pair(weight, sign)
    assert found.edge_weight.tolist() == [new]
    assert found.node_sign.tolist() == [new_sign, 1]
    mean = pair(weight, sign, combine="mean")
    assert mean.edge_weight.tolist() == [new / 2]
    assert mean.node_sign.tolist() == [new_sign, 1]


def test_numbers_of_synapses_have_their_signs():
    assert pair([3.0, 4.0], [-1.0, -1.0, 1.0], weight=None).edge_weight.tolist() == [2]
    assert pair([3.0, 4.0], [1.0, -1.0, 1.0], weight=None).edge_weight.tolist() == [0]


def test_another_field_may_contradict_the_signs():
    found = pair([3.0, 4.0], [1.0, 1.0, 1.0], weight="other")
    assert (found.edge_weight.tolist(), found.node_sign.tolist()) == ([-3], [0, 1])


@st.composite
def signed_connectomes(draw):
    """Parallel synapses, self-loops, and each way to give signs and weights."""
    size = draw(st.integers(1, 6))
    neuron = st.integers(0, size - 1)
    edges = sorted(draw(st.sets(st.tuples(neuron, neuron, st.integers(0, 1)), max_size=20)))

    def some(values, count):
        return torch.tensor(
            draw(st.lists(st.sampled_from(values), min_size=count, max_size=count)),
            dtype=torch.float32,
        )

    data = Data(edge_index=torch.tensor([each[:2] for each in edges]).long().reshape(-1, 2).T)
    data.num_nodes = size
    data.edge_type = torch.tensor([each[2] for each in edges]).long()
    given_signs = draw(st.sets(st.sampled_from(["node_sign", "edge_sign"])))
    for name in given_signs:
        data[name] = some((-1, 0, 1), size if name == "node_sign" else len(edges))
    data.edge_weight = some((0, 1, 2, 5), len(edges))
    if draw(st.booleans()):
        sign = graphs.contract.signs(data)
        free = np.ones(len(edges), bool) if sign is None else sign <= 0
        data.edge_weight[torch.from_numpy(free)] *= some((-1, 1), int(free.sum()))
    if draw(st.booleans()):
        del data.edge_weight
    return data, draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))


@settings(max_examples=150, deadline=None)
@given(signed_connectomes())
def test_signed_weights_between_types_are_the_sums(drawn):
    data, partition = drawn
    found = graphs.validate(graphs.collapse(data, partition))
    names = np.unique(partition)
    at = torch.from_numpy(np.searchsorted(names, partition))

    def summed(data, edges):
        matrix = torch.zeros(2, len(names), len(names), dtype=torch.float64)
        return matrix.index_put((data.edge_type, *edges), signed(data), accumulate=True)

    wanted = summed(data, at[data.edge_index])
    assert torch.equal(summed(found, found.edge_index), wanted)
    number = torch.ones(data.num_edges, dtype=torch.float64)
    count = torch.zeros_like(wanted)
    count.index_put_((data.edge_type, *at[data.edge_index]), number, accumulate=True)
    mean = graphs.validate(graphs.collapse(data, partition, combine="mean"))
    torch.testing.assert_close(
        summed(mean, mean.edge_index), wanted / count.clamp_min(1), rtol=1e-6, atol=0
    )
    # Without negative weights nothing but a sign of 0 has one.
    if "edge_weight" not in data or bool((data.edge_weight >= 0).all()):
        sign = graphs.contract.signs(found)
        known = slice(0) if sign is None else torch.from_numpy(sign != 0)
        assert bool((found.edge_weight[known] >= 0).all())


def test_fields_of_neurons_and_synapses():
    data = typed(
        pos=torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 6.0], [5.0, 5.0]]),
        node_sign=torch.tensor([1.0, 0.0, 1.0, -1.0]),
        edge_sign=torch.tensor([1.0, -1.0, 0.0, -1.0, 0.0]),
        edge_type=torch.tensor([1, 0, 1, 1, 1]),
        edge_type_names=["chemical", "electrical"],
        names=["a", "b", "c", "d"],
        shape=(2, 2),
    )
    found = graphs.validate(graphs.collapse(data))
    assert found.pos.tolist() == [[1, 2], [5, 5], [0, 0]]
    assert found.node_sign.tolist() == [1, -1, 0]
    assert found.edge_index.tolist() == [[1, 0, 0, 1], [0, 1, 1, 1]]
    assert found.edge_type.tolist() == [1, 0, 1, 1]
    assert found.edge_weight.tolist() == [16, 2, 4, 8]
    assert found.edge_sign.tolist() == [-1, -1, 1, 0]
    assert found.edge_type_names == ["chemical", "electrical"]
    assert "shape" not in found
    # Signs that differ are unknown.
    del data.edge_type, data.edge_type_names
    assert graphs.collapse(data).edge_sign.tolist() == [-1, 0, 0]


def test_the_order_of_synapses_does_not_matter():
    data = graphs.larva_mushroom_body()
    order = torch.randperm(data.num_edges, generator=torch.Generator().manual_seed(0))
    mixed = data.clone()
    mixed.edge_index, mixed.edge_weight = data.edge_index[:, order], data.edge_weight[order]
    one, other = graphs.collapse(data), graphs.collapse(mixed)
    assert torch.equal(one.edge_index, other.edge_index)
    assert torch.equal(one.edge_weight, other.edge_weight)


def test_bad_arguments():
    with pytest.raises(ValueError, match="partition is None, and data has no node_type"):
        graphs.collapse(graphs.grid_local(3, 1))
    with pytest.raises(ValueError, match="combine must be one of 'sum', 'mean', got 'max'"):
        graphs.collapse(typed(), combine="max")
    data = typed()
    data.edge_weight = torch.full((5,), 3e38)
    with pytest.raises(ValueError, match="edge_weight must have sums that float32 can hold, got 9"):
        graphs.collapse(data)
    assert graphs.collapse(data, combine="mean").edge_weight.isfinite().all()
