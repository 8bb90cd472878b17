"""Models whose layers send back something else than the transpose of their weights."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._pytree import tree_map_only

from sparsebrain import kernels
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.nn.recurrence import Recurrence

#: What has synapses.
Weighted = nn.Linear | GraphLayer

#: What a layer sends back to its input, given the error at its sums: of a Linear [..., out] to
#: [..., in], of a GraphLayer, once a loop, [N, B] to [N, B].
Credit = Callable[[Tensor], Tensor]

#: Modules with parameters whose errors need no weights to come back: each unit has its own.
_LOCAL = (_NormBase, nn.LayerNorm, nn.PReLU)

#: The nn.Linear that have another way back for now, changed under the lock alone.
_HOOKED: weakref.WeakSet[nn.Linear] = weakref.WeakSet()
_HOOKING = threading.Lock()


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
        if model.has_plain_messages:
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
        RuntimeError: the forward or the loops of one are replaced already.
    """
    twins = {} if twins is None else twins
    with ExitStack() as stack:
        for layer, credit in credits.items():
            twin = twins.get(layer)
            if isinstance(layer, GraphLayer):
                stack.enter_context(layer.hooked(partial(_credit_loops, credit, twin)))
            else:
                stack.enter_context(_credited_linear(layer, credit, twin))
        # What torch.compile has made of a model knows the layers that it saw.
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


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
    def forward(
        ctx: Any,
        weight: Tensor,
        x: Tensor,
        structure: kernels.Structure,
        backend: str,
        credit: Credit,
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.structure, ctx.backend, ctx.credit = structure, backend, credit
        return kernels.propagate(structure, weight, x, backend=backend)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        grad = back = None
        if ctx.needs_input_grad[0]:
            grad = kernels.correlate(ctx.structure, error, x, backend=ctx.backend)
        if ctx.needs_input_grad[1]:
            back = ctx.credit(error)
        return grad, back, None, None, None


def _credit_loops(credit: Credit, twin: Tensor | None, loops: Recurrence) -> Recurrence:
    """The same loops of a GraphLayer with another way back."""
    if loops.edge_index is not None:
        raise ValueError(
            "this rule runs a GraphLayer as layer(x) with x [..., N]; call it in the model without "
            "an edge_index."
        )
    weight = _with_twin(loops.weight, twin)

    def exchange(x: Tensor) -> Tensor:
        sums: Tensor = _SparseSums.apply(weight, x, loops.structure, loops.backend, credit)
        return sums

    return replace(loops, exchange=exchange)


class _Redirected(Tensor):
    """The input of a nn.Linear, whose product is computed by a function of ours."""

    plain: Tensor
    product: Callable[[Tensor], Tensor]

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is functional.linear:
            return args[0].product(args[0].plain)
        # Anything else, as what a hook of the user's does, sees an ordinary tensor.
        args, kwargs = tree_map_only(cls, lambda each: each.plain, (args, kwargs or {}))
        return func(*args, **kwargs)


@contextmanager
def _credited_linear(layer: nn.Linear, credit: Credit, twin: Tensor | None) -> Iterator[None]:
    """The same for a nn.Linear, whose input a hook of torch redirects."""
    with _HOOKING:
        forward = getattr(layer.forward, "__func__", None)
        busy = layer in _HOOKED or forward is not nn.Linear.forward
        if not busy:
            _HOOKED.add(layer)
    if busy:
        raise RuntimeError(
            f"forward of {layer} is replaced already, by a step of a rule that is under way on "
            "this model, perhaps in another thread, or by other software; teach "
            "copy.deepcopy(model), or undo what replaced it."
        )

    def product(x: Tensor) -> Tensor:
        sums: Tensor = _Sums.apply(_with_twin(layer.weight, twin), x, credit)
        return sums if layer.bias is None else sums + layer.bias

    def redirect(
        layer: nn.Module, args: tuple[Tensor, ...], named: dict[str, Tensor]
    ) -> tuple[tuple[Tensor], dict[str, Tensor]]:
        (x,) = (*args, *named.values())
        redirected = x.as_subclass(_Redirected)
        redirected.plain, redirected.product = x, product
        return (redirected,), {}

    handle = layer.register_forward_pre_hook(redirect, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
        _HOOKED.discard(layer)


def _with_twin(weight: Tensor, twin: Tensor | None) -> Tensor:
    # Zero is added, and autograd hands the gradient to both.
    return weight if twin is None else weight + (twin - twin.detach())
