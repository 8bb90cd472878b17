"""Models whose layers send back something else than the transpose of their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from sparsebrain import kernels
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.messages import is_plain

#: What has synapses.
Weighted = nn.Linear | GraphLayer

#: What a layer sends back to its input, given the error at its sums: of a Linear [..., out] to
#: [..., in], of a GraphLayer, once a loop, [N, B] to [N, B].
Credit = Callable[[Tensor], Tensor]

#: Modules with parameters whose errors need no weights to come back: each unit has its own.
_LOCAL = (_NormBase, nn.LayerNorm, nn.PReLU)


def weighted_layers(model: nn.Module) -> dict[str, Weighted]:
    """The layers of a model that have synapses, by name, in the order of ``named_modules``."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Weighted)}


def out_width(layer: Weighted) -> int:
    """How many units a layer ends in."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.num_nodes


def draw_like(weight: Tensor, generator: torch.Generator | None) -> Tensor:
    """Normal weights, in the mean as large as these, without a gradient."""
    weight = weight.detach()
    drawn = torch.empty_like(weight).normal_(generator=generator)
    return drawn * weight.square().mean().sqrt()


def refuse_other_layers(model: nn.Module) -> str | None:
    """Why a model has weights elsewhere than in nn.Linear and GraphLayer; None if it has not."""
    if isinstance(model, GraphLayer):
        if is_plain(model, GraphLayer):
            return None
        return (
            "credit goes back along a GraphLayer's own messages and their sum; use aggr='sum' and "
            "override no message, aggregate or update."
        )
    if isinstance(model, nn.Linear) and type(model).forward is not nn.Linear.forward:
        return (
            f"{type(model).__name__} overrides forward, and the rule goes back along that of "
            "nn.Linear; use nn.Linear itself, or learning.Backprop."
        )
    if isinstance(model, (nn.Linear, *_LOCAL)):
        return None
    if next(model.parameters(recurse=False), None) is not None:
        return (
            f"{type(model).__name__} has weights, and the rule knows only those of nn.Linear and "
            "GraphLayer; use these, or learning.Backprop."
        )
    return next(filter(None, map(refuse_other_layers, model.children())), None)


@contextmanager
def credited(
    credits: Mapping[Weighted, Credit], twins: Mapping[Weighted, Tensor] | None = None
) -> Iterator[None]:
    """While it lasts, each of the layers sends back what its credit says.

    What they compute and the gradients of their weights for a given error stay what they are. A
    twin of a layer's weights, a tensor of one value a synapse, gets the same gradient.

    Raises:
        RuntimeError: the forward of one is replaced already, which would be lost.
    """
    twins = {} if twins is None else twins
    replaced: list[tuple[Weighted, str]] = []
    try:
        for layer, credit in credits.items():
            name, call = "forward", partial(_linear, layer, credit, twins.get(layer))
            if isinstance(layer, GraphLayer):
                name, call = "_exchange", partial(_exchange, layer, credit, twins.get(layer))
            if layer.__dict__.setdefault(name, call) is not call:
                raise RuntimeError(
                    f"{name} of {layer} is replaced already, by a step of a rule that is under way "
                    "on this model, perhaps in another thread, or by other software; teach "
                    "copy.deepcopy(model), or undo what replaced it."
                )
            replaced.append((layer, name))
        # What torch.compile has made of a model knows the layers that it saw.
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for layer, name in replaced:
            del layer.__dict__[name]


class _Sums(Function):
    """y = W x of a nn.Linear, x [..., in]."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: Tensor, credit: Credit) -> Tensor:
        ctx.save_for_backward(x)
        ctx.credit = credit
        return functional.linear(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        grad = back = None
        if ctx.needs_input_grad[0]:
            grad = error.flatten(0, -2).T @ x.flatten(0, -2)
        if ctx.needs_input_grad[1]:
            back = ctx.credit(error)
        return grad, back, None


class _SparseSums(Function):
    """y = W x along the synapses of a GraphLayer, x [N, B]."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: Tensor, layer: GraphLayer, credit: Credit) -> Tensor:
        ctx.save_for_backward(x)
        ctx.layer, ctx.credit = layer, credit
        return kernels.propagate(layer.structure, weight, x, backend=layer.backend)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        (x,), layer = ctx.saved_tensors, ctx.layer
        grad = back = None
        if ctx.needs_input_grad[0]:
            grad = kernels.correlate(layer.structure, error, x, backend=layer.backend)
        if ctx.needs_input_grad[1]:
            back = ctx.credit(error)
        return grad, back, None, None


def _linear(layer: nn.Linear, credit: Credit, twin: Tensor | None, x: Tensor) -> Tensor:
    sums: Tensor = _Sums.apply(_with_twin(layer.weight, twin), x, credit)
    return sums if layer.bias is None else sums + layer.bias


def _exchange(
    layer: GraphLayer,
    credit: Credit,
    twin: Tensor | None,
    edge_index: Tensor,
    x: Tensor,
    weight: Tensor,
) -> Tensor:
    if edge_index is not layer.edge_index:
        raise ValueError(
            "this rule runs a GraphLayer as layer(x) with x [..., N]; call it in the model without "
            "an edge_index."
        )
    return _SparseSums.apply(_with_twin(weight, twin), x, layer, credit)


def _with_twin(weight: Tensor, twin: Tensor | None) -> Tensor:
    # Zero is added, and autograd hands the gradient to both.
    return weight if twin is None else weight + (twin - twin.detach())
