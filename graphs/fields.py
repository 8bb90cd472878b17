"""The fields of the contract as NumPy arrays, to make one connectome from another."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.contract import Index, weights
from graphs.ordering import canonical_order

Array = NDArray[Any]

PER_NEURON = ("pos", "node_type", "node_sign")
LISTS = ("names", "node_type_names", "edge_type_names")
PER_SYNAPSE = ("edge_type", "edge_weight", "edge_sign")
CONTRACT = ("edge_index", "num_nodes", "shape", *PER_NEURON, *LISTS, *PER_SYNAPSE)


def array(data: Data, name: str) -> Array:
    """Return a tensor of the connectome as an array, which shares memory with it if possible."""
    values: Array = data[name].detach().cpu().numpy()
    return values


def ends(data: Data) -> Index:
    """Return sources and targets [2, E]."""
    return array(data, "edge_index")


def types(data: Data) -> Index:
    """Return synapse types numbered without gaps; without ``edge_type`` each synapse is a type."""
    if "edge_type" not in data:
        return np.arange(data.num_edges)
    return np.unique(array(data, "edge_type"), return_inverse=True)[1].astype(np.int64)


def type_names(data: Data) -> list[str] | None:
    """Return the name of each type as `types` numbers them, or None if types have no names."""
    if "edge_type_names" not in data:
        return None
    return [data["edge_type_names"][kind] for kind in np.unique(array(data, "edge_type"))]


def population_names(data: Data) -> list[str]:
    """Return the names of the populations, or their numbers as text."""
    if "node_type_names" in data:
        return list(data["node_type_names"])
    return [str(kind) for kind in range(int(array(data, "node_type").max(initial=-1)) + 1)]


def beyond(data: Data) -> list[str]:
    """Return the names of the fields outside the contract."""
    return sorted(set(data.keys()).difference(CONTRACT))


def of_neurons(data: Data) -> dict[str, Any]:
    """Return copies of the contract's fields without a value per synapse, for `build`."""
    fields: dict[str, Any] = {name: array(data, name).copy() for name in PER_NEURON if name in data}
    fields |= {name: list(data[name]) for name in LISTS if name in data}
    if "shape" in data:
        fields["shape"] = tuple(data["shape"])
    return fields


def carry(data: Data, to: Data, kept: Index | None = None) -> Data:
    """Copy the fields outside the contract that have a value per neuron.

    These are tensors [N, ...] and lists of N str.

    Args:
        data: The connectome that has the fields.
        to: The connectome that receives them.
        kept: The neurons of `data` that `to` has; None means all of them.

    Returns:
        The connectome `to`.
    """
    neurons = int(data.num_nodes)
    for name in beyond(data):
        value = data[name]
        # If there are as many synapses as neurons, the name decides, as in PyG.
        if "edge" in name and neurons == data.num_edges:
            continue
        if isinstance(value, torch.Tensor):
            plain = value.layout == torch.strided and not value.is_meta
            if plain and value.dim() and len(value) == neurons:
                copy = value.detach().cpu().clone()
                to[name] = copy if kept is None else copy[torch.from_numpy(kept)]
        elif (
            isinstance(value, list)
            and len(value) == neurons
            and all(isinstance(each, str) for each in value)
        ):
            to[name] = list(value) if kept is None else [value[each] for each in kept]
    return to


def of_synapses(data: Data, chosen: Any = slice(None)) -> dict[str, Any]:
    """Return the contract's fields of the chosen synapses."""
    return {name: array(data, name)[chosen] for name in PER_SYNAPSE if name in data}


def order(data: Data) -> Index:
    """Return the synapses in canonical order, so that random results depend on the graph alone."""
    source, target = ends(data)
    edge_type = array(data, "edge_type") if "edge_type" in data else None
    return canonical_order(int(data.num_nodes), source, target, edge_type)


def under_signs(data: Data, chosen: Any, sign: Array) -> Array:
    """Return weights of synapses for synapses that have the signs of other sources.

    Args:
        data: A connectome with ``edge_weight`` that keeps the contract.
        chosen: The synapses whose weights are used, K of them.
        sign: The signs of the new synapses [K].

    Returns:
        Weights [K] that keep the contract with these signs: the magnitude where the sign is +1,
        ``edge_weight`` where it is -1, and the signed weight where it is 0 (unknown).
    """
    weight, signed = array(data, "edge_weight")[chosen], weights(data)[chosen]
    return np.select([sign > 0, sign < 0], [np.abs(weight), weight], signed)
