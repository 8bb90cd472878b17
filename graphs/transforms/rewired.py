"""The synapses of a connectome without parallel ones, before and after they are rewired."""

import numpy as np
from torch_geometric.data import Data

from graphs.contract import Index, build, validate
from graphs.fields import carry, ends, of_neurons, of_synapses, order


def synapses(data: Data) -> tuple[Index, Index, Index]:
    """Return the synapses in canonical order, and their ends; refuse parallel synapses."""
    validate(data)
    sequence = order(data)
    source, target = ends(data)[:, sequence]
    same = (source[1:] == source[:-1]) & (target[1:] == target[:-1])
    if same.any():
        at = int(np.flatnonzero(same)[0])
        raise ValueError(
            "data must connect no two neurons twice to be rewired, got "
            f"{source[at]} -> {target[at]} with more than one edge_type; pass "
            "torch_geometric.transforms.RemoveDuplicatedEdges()(data) without edge_type"
        )
    return sequence, source, target


def with_targets(data: Data, sequence: Index, source: Index, target: Index) -> Data:
    """Return the connectome with other ends of its synapses, which are in canonical order."""
    fields = of_neurons(data) | of_synapses(data, sequence)
    return carry(data, build(int(data.num_nodes), source, target, **fields))
