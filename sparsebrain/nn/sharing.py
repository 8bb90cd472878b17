"""Groups of synapses that share a weight or gain, and groups of neurons that share parameters."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sparsebrain.kernels import Structure
from sparsebrain.nn.connectome import read_node_types, read_shared_types

Sharing = Literal["synapse", "type", "projection", "source", "target"]

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
        ValueError: If the connectome has no ``edge_type`` or ``node_type``.

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
    """Return the number of groups, which are numbered from 0."""
    return int(groups.max()) + 1 if groups.numel() else 0


def value_of_groups(values: Tensor, groups: Tensor, count: int, refusal: str) -> Tensor:
    """Return values [E] as one value per group; ValueError with that text if they differ."""
    shared = values.new_zeros(count)
    shared[groups] = values
    if not torch.equal(shared[groups], values):
        raise ValueError(refusal)
    return shared
