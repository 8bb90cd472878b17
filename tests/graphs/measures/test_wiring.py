import math

import pytest
import torch
from torch_geometric.data import Data

import graphs


def test_by_hand():
    pos = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])
    edge_index = torch.tensor([[0, 1, 2, 2], [1, 0, 1, 2]])
    found = graphs.wiring_length(Data(edge_index=edge_index, num_nodes=3, pos=pos))
    assert found == (pytest.approx(14 / 3), pytest.approx(14))


def test_without_synapses_or_coordinates():
    pos = torch.zeros(2, 1)
    found = graphs.wiring_length(Data(edge_index=torch.tensor([[0], [0]]), num_nodes=2, pos=pos))
    assert math.isnan(found.mean)
    assert found.total == 0
    with pytest.raises(ValueError, match=r"needs pos, .* but data has none; set data.pos"):
        graphs.wiring_length(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))
