"""PyG's own way through a layer, message by message, for whoever wants to see or change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.aggr import SumAggregation

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.functional import check_shape_kept
from sparsebrain.nn.batching import from_columns, to_columns

Exchange = Callable[[Tensor, Tensor, Tensor], Tensor]

# A learning rule puts an exchange of its own in the place of a layer's, for another way back.
_OVERRIDABLE = ("message", "aggregate", "update", "_exchange")
_HOOKS = tuple(
    f"_{stage}_forward_{when}hooks"
    for stage in ("propagate", "message", "aggregate", "message_and_aggregate")
    for when in ("", "pre_")
)


def is_plain(layer: MessagePassing, original: type[MessagePassing]) -> bool:
    """Whether nobody asks for single messages, so that they need not exist.

    ``original`` is the class whose ``message``, ``aggregate`` and ``update`` the kernels stand for.
    """
    return (
        not layer.explain
        and type(layer.aggr_module) is SumAggregation
        and not any(getattr(layer, hooks) for hooks in _HOOKS)
        and all(
            getattr(type(layer), name) is getattr(original, name) and name not in layer.__dict__
            for name in _OVERRIDABLE
        )
    )


def message_step(
    layer: Any,
    exchange: Exchange,
    weight: Tensor,
    drive: Tensor | None,
    edge_index: Tensor | None,
    activation: str | Callable[[Tensor], Tensor],
) -> Callable[[Tensor], Tensor]:
    """One loop of a GraphLayer on states [B * N, C], or without an ``edge_index`` on [N, B].

    ``exchange`` is the layer's own call of PyG's ``propagate``.
    """
    offset = layer._offset(weight)
    if edge_index is None:
        edge_index = layer.edge_index
    elif layer.structure.num_edges:
        weight = weight.repeat(edge_index.size(1) // layer.structure.num_edges)
    function = ACTIVATIONS[activation].function if isinstance(activation, str) else activation

    def step(start: Tensor) -> Tensor:
        current = exchange(edge_index, start, weight)
        check_shape_kept(start, current)
        if offset is not None:
            current = current + as_rows(offset, start)
        current = current if drive is None else current + drive
        current = function(current)
        check_shape_kept(start, current)
        return current

    return step


def run_messages(
    layer: Any,
    exchange: Exchange,
    weight: Tensor,
    start: Tensor,
    drive: Tensor | None,
    edge_index: Tensor | None,
    activation: str | Callable[[Tensor], Tensor],
    noise: Callable[[int], Tensor] | None,
) -> list[Tensor]:
    """The state after every loop of a GraphLayer, all of them in the shape of ``start``."""
    wide, shape = edge_index is None, start.shape
    if wide:
        start = to_columns(start, layer.num_nodes, node_first=False)
        drive = None if drive is None else to_columns(drive, layer.num_nodes, node_first=False)
    step = message_step(layer, exchange, weight, drive, edge_index, activation)
    leak = layer._leak_per_neuron(weight)
    states, current = [], start
    for number in range(layer.loops):
        after = step(current)
        current = after if leak is None else torch.lerp(current, after, as_rows(leak, start))
        if noise is not None:
            drawn = noise(number)
            current = current + (
                to_columns(drawn, layer.num_nodes, node_first=False) if wide else drawn
            )
        states.append(from_columns(current, shape, node_first=False) if wide else current)
    return states


def as_rows(of_neurons: Tensor, state: Tensor) -> Tensor:
    """Values [N] as a column for states [B * N, C]."""
    return of_neurons.repeat(state.size(0) // max(len(of_neurons), 1)).unsqueeze(1)
