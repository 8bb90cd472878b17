"""Connectomes with every field, and what it means that two are the same."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs


@st.composite
def any_connectome(draw, least=0):
    """A connectome with any fields of the contract, and at least so many synapses and neurons."""
    neurons = draw(st.integers(least, 5))
    kinds = draw(st.sampled_from([1, 3]))
    neuron = st.integers(0, max(neurons - 1, 0))
    most = 10 if neurons else 0
    found = draw(
        st.sets(st.tuples(neuron, neuron, st.integers(0, kinds - 1)), min_size=least, max_size=most)
    )
    target, source, edge_type = np.array(sorted(found), dtype=np.int64).reshape(-1, 3).T.copy()
    data = Data(edge_index=torch.tensor(np.stack((source, target))), num_nodes=neurons)
    if kinds > 1 or draw(st.booleans()):
        # Larger than a float64 can tell apart.
        data.edge_type = torch.tensor(edge_type) + draw(st.sampled_from([0, 2**62]))
        if (data.edge_type < 3).all() and draw(st.booleans()):
            data.edge_type_names = [draw(text) for _ in range(3)]

    def floats(rows, columns):
        number = st.floats(allow_nan=False, allow_infinity=False, width=32)
        values = [draw(number) for _ in range(rows * columns)]
        return torch.tensor(values, dtype=torch.float32).reshape(rows, columns)

    def signs(length):
        return torch.tensor([draw(st.integers(-1, 1)) for _ in range(length)]).float()

    if draw(st.booleans()):
        data.edge_weight = floats(len(found), 1).flatten()
    if draw(st.booleans()):
        data.edge_sign = signs(len(found))
    if draw(st.booleans()):
        data.node_sign = signs(neurons)
    if draw(st.booleans()):
        data.pos = floats(neurons, draw(st.integers(1, 3)))
    if draw(st.booleans()):
        data.node_type = torch.tensor([draw(st.integers(0, 2)) for _ in range(neurons)]).long()
        if draw(st.booleans()):
            data.node_type_names = [draw(text) for _ in range(3)]
    if draw(st.booleans()):
        data.names = [draw(text) for _ in range(neurons)]
    if draw(st.booleans()):
        data.shape = (1, neurons)
    sign = graphs.contract.signs(data)
    if sign is not None and "edge_weight" in data:
        # A negative weight contradicts the sign +1.
        data.edge_weight[torch.from_numpy(sign > 0)] = data.edge_weight[sign > 0].abs()
    return graphs.validate(data)


# NumPy's text cannot end in the character 0.
text = st.one_of(
    st.text(max_size=3).map(lambda drawn: drawn.rstrip("\0")),
    st.sampled_from(["0", "1", "01", "a,b", '"', '""', "\n", "\r", "\r\n", "\t", " a ", "\ufeff"]),
)


@pytest.fixture(scope="session")
def connectomes():
    return any_connectome


@pytest.fixture
def full():
    """Five neurons, parallel synapses, and every field."""
    data = Data(edge_index=torch.tensor([[0, 0, 3, 1], [1, 1, 1, 2]]), num_nodes=5)
    data.pos = torch.tensor([[0.1, 2], [1, 1e-30], [-0.0, 3e38], [1, 2], [3, 4]])
    data.edge_weight = torch.tensor([0.1, -1.0, 1e-45, 0.0])
    data.edge_type = torch.tensor([0, 2**62, 1, 1])
    data.edge_sign = torch.tensor([1.0, -1.0, 0.0, 1.0])
    data.node_type = torch.tensor([0, 1, 1, 0, 1])
    data.node_type_names = ["pyramidal", "Körner, [2]"]
    data.node_sign = torch.tensor([1.0, -1.0, -1.0, 0.0, 1.0])
    data.names = ["a", "β", "<&>", " c ", "神経"]
    data.shape = (5, 1)
    return graphs.validate(data)


@pytest.fixture(scope="session")
def assert_same():
    def check(one, other):
        assert set(one.keys()) == set(other.keys())
        for key, value in one.to_dict().items():
            if isinstance(value, torch.Tensor):
                assert value.dtype == other[key].dtype
                assert torch.equal(value, other[key]), key
            else:
                assert type(value) is type(other[key])
                assert value == other[key]

    return check
