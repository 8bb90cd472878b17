"""Symmetric connectomes: every synapse has a partner in the opposite direction."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, build, signs, validate, weights
from graphs.fields import array, carry, ends, of_neurons
from graphs.ordering import canonical_order

# How the weights of the synapses between two neurons become one.
_COMBINE = {"sum": np.add, "mean": np.add, "max": np.maximum}


def symmetrize(data: Data, weight: Literal["sum", "mean", "max"] = "sum") -> Data:
    """Return a connectome in which every synapse has a partner in the opposite direction.

    Two neurons with a synapse in one direction, or in both, get one in each direction, of equal
    weight. Self-loops stay. Takes O(N + E) time without types and O(N + E log E) with them.

    Args:
        data: A connectome. Synapses of different types are made symmetric type by type.
        weight: How the weights of the synapses between two neurons become one weight: their "sum",
            their "mean" over the synapses that exist, or their "max". A self-loop keeps its weight.

    Returns:
        The same neurons with all of their fields, and the symmetric synapses with their
        ``edge_weight``, ``edge_type`` and ``edge_sign``. An unknown sign, 0, becomes that of the
        partner.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `data` breaks the contract, `weight` is not an option, or two neurons excite one
            another in one direction and inhibit in the other: such synapses have no common weight.

    Example:
        >>> import graphs, torch
        >>> from torch_geometric.data import Data
        >>> chain = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> graphs.symmetrize(chain).edge_index.tolist()
        [[1, 0, 2, 1], [0, 1, 1, 2]]
        >>> graphs.reciprocity(graphs.symmetrize(graphs.c_elegans()))
        1.0
    """
    validate(data)
    arguments.option("weight", weight, _COMBINE)
    neurons = int(data.num_nodes)
    source, target = ends(data)
    low, high = np.minimum(source, target), np.maximum(source, target)
    edge_type = array(data, "edge_type") if "edge_type" in data else None
    order = canonical_order(neurons, low, high, edge_type)
    first = _starts(order, low, high, *(() if edge_type is None else (edge_type,)))
    pair = order[first]
    fields = of_neurons(data)
    sign = _signs(data, order, first, low[pair], high[pair])
    both = np.concatenate([np.arange(len(pair)), np.flatnonzero(low[pair] != high[pair])])
    # A node_sign holds for both directions of every synapse, or `_signs` would have refused it.
    fields["edge_sign"] = sign[both] if sign is not None and "edge_sign" in data else None
    fields["edge_type"] = None if edge_type is None else edge_type[pair][both]
    if "edge_weight" in data:
        measured = array(data, "edge_weight")
        if (measured < 0).any():  # Magnitudes stay magnitudes.
            measured = weights(data)
        fields["edge_weight"] = _combined(measured[order], first, weight)[both]
    back = both[len(pair) :]
    sources = np.concatenate([low[pair], high[pair][back]])
    targets = np.concatenate([high[pair], low[pair][back]])
    return carry(data, build(neurons, sources, targets, **fields))


def _starts(order: Index, *keys: Index) -> Index:
    """Return where in the sorted synapses each new combination of keys begins."""
    new = np.ones(len(order), dtype=bool)
    if len(order):
        new[1:] = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    return np.flatnonzero(new)


def _combined(weight: NDArray[np.float32], first: Index, how: str) -> NDArray[np.float32]:
    """Return one weight for each group of sorted synapses."""
    if not len(first):
        return weight
    combined = _COMBINE[how].reduceat(weight.astype(np.float64), first)
    if how == "mean":
        combined /= np.diff(first, append=len(weight))
    return combined.astype(np.float32)


def _signs(
    data: Data, order: Index, first: Index, low: Index, high: Index
) -> NDArray[np.float32] | None:
    """Return one sign for each group of sorted synapses; ValueError if two of them disagree."""
    sign = signs(data)
    if sign is None or not len(first):
        return None if sign is None else sign[:0]
    ordered = sign[order]
    least, most = np.minimum.reduceat(ordered, first), np.maximum.reduceat(ordered, first)
    # A negative weight of unknown sign opposes an excitatory partner.
    negative = np.minimum.reduceat(weights(data)[order], first) < 0
    opposed = ((least < 0) | negative) & (most > 0)
    if "edge_sign" not in data:
        # The new direction of a one-way synapse would have the sign of its new source.
        of_neuron = array(data, "node_sign")
        opposed |= of_neuron[low] * of_neuron[high] < 0
    if opposed.any():
        at = int(np.flatnonzero(opposed)[0])
        field = "edge_sign" if "edge_sign" in data else "node_sign"
        raise ValueError(
            f"{field}: the synapses between neurons {low[at]} and {high[at]} have opposite signs, "
            f"and so have those of {int(opposed.sum())} pairs in all, which therefore have no "
            f"common weight; drop the signs with del data.{field}, or these synapses with "
            "graphs.lesion"
        )
    # The sign that is known, if there is one.
    known: NDArray[np.float32] = np.where(least == 0, most, least)
    return known
