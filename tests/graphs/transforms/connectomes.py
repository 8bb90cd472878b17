"""Connectomes that the tests of unions and nesting share."""

import torch
from hypothesis import strategies as st
from torch_geometric.data import Data

FULL = Data(
    edge_index=torch.tensor([[2, 0, 1], [0, 1, 1]]),
    num_nodes=3,
    pos=torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
    edge_weight=torch.tensor([0.5, 1.0, 2.0]),
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
    if "edge_type" in data and draw(st.booleans()):
        data.edge_type_names = ["chemical", "electrical"]
    for name in draw(st.sets(st.sampled_from(["pos", "node_type", "node_sign", "names"]))):
        data[name] = {
            "pos": torch.zeros(neurons, 2),
            "node_type": torch.arange(neurons) % 3,
            "node_sign": torch.ones(neurons),
            "names": [str(neuron) for neuron in range(neurons)],
        }[name]
    return data
