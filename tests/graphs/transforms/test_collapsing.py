import numpy as np
import pytest
import torch
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
        found, matrix = graphs.validate(graphs.collapse(data)), graphs.by_type(data)
        assert found.names == matrix.names
        assert found.node_size.tolist() == matrix.num_nodes.tolist()
        source, target = found.edge_index
        summed = torch.zeros(matrix.weight.shape, dtype=torch.float64)
        summed.index_put_((source, target), found.edge_weight.double(), accumulate=True)
        assert np.allclose(summed.numpy(), matrix.weight.toarray(), rtol=1e-6)


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
