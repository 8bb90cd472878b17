"""Every kind of bad value, and which arguments may take some of them after all."""

import decimal
import math
from collections.abc import Iterator
from typing import Any

import networkx as nx
import numpy as np
import torch
from torch_geometric.data import Data

# A name for each kind of value. An argument is given all of them but those that suit it.
VALUES: dict[str, Any] = {
    "None": None,
    "bool": True,
    "zero": 0,
    "negative": -1,
    "negative float": -0.5,
    "float": 1.5,
    "NaN": math.nan,
    "infinity": math.inf,
    "-infinity": -math.inf,
    "2**40": 2**40,
    "2**63": 2**63,
    "10**20": 10**20,
    "1e308": 1e308,
    "complex": 1j,
    "Decimal": decimal.Decimal(2),
    "string": "misspelt",
    "empty string": "",
    "string of a number": "3",
    "NUL": "a\0b",
    "bytes": b"x",
    "empty list": [],
    "list of NaN": [math.nan],
    "list of strings": ["a", "b"],
    "list of None": [None],
    "list of -1": [-1],
    "ragged list": [[1], [1, 2]],
    "tuple": (),
    "dict": {},
    "set": {1},
    "array": np.zeros((2, 2)),
    "empty array": np.zeros(0),
    "array 0-d": np.array(2.5),
    "array float16": np.zeros(3, np.float16),
    "array of objects": np.array([None, "a"], dtype=object),
    "array of strings": np.array(["a", "b"]),
    "tensor": torch.zeros(2, 3, 5),
    "tensor 0-d": torch.tensor(2.5),
    "tensor float16": torch.zeros(3, dtype=torch.float16),
    "tensor complex": torch.zeros(3, dtype=torch.complex64),
    "tensor meta": torch.zeros(3, device="meta"),
    "tensor sparse": torch.eye(3).to_sparse(),
    "function": lambda: None,
    "class": int,
    "object": object(),
    "Data": Data(),
    "graph": nx.DiGraph([(0, 1)]),
}


def damaged_tensors(good: torch.Tensor) -> Iterator[tuple[str, Any]]:
    """Yield what is nearly the tensor that an argument expects."""
    yield "0-d", good.new_zeros(())
    yield "one axis more", good[None, None]
    if good.dim():
        yield "wider", torch.cat([good, good[..., :1]], dim=-1)
        yield "no width", good[..., :0]
    yield "float16", good.to(torch.float16)
    yield "complex", good.to(torch.complex64)
    yield "bool", good.to(torch.bool)
    yield "int32", good.to(torch.int32)
    yield "meta", good.to("meta")
    yield "sparse", good.to_sparse()
    yield "array", good.detach().numpy()
    yield "list", good.tolist()


def damaged_connectomes(good: Data) -> Iterator[tuple[str, Any]]:
    """Yield what is nearly a connectome."""
    edges, neurons = good.edge_index, good.num_nodes

    def changed(**fields: Any) -> Data:
        return Data(**{"edge_index": edges, "num_nodes": neurons, **fields})

    yield "no edge_index", Data(num_nodes=neurons)
    for name, value in damaged_tensors(edges):
        # A connectome may have any number of synapses, none among them.
        if name not in ("wider", "no width"):
            yield f"edge_index {name}", changed(edge_index=value)
    yield "edge_index transposed", changed(edge_index=torch.zeros((7, 2), dtype=torch.long))
    yield "edge_index None", changed(edge_index=None)
    yield "negative source", changed(edge_index=edges - 1)
    yield "target too large", changed(edge_index=edges + 1)
    yield "duplicates", changed(edge_index=torch.cat([edges, edges], dim=1))
    for name in ("bool", "negative", "float", "NaN", "2**40", "2**63", "string", "tensor", "array"):
        yield f"num_nodes {name}", changed(num_nodes=VALUES[name])
    for field in ("edge_weight", "edge_sign", "node_sign", "pos", "node_type", "edge_type"):
        for name in ("string", "dict", "tensor", "tensor sparse", "tensor meta", "array"):
            yield f"{field} {name}", changed(**{field: VALUES[name]})
    yield "edge_sign 2", changed(edge_sign=torch.full((edges.shape[1],), 2.0))
    yield "edge_weight NaN", changed(edge_weight=torch.full((edges.shape[1],), math.nan))
    yield "pos infinite", changed(pos=torch.full((neurons, 2), math.inf))
    yield "names too few", changed(names=["a"])
    yield "names no strings", changed(names=list(range(neurons)))
    yield "names a string", changed(names="a" * neurons)
    yield "shape of other size", changed(shape=(neurons + 1,))
    yield "shape a string", changed(shape="abc")
    yield "edge_index of a graph", nx.DiGraph([(0, 1)])
    yield "path", "connectome.csv"
