"""Groups of synapses that share a weight or gain, and groups of neurons that share parameters."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphs.ordering import Index, canonical_order
from sparsebrain.kernels import Structure
from sparsebrain.nn.connectome import read_node_types, read_shared_types

Sharing = Literal["synapse", "type", "projection", "source", "target", "pair"]

SYNAPSES: tuple[Sharing, ...] = get_args(Sharing)
"""The groups of synapses that can share a weight or a gain."""

Grouping = Literal["neuron", "population"]

NEURONS: tuple[Grouping, ...] = get_args(Grouping)
"""The groups of neurons that can share a parameter."""


def share_synapses(
    connectome: Any, structure: Structure, by: str, option: str
) -> tuple[Tensor | None, int, Tensor | None]:
    """Return the group of every synapse, the number of groups and, for projections, their pairs.

    A projection is the set of all synapses from one population (``node_type``) to another, as in
    PyNN. Only projections with synapses are numbered, by source and then by target.

    A pair is a synapse i -> j and its partner j -> i, sorted by (min(i, j), max(i, j)). Of several
    synapses between two neurons, those of equal rank in the order of their ``edge_type`` are
    partners. A self-loop is its own partner.

    Args:
        connectome: A ``Data``.
        structure: Its synapses.
        by: One of :data:`SYNAPSES`.
        option: The name of the option, for messages.

    Returns:
        The groups [E] int64, or None if each synapse is on its own; the number of groups, some of
        which may have no synapse; and for projections their populations [2, P] int64, sources above
        targets.

    Raises:
        ValueError: If the connectome has no ``edge_type`` or ``node_type``, or, for pairs, a
            synapse without a partner.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure
        >>> from torch_geometric.data import Data
        >>> data = Data(
        ...     edge_index=torch.tensor([[0, 1, 2, 2], [2, 2, 0, 1]]),
        ...     num_nodes=3,
        ...     node_type=torch.tensor([0, 0, 1]),
        ... )
        >>> structure = Structure(data.edge_index, 3)
        >>> groups, count, projections = share_synapses(data, structure, "projection", "gain")
        >>> groups.tolist(), count, projections.tolist()
        ([0, 0, 1, 1], 2, [[0, 1], [1, 0]])
    """
    if by == "synapse":
        return None, structure.num_edges, None
    if by == "type":
        types = read_shared_types(connectome, option)
        return types, count_groups(types), None
    if by in ("source", "target"):
        neurons = structure.edge_index[0 if by == "source" else 1].clone()
        return neurons, structure.num_nodes, None
    if by == "pair":
        pairs = _pair_synapses(connectome, structure, option)
        return pairs, count_groups(pairs), None
    population = read_node_types(connectome, f"{option}='projection'")
    source, target = population[structure.edge_index]
    width = max(count_groups(population), 1)
    numbers, groups = (source * width + target).unique(return_inverse=True)
    return groups, len(numbers), torch.stack([numbers // width, numbers % width])


def _pair_synapses(connectome: Any, structure: Structure, option: str) -> Tensor:
    """Return the pair of every synapse [E]; ValueError if one has no partner."""
    source, target = structure.edge_index.cpu().numpy()
    types = connectome.edge_type.cpu().numpy() if "edge_type" in connectome else None
    low, high = np.minimum(source, target), np.maximum(source, target)
    order = canonical_order(structure.num_nodes, high, low, types)
    low, high, forward = low[order], high[order], (source <= target)[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (np.diff(low) != 0) | (np.diff(high) != 0)
    first, size = np.flatnonzero(starts), np.diff(np.flatnonzero(starts), append=len(order))
    # The numbers of forward and backward synapses before each synapse and before its neurons.
    before = np.stack([np.cumsum(each) - each for each in (forward, ~forward)])
    at_start = np.repeat(before[:, first], size, axis=1)
    rank = np.where(forward, *(before - at_start))
    _refuse_one_way(low, high, forward, first, option)
    pairs = np.empty_like(order)
    pairs[order] = at_start[0] + rank
    return torch.from_numpy(pairs).to(structure.device)


def _refuse_one_way(
    low: Index, high: Index, forward: NDArray[np.bool_], first: Index, option: str
) -> None:
    if not len(first):
        return
    ways = np.where(low == high, 0, np.where(forward, 1, -1))
    surplus = np.add.reduceat(ways, first)
    odd = np.flatnonzero(surplus)
    if len(odd):
        at = first[odd[0]]
        ends = (low[at], high[at]) if surplus[odd[0]] > 0 else (high[at], low[at])
        raise ValueError(
            f"{option}='pair' needs a partner in the opposite direction for every synapse, but "
            f"{np.abs(surplus).sum()} have none, the first from neuron {ends[0]} to {ends[1]}; "
            "pass graphs.symmetrize(connectome), or on the command line symmetric=true in the "
            "topology"
        )


def count_groups(groups: Tensor) -> int:
    """Return the number of groups, which are numbered from 0."""
    return int(groups.max()) + 1 if groups.numel() else 0


def value_of_groups(values: Tensor, groups: Tensor, count: int, refusal: str) -> Tensor:
    """Return values [E] as one value per group; ValueError with that text if they differ."""
    shared = values.new_zeros(count)
    shared[groups] = values
    if not torch.equal(shared[groups], values):
        raise ValueError(refusal)
    return shared
