"""Checks of the arguments of a rewiring, and the signs that it keeps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphs import arguments, tensors
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.replacement import weight_parameter
from sparsebrain.plasticity.updates import refuse_weights

_CANDIDATES = 2.0
_MOST_CANDIDATES = 1000


def check_layer(layer: Any, method: str) -> GraphLayer:
    """Return the layer; TypeError or ValueError if its synapses cannot be replaced."""
    if not isinstance(layer, GraphLayer):
        raise TypeError(
            f"layer must be a GraphLayer, got {arguments.described(layer)}; pass "
            "sparsebrain.GraphLayer(connectome)"
        )
    reason = refuse_weights(layer)
    if layer.weight_sharing != "synapse":
        reason = "its synapses share weights; make the layer with weight_sharing='synapse'."
    elif method == "rigl" and isinstance(layer.loops, Equilibrium):
        reason = "an Equilibrium has no loops to observe; use loops=8, or method='set'."
    elif method == "rigl" and not layer.has_plain_messages:
        reason = "it has its own messages, which candidates lack; use aggr='sum', or method='set'."
    elif layer.weight.is_meta:
        reason = "its weights are on 'meta' and have no values; call layer.to_empty(device='cpu')."
    if reason is not None:
        raise ValueError(f"Rewiring cannot replace synapses of this layer: {reason}")
    return layer


def check_candidates(
    candidates: Any, layer: GraphLayer, method: str
) -> tuple[Tensor | None, float]:
    """Return the pairs that may grow, or None for all, and the candidates per synapse."""
    if candidates is None:
        return None, _CANDIDATES
    if not isinstance(candidates, Tensor) and method == "rigl":
        number = arguments.real("candidates", candidates, positive=True, at_most=_MOST_CANDIDATES)
        return None, number
    device = layer.edge_index.device
    tensors.tensor("candidates", candidates, (2, "P"), dtypes=(torch.int64,), device=device)
    wrong = candidates[(candidates < 0) | (candidates >= layer.num_nodes)]
    if len(wrong):
        raise ValueError(
            f"candidates must hold neurons from 0 to {layer.num_nodes - 1}, got {int(wrong[0])}; "
            "pass pairs of the layer's neurons"
        )
    return candidates.clone(), _CANDIDATES


def signs_of_sources(layer: GraphLayer) -> Tensor | None:
    """Return the sign of each neuron's synapses [N], 0 if unknown; None without ``dale``."""
    sign = layer.sign
    if sign is None:
        return None
    low, high = (
        sign.new_zeros(layer.num_nodes).scatter_reduce(
            0, layer.edge_index[0], sign, how, include_self=False
        )
        for how in ("amin", "amax")
    )
    mixed = (low != high).nonzero()
    if len(mixed):
        raise ValueError(
            "Rewiring cannot replace synapses of this layer: with dale=True new synapses have the "
            f"sign of their source, but those of neuron {int(mixed[0])} have different signs; use "
            "connectome.node_sign."
        )
    return low


def signs_at_birth(layer: GraphLayer) -> Tensor:
    """Return the sign [E] of the parameter of each synapse, +1 for a magnitude."""
    parameter, fixed = weight_parameter(layer).detach(), layer.sign
    sign = torch.where(parameter < 0, -torch.ones_like(parameter), 1)
    return sign if fixed is None else torch.where(fixed == 0, sign, 1)
