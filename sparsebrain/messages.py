"""PyG's own way through a layer, message by message, for whoever wants to see or change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.aggr import SumAggregation

from sparsebrain.batching import from_columns, to_columns
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.functional import check_shape_kept

_OVERRIDABLE = ("message", "aggregate", "update")
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


def run_messages(
    layer: Any,
    exchange: Callable[[Tensor, Tensor, Tensor], Tensor],
    weight: Tensor,
    start: Tensor,
    drive: Tensor | None,
    edge_index: Tensor | None,
    activation: str | Callable[[Tensor], Tensor],
) -> list[Tensor]:
    """The state after every loop of a GraphLayer.

    States are [B * N, C] with an ``edge_index``; without one, [..., N] in and out, and [N, B] on
    one graph between. ``exchange`` is the layer's own call of PyG's ``propagate``.
    """
    wide = edge_index is None
    shape, bias = start.shape, layer.bias
    if edge_index is None:
        edge_index = layer.edge_index
        start = to_columns(start, layer.num_nodes, node_first=False)
        drive = None if drive is None else to_columns(drive, layer.num_nodes, node_first=False)
    elif layer.structure.num_edges:
        weight = weight.repeat(edge_index.size(1) // layer.structure.num_edges)
    if bias is not None:
        bias = bias.repeat(start.size(0) // max(layer.num_nodes, 1)).unsqueeze(1)
    function = ACTIVATIONS[activation].function if isinstance(activation, str) else activation

    states, current = [], start
    for _ in range(layer.loops):
        current = exchange(edge_index, current, weight)
        check_shape_kept(start, current)
        current = current if bias is None else current + bias
        current = current if drive is None else current + drive
        current = function(current)
        check_shape_kept(start, current)
        states.append(from_columns(current, shape, node_first=False) if wide else current)
    return states
