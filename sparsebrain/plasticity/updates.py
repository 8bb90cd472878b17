"""Updates of single synapses, for graph layers and dense ones, and how they become gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from graphs import tensors
from sparsebrain import kernels
from sparsebrain.learning.credit import Weighted
from sparsebrain.nn.dale import DaleSign
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.spiking import LIF

Plastic = Weighted | LIF
"""What a plasticity rule can be around."""


def refuse_weights(layer: Plastic) -> str | None:
    """Return why the weights of a layer do not belong to synapses alone, or None if they do."""
    if isinstance(layer, GraphLayer) and layer.gain is not None:
        return (
            "its weights are fixed strengths times gains, and the rule changes single synapses; "
            "make the layer without gain, such as GraphLayer(connectome, init='edge_weight')."
        )
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    parametrized: Any = layer.parametrizations
    if all(isinstance(each, DaleSign) for each in parametrized.weight):
        return None
    return (
        "a parametrization computes its weights from other parameters, and the rule changes single "
        "synapses; use constraint=None in an Equilibrium, and no parametrization but dale=True."
    )


def check_activity(name: str, value: Tensor, shape: tensors.Shape, layer: Plastic) -> None:
    """Raise TypeError or ValueError unless ``value`` has that shape, finite, as the weight."""
    weight = layer.weight
    if weight.is_meta:
        raise ValueError(
            f"the layer's weights are on 'meta' and have no values, so it cannot take {name}; load "
            "them, or call layer.to_empty(device='cpu') and layer.reset_parameters()"
        )
    tensors.tensor(name, value, shape, dtypes=(weight.dtype,), device=weight.device, finite=True)


def correlate(layer: Weighted, post: Tensor, pre: Tensor) -> Tensor:
    """Return, per synapse or weight, the sum over rows of post [R, out] times pre [R, in]."""
    if isinstance(layer, nn.Linear):
        return post.T @ pre
    return kernels.correlate(layer.structure, post.T, pre.T, backend=layer.backend)


def per_target(layer: Weighted, values: Tensor) -> Tensor:
    """Return values [N] of target neurons per synapse [E], or as a column for an ``nn.Linear``."""
    if isinstance(layer, nn.Linear):
        return values.unsqueeze(1)
    return layer.structure.by_target.per_synapse(values)


def add_to_grad(layer: Plastic, update: Tensor) -> None:
    """Add minus the update, one value per synapse, to ``.grad`` of the weight's parameter.

    A weight that synapses share receives the mean of their updates. With Dale's law the parameter
    is a magnitude, and the update is taken with the sign of the synapse.
    """
    groups = layer.weight_index if isinstance(layer, GraphLayer) else None
    with torch.enable_grad():
        weight = layer.weight
        if not weight.requires_grad:
            return
        if groups is not None:
            count = torch.bincount(groups, minlength=len(weight)).clamp_min(1)
            update = torch.zeros_like(weight).detach().index_add_(0, groups, update) / count
        torch.autograd.backward(weight, -update)
