"""The primitives as torch operators: one node for autograd, torch.compile and the profiler each.

Operators take a structure as its list of index arrays, because an operator's arguments must be
tensors and plain numbers. Nothing is checked here; ``functional`` does that before it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from sparsebrain.kernels.select import resolve
from sparsebrain.kernels.structure import Structure


@custom_op("sparsebrain::propagate", mutates_args=())
def propagate(
    weight: Tensor, x: Tensor, arrays: Sequence[Tensor], transpose: bool, backend: str
) -> Tensor:
    structure = Structure.from_arrays(arrays, x.size(0))
    return resolve(backend, x.device).operator(structure, weight, transpose=transpose)(x)


@propagate.register_fake
def _(weight: Tensor, x: Tensor, arrays: Sequence[Tensor], transpose: bool, backend: str) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@custom_op("sparsebrain::correlate", mutates_args=())
def correlate(post: Tensor, pre: Tensor, arrays: Sequence[Tensor], backend: str) -> Tensor:
    structure = Structure.from_arrays(arrays, post.size(0))
    return resolve(backend, post.device).correlate(structure, post, pre)


@correlate.register_fake
def _(post: Tensor, pre: Tensor, arrays: Sequence[Tensor], backend: str) -> Tensor:
    return post.new_empty(arrays[0].size(1))


@custom_op("sparsebrain::loop", mutates_args=())
def loop(
    weight: Tensor,
    state: Tensor,
    drive: Tensor | None,
    bias: Tensor | None,
    arrays: Sequence[Tensor],
    loops: int,
    activation: str,
    keep: bool,
    learns: bool,
    backend: str,
) -> list[Tensor]:
    structure = Structure.from_arrays(arrays, state.size(0))
    looped = resolve(backend, state.device).loop(
        structure,
        weight,
        state,
        drive,
        bias,
        loops=loops,
        activation=activation,
        keep=keep,
        learns=learns,
    )
    return [*looped.states, *looped.tape]


@loop.register_fake
def _(
    weight: Tensor,
    state: Tensor,
    drive: Tensor | None,
    bias: Tensor | None,
    arrays: Sequence[Tensor],
    loops: int,
    activation: str,
    keep: bool,
    learns: bool,
    backend: str,
) -> list[Tensor]:
    states = [torch.empty_like(state) for _ in range(loops if keep else 1)]
    if not learns:
        return states
    shapes = resolve(backend, state.device).tape_shapes(*state.shape, loops=loops, keep=keep)
    return [*states, *(state.new_empty(shape) for shape in shapes)]


@custom_op("sparsebrain::loop_backward", mutates_args=())
def loop_backward(
    weight: Tensor,
    states: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    arrays: Sequence[Tensor],
    batch: int,
    activation: str,
    need_weight: bool,
    with_drive: bool,
    with_bias: bool,
    backend: str,
) -> list[Tensor]:
    structure = Structure.from_arrays(arrays, arrays[1].numel() - 1)
    gradients = resolve(backend, weight.device).loop_backward(
        structure,
        weight,
        list(states),
        list(grads),
        batch=batch,
        activation=activation,
        need_weight=need_weight,
        with_drive=with_drive,
        with_bias=with_bias,
    )
    return [gradient for gradient in gradients if gradient is not None]


@loop_backward.register_fake
def _(
    weight: Tensor,
    states: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    arrays: Sequence[Tensor],
    batch: int,
    activation: str,
    need_weight: bool,
    with_drive: bool,
    with_bias: bool,
    backend: str,
) -> list[Tensor]:
    neurons = arrays[1].numel() - 1
    shapes = [
        torch.empty_like(weight) if need_weight else None,
        weight.new_empty(neurons, batch),
        weight.new_empty(neurons, batch) if with_drive else None,
        weight.new_empty(neurons) if with_bias else None,
    ]
    return [shape for shape in shapes if shape is not None]


def _propagate_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    weight, x, ctx.arrays, ctx.transpose, ctx.backend = inputs
    ctx.save_for_backward(weight, x)


def _propagate_backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    weight, x = ctx.saved_tensors
    grad = grad.contiguous()
    grad_weight = grad_x = None
    if ctx.needs_input_grad[0]:
        post, pre = (x, grad) if ctx.transpose else (grad, x)
        grad_weight = correlate(post, pre, ctx.arrays, ctx.backend)
    if ctx.needs_input_grad[1]:
        grad_x = propagate(weight, grad, ctx.arrays, not ctx.transpose, ctx.backend)
    return grad_weight, grad_x, [None] * len(ctx.arrays), None, None


def _correlate_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    post, pre, ctx.arrays, ctx.backend = inputs
    ctx.save_for_backward(post, pre)


def _correlate_backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    post, pre = ctx.saved_tensors
    grad_post = grad_pre = None
    if ctx.needs_input_grad[0]:
        grad_post = propagate(grad, pre, ctx.arrays, False, ctx.backend)
    if ctx.needs_input_grad[1]:
        grad_pre = propagate(grad, post, ctx.arrays, True, ctx.backend)
    return grad_post, grad_pre, [None] * len(ctx.arrays), None


def _loop_setup(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    weight, state, drive, bias, ctx.arrays, ctx.loops, ctx.activation, ctx.keep = inputs[:8]
    ctx.backend, ctx.batch = inputs[9], state.size(1)
    ctx.with_drive, ctx.with_bias = drive is not None, bias is not None
    shown = ctx.loops if ctx.keep else 1
    states, tape = output[:shown], output[shown:]
    ctx.mark_non_differentiable(*tape)
    # Only some of the states are read by what follows: zeros for the others would cost a pass over
    # memory each.
    ctx.set_materialize_grads(False)
    if not resolve(ctx.backend, state.device).tape_suffices:
        tape = [state, *tape, *states]
    ctx.save_for_backward(weight, *tape)


def _loop_backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    weight, *states = ctx.saved_tensors
    need_weight = ctx.needs_input_grad[0]
    shown = grads[: ctx.loops] if ctx.keep else [*[None] * (ctx.loops - 1), grads[0]]
    outside = [None if grad is None else grad.contiguous() for grad in shown]
    gradients = iter(
        loop_backward(
            weight,
            states,
            outside,
            ctx.arrays,
            ctx.batch,
            ctx.activation,
            need_weight,
            ctx.with_drive,
            ctx.with_bias,
            ctx.backend,
        )
    )
    grad_weight = next(gradients) if need_weight else None
    grad_state = next(gradients)
    grad_drive = next(gradients) if ctx.with_drive else None
    grad_bias = next(gradients) if ctx.with_bias else None
    no_arrays = [None] * len(ctx.arrays)
    return grad_weight, grad_state, grad_drive, grad_bias, no_arrays, *[None] * 5


propagate.register_autograd(_propagate_backward, setup_context=_propagate_setup)
correlate.register_autograd(_correlate_backward, setup_context=_correlate_setup)
loop.register_autograd(_loop_backward, setup_context=_loop_setup)

for _operator in (propagate, correlate, loop, loop_backward):
    for _device in ("cpu", "cuda"):
        # Autocast would reach the products inside and narrow them; the loops multiply that
        # rounding.
        _operator.register_autocast(_device, torch.float32)
