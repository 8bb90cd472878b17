"""Checks of the arguments and inputs of models, in addition to those of the graph layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphs import tensors
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.nn.graph_layer import GraphLayer


def check_layer(layer: Any) -> int:
    """Return the loops of a GraphLayer; TypeError or ValueError unless they are a number."""
    if not isinstance(layer, GraphLayer):
        raise TypeError(
            f"layer must be a GraphLayer, got {type(layer).__name__}; pass "
            "GraphLayer(connectome, loops=5)"
        )
    if isinstance(layer.loops, Equilibrium):
        raise ValueError(
            "layer must have a number of loops, since an Equilibrium keeps neither a state that "
            "could be read on the way nor one to start from; pass GraphLayer(connectome, loops=5)"
        )
    return layer.loops


def check_module(name: str, module: Any) -> nn.Module:
    """Return ``module``, or for None the identity; TypeError if it is something else."""
    if module is None:
        return nn.Identity()
    if not isinstance(module, nn.Module):
        got = f"the class {module.__name__}" if isinstance(module, type) else type(module).__name__
        raise TypeError(
            f"{name} must be a torch.nn.Module or None, got {got}; pass "
            f"{name}=torch.nn.Linear(in_features, out_features)"
        )
    return module


def check_samples(x: Any, shape: tensors.Shape, first: nn.Module) -> Tensor:
    """Return the input of a model whose first module is ``first``; TypeError or ValueError.

    The width and dtype are only known for an ``nn.Linear``; other modules may take integers.
    """
    if not isinstance(first, nn.Linear):
        return tensors.tensor("x", x, shape, dtypes=tensors.REAL)
    dtypes: tuple[torch.dtype, ...] = (first.weight.dtype,)
    if isinstance(x, Tensor) and not x.is_meta and torch.is_autocast_enabled(x.device.type):
        dtypes = (*dtypes, torch.float16, torch.bfloat16)
    device = first.weight.device
    return tensors.tensor("x", x, (*shape[:-1], first.in_features), dtypes=dtypes, device=device)


def check_encoded(encode: nn.Module, x: Tensor, num_nodes: int) -> Tensor:
    """Return ``encode(x)``; TypeError or ValueError unless it has a value for each neuron."""
    encoded = encode(x)
    if isinstance(encode, nn.Identity):
        # The layer checks x and calls it x in its messages.
        return encoded
    shape, fix = (..., num_nodes), f"pass encode=torch.nn.Linear(F, {num_nodes})"
    return tensors.tensor("encode(x)", encoded, shape, dtypes=tensors.REAL, fix=fix)
