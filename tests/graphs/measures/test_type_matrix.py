import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs


def typed():
    """Two neurons A, one B and none C; 0 -> 1, 0 -> 2 twice, 2 -> 2, 2 -> 0."""
    return Data(
        edge_index=torch.tensor([[0, 0, 0, 2, 2], [1, 2, 2, 2, 0]]),
        num_nodes=3,
        edge_type=torch.tensor([0, 0, 1, 0, 0]),
        edge_weight=torch.tensor([1.0, 2.0, 4.0, 8.0, 0.0]),
        node_type=torch.tensor([0, 0, 1]),
        node_type_names=["A", "B", "C"],
    )


def test_a_count_by_hand():
    found = graphs.by_type(typed())
    assert found.names == ["A", "B", "C"]
    assert found.num_nodes.tolist() == [2, 1, 0]
    assert found.synapses.toarray().tolist() == [[1, 2, 0], [1, 1, 0], [0, 0, 0]]
    assert found.weight.toarray().tolist() == [[1, 6, 0], [0, 8, 0], [0, 0, 0]]
    shares = found.input_shares().toarray()
    assert shares == pytest.approx(np.array([[1, 6 / 14, 0], [0, 8 / 14, 0], [0, 0, 0]]))
    counted = graphs.by_type(typed(), weight=None)
    assert counted.weight.toarray().tolist() == found.synapses.toarray().tolist()


def test_signs_count_only_in_signed_weights():
    data = typed()
    data.node_sign = torch.tensor([-1.0, 1.0, 0.0])
    data.signed = torch.from_numpy(graphs.signed_weights(data))
    assert graphs.by_type(data).weight.toarray()[0].tolist() == [1, 6, 0]
    assert graphs.by_type(data, weight="signed").weight.toarray()[0].tolist() == [-1, -6, 0]
    assert graphs.strength(data, direction="out").tolist() == [7, 0, 8]
    assert graphs.strength(data, direction="out", weight="signed").tolist() == [-7, 0, 8]


def test_as_a_dataframe_and_as_text():
    found = graphs.by_type(typed())
    frame = found.to_dataframe("pyarrow").to_pydict()
    assert frame["source"] == ["A", "A", "B", "B"]
    assert frame["target"] == ["A", "B", "A", "B"]
    assert frame["synapses"] == [1, 2, 1, 1]
    assert frame["weight"] == [1, 6, 0, 8]
    assert frame["input_share"] == pytest.approx([1, 6 / 14, 0, 8 / 14])
    assert [line.split() for line in str(found).splitlines()] == [
        ["A", "B", "C"],
        ["A", "1", "6", "."],
        ["B", ".", "8", "."],
        ["C", ".", ".", "."],
    ]
    many = graphs.by_type(graphs.grid_local(30, 1), np.arange(30))
    assert str(many).splitlines()[-1] == "and 18 more types"
    with pytest.raises(ValueError, match="library must be one of"):
        found.to_dataframe("excel")


def test_any_labels():
    data = typed()
    assert graphs.by_type(data, ["x", "y", "x"]).weight.toarray().tolist() == [[14, 1], [0, 0]]
    numbers = graphs.by_type(data, [7, -1, 7])
    assert numbers.names == ["-1", "7"]
    assert numbers.weight.toarray().tolist() == [[0, 0], [1, 14]]
    none = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=0)
    assert graphs.by_type(none, []).weight.shape == (0, 0)
    assert str(graphs.by_type(none, [])) == ""


@pytest.mark.parametrize("name", ["larva_mushroom_body", "c_elegans"])
def test_sums_over_real_brains(name):
    data = getattr(graphs, name)()
    found = graphs.by_type(data, np.arange(data.num_nodes) % 5)
    assert found.num_nodes.sum() == data.num_nodes
    assert found.synapses.sum() == data.num_edges
    assert found.weight.sum() == pytest.approx(float(data.edge_weight.double().sum()))


def test_bad_arguments():
    with pytest.raises(ValueError, match="partition is None, and data has no node_type"):
        graphs.by_type(graphs.grid_local(3, 1))
    with pytest.raises(ValueError, match="one integer or text for each of the 3 neurons, got"):
        graphs.by_type(typed(), [0, 1])
