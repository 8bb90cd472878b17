import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.loader import DataLoader

import graphs
from graphs.contract import signs

NAN, INF = float("nan"), float("inf")


def full():
    """A connectome with every field of the contract."""
    return Data(
        edge_index=torch.tensor([[0, 0, 3], [1, 1, 3]]),
        num_nodes=4,
        pos=torch.zeros(4, 2),
        edge_weight=torch.tensor([0.5, -1.0, 0.0]),
        edge_type=torch.tensor([2, 0, 0]),
        edge_type_names=["chemical", "unused", "electrical"],
        edge_sign=torch.tensor([1.0, -1.0, 1.0]),
        node_type=torch.tensor([0, 1, 1, 0]),
        node_type_names=["sensory", "motor"],
        node_sign=torch.tensor([1.0, 1.0, -1.0, -1.0]),
        names=["a", "b", "c", "d"],
        shape=(2, 2),
    )


def test_returns_the_same_object_unchanged():
    data = full()
    before = {key: repr(value) for key, value in data}
    assert graphs.validate(data) is data
    assert {key: repr(value) for key, value in data} == before


def test_only_edge_index_and_num_nodes_are_needed():
    data = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=0)
    assert graphs.validate(data) is data


def test_order_of_synapses_is_free():
    data = Data(edge_index=torch.tensor([[2, 0, 1], [0, 2, 0]]), num_nodes=3)
    assert graphs.validate(data) is data


def test_number_of_neurons_may_follow_from_node_fields():
    edge_index = torch.tensor([[0], [1]])
    assert graphs.validate(Data(edge_index=edge_index, pos=torch.zeros(5, 1))).num_nodes == 5
    assert graphs.validate(Data(edge_index=edge_index, x=torch.zeros(6, 1))).num_nodes == 6


def test_views_gradients_and_other_fields_are_welcome():
    data = full()
    data.edge_index = data.edge_index.T.contiguous().T
    data.edge_weight.requires_grad_()
    data.y = "anything"
    assert graphs.validate(data) is data


def test_survives_a_loader():
    batch = next(iter(DataLoader([full(), full()], batch_size=2)))
    assert graphs.validate(batch.get_example(1)).shape == (2, 2)


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("num_nodes", -1, ValueError, r"num_nodes must be >= 0, got -1; set data.num_nodes = N"),
        ("num_nodes", 4.0, TypeError, r"got 4.0 of type float; set data.num_nodes = int\(N\)"),
        ("num_nodes", True, TypeError, r"got True of type bool"),
        ("num_nodes", 3, ValueError, r"in \[0, 3\), got the synapse 3 -> 3 at position 2; set"),
        ("edge_index", None, ValueError, r"edge_index is missing"),
        ("edge_index", [[0], [1]], TypeError, r"got list; pass torch.as_tensor\(data.edge_index"),
        ("edge_index", torch.zeros(3, 2).long(), ValueError, r"shape \[2, E\], got \[3, 2\]"),
        ("edge_index", torch.zeros(6).long(), ValueError, r"shape \[2, E\], got \[6\]"),
        ("edge_index", torch.zeros(2, 3), TypeError, r"got torch.float32; .*edge_index.long\(\)"),
        ("edge_index", torch.zeros(2, 3).int(), TypeError, r"got torch.int32"),
        ("edge_index", torch.eye(2).long().to_sparse(), TypeError, r"torch.sparse_coo"),
        ("edge_index", torch.tensor([[0, -1], [1, 2]]), ValueError, r"-1 -> 2 at position 1; drop"),
        ("edge_index", torch.tensor([[0, 2], [1, 9]]), ValueError, r"2 -> 9 .*num_nodes = 10"),
        ("pos", torch.zeros(3, 2), ValueError, r"pos must .* \[4, D\], got \[3, 2\]"),
        ("pos", torch.zeros(4), ValueError, r"torch.stack\(\[x, y\], dim=1\)"),
        ("pos", torch.zeros(4, 4), ValueError, r"1, 2 or 3 coordinates, got 4"),
        ("pos", torch.zeros(4, 0), ValueError, r"1, 2 or 3 coordinates, got 0"),
        ("pos", torch.zeros(4, 2).double(), TypeError, r"got torch.float64; .*pos.float\(\)"),
        ("pos", torch.full((4, 2), NAN), ValueError, r"pos must be finite, got \[nan, nan\] at"),
        ("edge_weight", torch.ones(2), ValueError, r"edge_weight must .* \[3\], got \[2\]"),
        ("edge_weight", torch.ones(3, 1), ValueError, r"edge_weight.flatten\(\)"),
        ("edge_weight", torch.ones(3).double(), TypeError, r"edge_weight.float\(\)"),
        ("edge_weight", np.ones(3), TypeError, r"got ndarray; pass torch.as_tensor\("),
        ("edge_weight", torch.tensor([1, INF, 2]), ValueError, r"finite, got inf at position 1"),
        ("edge_weight", torch.tensor([1, 2, NAN]), ValueError, r"finite, got nan at position 2"),
        ("edge_type", torch.ones(3), TypeError, r"int64 .* got torch.float32"),
        ("edge_type", torch.tensor([0, -2, 1]), ValueError, r">= 0, got -2 at position 1"),
        ("edge_type", torch.tensor([0, 3, 1]), ValueError, r"name all 4 types of synapses, got 3"),
        ("edge_type", None, ValueError, r"edge_type_names needs edge_type"),
        ("edge_type_names", ["a", "b", 1], TypeError, r"holds 1 of type int"),
        ("edge_sign", torch.tensor([1.0, 2, -1]), ValueError, r"\+1, got 2.0 at position 1"),
        ("edge_sign", torch.tensor([1.0, 0, NAN]), ValueError, r"\(unknown\) or \+1, got nan"),
        ("edge_sign", torch.ones(3).long(), TypeError, r"edge_sign.float\(\)"),
        ("node_sign", torch.ones(3), ValueError, r"node_sign must .* \[4\], got \[3\]"),
        ("node_sign", torch.tensor([1.0, 1, 1, 2]), ValueError, r"got 2.0 at position 3"),
        ("node_type", torch.zeros(4), TypeError, r"node_type.long\(\)"),
        ("node_type", torch.tensor([0, 1, -1, 0]), ValueError, r"10000000, got -1 at position 2"),
        ("node_type", torch.tensor([0, 1, 2, 0]), ValueError, r"name all 3 populations, got 2"),
        ("node_type", None, ValueError, r"node_type_names needs node_type"),
        ("node_type_names", "ab", TypeError, r"list of str, got 'ab' of type str"),
        ("node_type_names", ["a", 1], TypeError, r"holds 1 of type int"),
        ("names", ["a"], ValueError, r"each of the 4 neurons, got 1"),
        ("names", ("a", "b", "c", "d"), TypeError, r"must be a list of str, got .* of type tuple"),
        ("names", [0, 1, 2, 3], TypeError, r"data.names = \[str\(each\) for each in data.names\]"),
        ("shape", "22", TypeError, r"shape must be a tuple of int, got '22' of type str"),
        ("shape", (2.0, 2), TypeError, r"tuple of int"),
        ("shape", (2, 3), ValueError, r"product num_nodes = 4, got \(2, 3\) with the product 6"),
        ("shape", (-2, -2), ValueError, r"got \(-2, -2\)"),
    ],
)  # fmt: skip
def test_broken_fields(field, value, error, message):
    data = full()
    if value is None:
        del data[field]
    else:
        data[field] = value
    with pytest.raises(error, match=message):
        graphs.validate(data)


def test_number_of_neurons_is_never_guessed():
    with pytest.raises(ValueError, match=r"num_nodes is missing; set data.num_nodes = N"):
        graphs.validate(Data(edge_index=torch.tensor([[0], [1]])))


def test_duplicate_synapses():
    data = full()
    data.edge_type = torch.tensor([1, 1, 1])
    with pytest.raises(ValueError, match=r"got 0 -> 1 at positions 0 and 1; set different"):
        graphs.validate(data)
    del data.edge_type, data.edge_type_names
    with pytest.raises(ValueError, match=r"set data.edge_type to tell them apart, or add them up"):
        graphs.validate(data)


@pytest.mark.parametrize("other", [None, 3, torch.zeros(2, 3), HeteroData(), {"edge_index": 0}])
def test_no_data_at_all(other):
    with pytest.raises(TypeError, match=r"expected a torch_geometric.data.Data, got .*; pass Data"):
        graphs.validate(other)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), max_size=12))
def test_duplicates_are_those_of_a_set(synapses):
    source, target, kind = np.array(synapses, dtype=np.int64).reshape(-1, 3).T.copy()
    data = Data(
        edge_index=torch.from_numpy(np.stack((source, target))),
        edge_type=torch.from_numpy(kind),
        num_nodes=4,
    )
    if len(set(synapses)) == len(synapses):
        assert graphs.validate(data) is data
    else:
        with pytest.raises(ValueError, match="no two synapses"):
            graphs.validate(data)


def test_large_types_and_neuron_numbers():
    data = Data(
        edge_index=torch.tensor([[5_000_000, 0], [0, 5_000_000]]),
        edge_type=torch.tensor([2**62, 2**62 + 1]),
        num_nodes=5_000_001,
    )
    assert graphs.validate(data) is data


def test_a_batch_is_not_one_connectome():
    batch = Batch.from_data_list([graphs.layered([2, 1])] * 3)
    with pytest.raises(TypeError, match="expected one connectome, got a Batch of 3"):
        graphs.validate(batch)
    assert graphs.validate(batch[0]).num_nodes == 3


def test_a_clone_keeps_the_contract():
    """PyG turns tuples into lists."""
    data = graphs.grid_local((4, 5), 1)
    for copy in (data.clone(), data.to("cpu")):
        graphs.validate(copy)
        assert graphs.summary(copy) == graphs.summary(data)


def test_a_synapse_has_its_own_sign_or_else_that_of_its_source():
    data = full()
    assert signs(data).tolist() == [1, -1, 1]
    del data.edge_sign
    assert signs(data).tolist() == [1, 1, -1]
    del data.node_sign
    assert signs(data) is None


def test_a_sum_of_finite_values_may_overflow():
    data = graphs.layered([2, 2])
    data.edge_weight = torch.full((4,), 3e38)
    assert graphs.validate(data) is data
    data.edge_weight[3] = INF
    with pytest.raises(ValueError, match="got inf at position 3"):
        graphs.validate(data)
    data.edge_weight[0] = -INF
    with pytest.raises(ValueError, match="got -inf at position 0"):
        graphs.validate(data)
