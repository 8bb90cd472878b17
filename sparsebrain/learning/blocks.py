"""Models as blocks: a layer with synapses and the modules that follow it, up to the next layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparsebrain.equilibrium import Equilibrium
from sparsebrain.learning.credit import Weighted, refuse_other_layers, weighted_layers
from sparsebrain.nn.batching import admit
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.recurrence import run


class Block(NamedTuple):
    """A layer, the modules before it (in the first block only), and the modules that follow it."""

    before: list[nn.Module]
    layer: Weighted
    after: list[nn.Module]


def refuse_unordered(model: nn.Module) -> str | None:
    """Return why a model cannot be split into blocks, or None if it can."""
    reason = refuse_other_layers(model)
    if reason is not None:
        return reason
    if not weighted_layers(model):
        return "it has no nn.Linear and no GraphLayer; make one with models.classifier."
    for part in _parts(model):
        if not isinstance(part, Weighted) and weighted_layers(part):
            return (
                f"the rule splits it between its layers, and the order in which "
                f"{type(part).__name__} runs them is unknown; use nn.Sequential, as "
                "models.classifier does."
            )
    return None


def split(model: nn.Module) -> list[Block]:
    """Return the blocks of a model that ``refuse_unordered`` accepts, in order."""
    blocks: list[Block] = []
    before: list[nn.Module] = []
    for part in _parts(model):
        if isinstance(part, Weighted):
            blocks.append(Block(before if not blocks else [], part, []))
        else:
            (blocks[-1].after if blocks else before).append(part)
    return blocks


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    if isinstance(model, nn.Sequential) and type(model).forward is nn.Sequential.forward:
        for child in model:
            yield from _parts(child)
    else:
        yield model


def through(modules: list[nn.Module], x: Tensor) -> Tensor:
    """Apply the modules to x, one after the other."""
    for module in modules:
        x = module(x)
    return x


def exchange(layer: GraphLayer, state: Tensor, drive: Tensor | None = None) -> Tensor:
    """Run one loop of a layer, f(W state + b + drive) with its leak and noise, on states [B, N]."""
    # Under autocast, cast narrow states to the dtype of the weights, as layer(x) does.
    weight, size = layer.weight, layer.num_nodes
    state = admit(state, "x", weight, size, node_first=False)
    drive = None if drive is None else admit(drive, "x", weight, size, node_first=False)
    # For a single loop, renumbering and checkpoints cost more than they save.
    once = replace(layer.describe(state), loops=1, checkpoint=False, renumbering=None)
    (after,) = run(replace(once, start=state, drive=drive))
    return after


def cut_states(layer: Weighted, x: Tensor) -> Iterator[Tensor]:
    """Yield the state after each loop, with a gradient for that loop only.

    A Linear counts as one loop, and so does an Equilibrium: the exchange that leaves z unchanged.
    """
    if isinstance(layer, nn.Linear):
        yield layer(x)
    elif isinstance(layer.loops, Equilibrium):
        with torch.no_grad():
            z = layer(x)
        yield exchange(layer, z, x)
    else:
        state, drive = (torch.zeros_like(x), x) if layer.inject else (x, None)
        for _ in range(layer.loops):
            state = exchange(layer, state, drive)
            yield state
            state = state.detach()
