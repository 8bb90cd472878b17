"""Models whose layers propagate errors along weights other than the transpose of their own."""

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

#: The layers that have synapses.
Weighted = nn.Linear | GraphLayer

#: Maps the error at a layer's sums to the error at its input: [..., out] to [..., in] for a Linear,
#: [N, B] to [N, B], once per loop, for a GraphLayer.
Credit = Callable[[Tensor], Tensor]

#: Modules with parameters that act on each unit separately, so that errors pass without weights.
_LOCAL = (_NormBase, nn.LayerNorm, nn.PReLU)

#: The nn.Linear layers whose backward pass is currently replaced; guarded by the lock.
_HOOKED: weakref.WeakSet[nn.Linear] = weakref.WeakSet()
_HOOKING = threading.Lock()


def weighted_layers(model: nn.Module) -> dict[str, Weighted]:
    """Return the layers with synapses by name, in the order of ``named_modules``."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Weighted)}


def out_width(layer: Weighted) -> int:
    """Return the number of output units of a layer."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.num_nodes


def draw_like(weight: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw normal weights with the same root mean square as ``weight``, without a gradient."""
    weight = weight.detach()
    drawn = torch.empty_like(weight).normal_(generator=generator)
    return drawn * weight.square().mean().sqrt()


def refuse_other_layers(model: nn.Module) -> str | None:
    """Return why a model has weights outside nn.Linear and GraphLayer, or None if it has none."""
    if isinstance(model, GraphLayer):
        if model.has_plain_messages:
            return None
        return (
            "errors are propagated along the standard messages of a GraphLayer and their sum; use "
            "aggr='sum' and override no message, aggregate or update."
        )
    if isinstance(model, nn.Linear) and type(model).forward is not nn.Linear.forward:
        return (
            f"{type(model).__name__} overrides forward, and the rule propagates errors through "
            "that of nn.Linear; use nn.Linear itself, or learning.Backprop."
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
    """Replace the backward pass of layers inside a block.

    Their outputs, and the gradients of their weights for a given error, do not change.

    Args:
        credits: The map from the error at the sums to the error at the input, for each layer.
        twins: Copies of the weights of layers, one value per synapse, that receive the same
            gradient.

    Raises:
        RuntimeError: The forward or the loops of a layer are already replaced.
    """
    twins = {} if twins is None else twins
    with ExitStack() as stack:
        for layer, credit in credits.items():
            twin = twins.get(layer)
            if isinstance(layer, GraphLayer):
                stack.enter_context(layer.hooked(partial(_credit_loops, credit, twin)))
            else:
                stack.enter_context(_credited_linear(layer, credit, twin))
        # A compiled model would run the layers as they were when it was compiled.
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


class _Sums(Function):
    """The product y = W x of an nn.Linear, with x [..., in]."""

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
    """The product y = W x along the synapses of a GraphLayer, with x [N, B]."""

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
    """Return the loops of a GraphLayer with another backward pass."""
    if loops.edge_index is not None:
        raise ValueError(
            "this rule needs GraphLayers that the model calls as layer(x) with x [..., N]; call "
            "them without an edge_index."
        )
    weight = _with_twin(loops.weight, twin)

    def exchange(x: Tensor) -> Tensor:
        sums: Tensor = _SparseSums.apply(weight, x, loops.structure, loops.backend, credit)
        return sums

    return replace(loops, exchange=exchange)


class _Redirected(Tensor):
    """The input of an nn.Linear, whose product is computed by a custom function."""

    plain: Tensor
    product: Callable[[Tensor], Tensor]

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is functional.linear:
            return args[0].product(args[0].plain)
        # All other functions, such as those called in hooks, receive an ordinary tensor.
        args, kwargs = tree_map_only(cls, lambda each: each.plain, (args, kwargs or {}))
        return func(*args, **kwargs)


@contextmanager
def _credited_linear(layer: nn.Linear, credit: Credit, twin: Tensor | None) -> Iterator[None]:
    """Replace the backward pass of an nn.Linear, by a pre-hook that redirects its input."""
    with _HOOKING:
        forward = getattr(layer.forward, "__func__", None)
        busy = layer in _HOOKED or forward is not nn.Linear.forward
        if not busy:
            _HOOKED.add(layer)
    if busy:
        raise RuntimeError(
            f"forward of {layer} is replaced already, by a step of a rule that is running on this "
            "model, perhaps in another thread, or by other software; use copy.deepcopy(model), or "
            "undo the replacement."
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
    # The sum equals the weight, and autograd passes its gradient to both.
    return weight if twin is None else weight + (twin - twin.detach())
