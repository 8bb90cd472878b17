"""Which synapses share a weight or a gain, and which neurons share what makes them alike."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sparsebrain.kernels import Structure
from sparsebrain.nn.connectome import read_node_types, read_shared_types

Sharing = Literal["synapse", "type", "projection", "source", "target"]

SYNAPSES: tuple[Sharing, ...] = get_args(Sharing)
"""A value for each synapse, edge_type, pair of populations, source or target."""

Grouping = Literal["neuron", "population"]

NEURONS: tuple[Grouping, ...] = get_args(Grouping)
"""A value for each neuron or each node_type."""


def share_synapses(
    connectome: Any, structure: Structure, by: str, option: str
) -> tuple[Tensor | None, int, Tensor | None]:
    """Group ids of the synapses, their number and, for projections, the population pairs.

    A projection is all synapses from one population, or ``node_type``, to another, as PyNN calls
    it. Only those that have synapses are numbered, by their source and then their target.

    Args:
        connectome: a ``Data``.
        structure: its synapses.
        by: one of :data:`SYNAPSES`.
        option: who asks, for the error.

    Returns:
        None where each synapse is on its own, else [E]; the number of groups, of which neurons
        and types may have no synapse; and of projections their populations [2, P] int64, sources
        above targets.

    Raises:
        ValueError: the connectome has no ``edge_type`` or ``node_type``.

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
    population = read_node_types(connectome, f"{option}='projection'")
    source, target = population[structure.edge_index]
    width = max(count_groups(population), 1)
    numbers, groups = (source * width + target).unique(return_inverse=True)
    return groups, len(numbers), torch.stack([numbers // width, numbers % width])


def count_groups(groups: Tensor) -> int:
    """How many values groups numbered from 0 share."""
    return int(groups.max()) + 1 if groups.numel() else 0


def value_of_groups(values: Tensor, groups: Tensor, count: int, refusal: str) -> Tensor:
    """Values [E] as those of their groups; ValueError with that text where they differ."""
    shared = values.new_zeros(count)
    shared[groups] = values
    if not torch.equal(shared[groups], values):
        raise ValueError(refusal)
    return shared
