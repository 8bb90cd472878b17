"""Neurons by name, where names repeat."""

import pytest
import torch
from torch_geometric.data import Data

from graphs.selection import find_neurons


def test_a_name_of_several_neurons_is_refused():
    data = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3, names=["a", "x", "x"])
    assert find_neurons(data, ["a"], "inputs").tolist() == [0]
    with pytest.raises(ValueError, match=r"inputs names 'x', .* of 2 neurons; pass .*inputs=\[1\]"):
        find_neurons(data, ["a", "x"], "inputs")
