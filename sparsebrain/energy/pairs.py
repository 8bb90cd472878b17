"""The pairs of neurons of a symmetric connectome, which have one weight each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import Data

from graphs.contract import validate, weights
from sparsebrain.kernels import Structure


class Pairs(NamedTuple):
    """Pairs of connected neurons.

    Attributes:
        pairs: [2, P] int64, i < j, sorted by (i, j).
        structure: Both directions of every pair, P synapses i -> j and then P synapses j -> i.
        weight: [P] float32, from ``edge_weight`` with its signs, or None.
    """

    pairs: Tensor
    structure: Structure
    weight: Tensor | None


def read_pairs(connectome: Data) -> Pairs:
    """Return the pairs of a connectome, after checking that it is symmetric.

    Synapses of different types between the same neurons are one pair, and their weights add up.

    Raises:
        TypeError: If ``connectome`` is not a ``Data``.
        ValueError: If it breaks the contract, has a self-loop or a synapse in one direction only,
            or the weights of both directions differ.
    """
    if not isinstance(connectome, Data):
        raise TypeError(
            f"connectome must be a torch_geometric.data.Data, got {type(connectome).__name__}; "
            "pass what a function of graphs returns"
        )
    validate(connectome)
    source, target = connectome.edge_index.cpu()
    nodes = int(connectome.num_nodes)
    _refuse_self_loops(source, target)
    key, group = torch.unique(source * nodes + target, return_inverse=True)
    weight = None
    if "edge_weight" in connectome:
        weight = torch.zeros(len(key), dtype=torch.float64)
        weight.index_add_(0, group, torch.from_numpy(weights(connectome)).double())
    source, target = key // nodes, key % nodes
    # The partner of every synapse, where there is one.
    back = torch.searchsorted(key, target * nodes + source).clamp(max=max(len(key) - 1, 0))
    _refuse_one_way(source, target, key[back] != target * nodes + source)
    forward = source < target
    pairs = torch.stack([source[forward], target[forward]])
    if weight is not None:
        _refuse_unequal(pairs, weight[forward], weight[back[forward]])
        weight = weight[forward].float()
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    return Pairs(pairs, Structure(both, nodes), weight)


def _refuse_self_loops(source: Tensor, target: Tensor) -> None:
    same = (source == target).nonzero()
    if same.numel():
        neuron = int(source[int(same[0])])
        raise ValueError(
            f"connectome has {same.numel()} self-loops, the first at neuron {neuron}; a self-loop "
            "is a bias, since x * x = x, so drop them with connectome.edge_subgraph("
            "connectome.edge_index[0] != connectome.edge_index[1])"
        )


def _refuse_one_way(source: Tensor, target: Tensor, alone: Tensor) -> None:
    first = alone.nonzero()
    if first.numel():
        at = int(first[0])
        raise ValueError(
            f"connectome has {first.numel()} synapses in one direction only, the first from neuron "
            f"{int(source[at])} to {int(target[at])}, which have no energy; pass "
            "graphs.symmetrize(connectome)"
        )


def _refuse_unequal(pairs: Tensor, there: Tensor, back: Tensor) -> None:
    unequal = ((there - back).abs() > 1e-6 * torch.maximum(there.abs(), back.abs())).nonzero()
    if unequal.numel():
        at = int(unequal[0])
        i, j = pairs[:, at].tolist()
        raise ValueError(
            f"connectome.edge_weight with its sign is {there[at]:g} from neuron {i} to {j} and "
            f"{back[at]:g} back, and {unequal.numel()} pairs in all differ, but a pair has one "
            "weight; pass graphs.symmetrize(connectome, weight='mean')"
        )
