"""The primitives and the loop without torch's dispatcher, for calls that nothing traces.

torch.compile, autocast, ``torch.func`` and dispatch modes see the operators of
:mod:`~sparsebrain.kernels.operators`. A call of these costs tens of microseconds, more than a small
layer computes in. These functions give the same results, and call the operators whenever
something would notice the difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import _SingleLevelFunction

from sparsebrain.kernels import checkpointing, joins, operators
from sparsebrain.kernels.backend import Backend, Looped, LoopInputs
from sparsebrain.kernels.checks import check_index, check_memory, check_tensor
from sparsebrain.kernels.joins import Join
from sparsebrain.kernels.narrow import refuse_second_derivatives
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.reference import exchange, products
from sparsebrain.kernels.select import for_loops, resolve
from sparsebrain.kernels.stepwise import differentiable_backward
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.transforms import is_transformed, refuse_batched

PLAIN = (Tensor, nn.Parameter)
"""The types of tensors without a dispatch of their own."""


def is_plain(*tensors: Tensor | None) -> bool:
    """Return whether nothing traces, transforms or watches a call on these tensors."""
    return not is_watched() and all(tensor is None or type(tensor) in PLAIN for tensor in tensors)


def is_watched() -> bool:
    """Return whether something traces, transforms or watches the operations of this thread."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._is_torch_function_mode_enabled()
        or torch._C._is_any_autocast_enabled()
        or is_transformed()
    )


def is_like(value: Any, shape: Any, dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether a value is a dense tensor without a dispatch of its own, as described.

    Quick, as every call asks; the checks that describe what is wrong follow where it is not.
    """
    return (
        type(value) in PLAIN
        and value.shape == shape
        and value.dtype is dtype
        and value.device == device
        and value.layout is torch.strided
        and not value.is_nested
    )


class _Call(NamedTuple):
    """The arguments of a loop that are not tensors, as the backward pass needs them.

    With ``rows`` states are [..., N], otherwise columns [N, B]. ``turns`` is whether the backend
    takes columns instead of rows. With ``stacked`` the call returns the last state, and one tensor
    of all states from the initial one on.
    """

    structure: Structure
    chosen: Backend
    rows: bool
    turns: bool
    loops: int
    activation: str
    form: str
    keep: bool
    segment: int
    backend: str
    noise: CounterNoise | None
    stacked: bool
    join: Join | None
    narrow: bool


def loop(
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    activation: str,
    form: str,
    keep: bool,
    learns: bool,
    segment: int,
    backend: str,
    rows: bool,
    plain: bool,
    noise: CounterNoise | None = None,
    stacked: bool = False,
    join: Join | None = None,
    narrow: bool = False,
) -> list[Tensor]:
    """Run the loops, as the operator does, on tensors that fit the structure and each other.

    With ``rows`` state, drive and the returned states are [..., N], otherwise columns [N, B];
    returned rows are copies that the caller may overwrite. ``plain`` is that of :func:`is_plain`.
    With ``stacked``, which needs ``rows`` and ``keep``, the result is the last state and one tensor
    [loops + 1, ..., N] of all. With ``join``, which only a plain call takes, neurons join messages
    otherwise than by a sum.
    """
    if plain:
        if noise is None and join is None and not narrow:
            at_once = segment if learns and segment else loops
            chosen = for_loops(backend, structure, inputs, loops=at_once)
        else:
            # Only the native backend fuses noise on a CPU.
            chosen = resolve(backend, weight.device)
        if join is not None:
            chosen = joins.backend_of(chosen, join)
        if join is not None or chosen.fuses(activation):
            chosen = (rows and chosen.of_rows) or chosen
            turns = rows and chosen.of_rows is not chosen
            check_inputs(structure, chosen, weight, inputs)
            call = _Call(
                *(structure, chosen, rows, turns, loops, activation, form, keep, segment, backend),
                noise,
                stacked,
                join,
                narrow,
            )
            if learns:
                return list(_Loop.apply(weight, *inputs, call))  # type: ignore[attr-defined]
            _, looped, every = _run(call, weight, inputs, learns=False)
            return _returned(call, inputs, looped, every)
    columns = turned(inputs, structure) if rows else inputs
    key, std = (None, 0.0) if noise is None else (noise.key, noise.std)
    options = (loops, activation, keep, learns, segment, backend, key, std, form, narrow)
    states = operators.loop(weight, *columns, structure.arrays(), *options)
    states = states[: loops if keep else 1]
    if rows:
        states = [turned_back(each, inputs.state.shape) for each in states]
    return stack(inputs.state, states) if stacked else states


def stack(start: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    """Return the last state, and one tensor of all states from the initial one on."""
    return [states[-1], torch.stack([start, *states])]


def _run(
    call: _Call, weight: Tensor, inputs: LoopInputs, *, learns: bool
) -> tuple[LoopInputs, Looped, Tensor | None]:
    """Run the loops.

    Returns:
        The inputs as the backend takes them, what it returned, and with ``stacked`` the tensor of
        all states.
    """
    laid = turned(inputs, call.structure) if call.turns else inputs
    every: Tensor | None = None
    out: Sequence[Tensor] = ()
    if call.stacked:
        state = inputs.state
        every = state.new_empty((call.loops + 1, *state.shape))
        every[0] = state
        out = every[1:].unbind()
        if call.turns:
            out = [turned_one(each, call.structure) for each in out]
    looped = checkpointing.run(
        call.chosen,
        call.structure,
        weight,
        laid,
        loops=call.loops,
        segment=call.segment,
        activation=call.activation,
        form=call.form,
        narrow=call.narrow,
        keep=call.keep,
        learns=learns,
        noise=call.noise,
        out=out,
    )
    return laid, looped, every


def _returned(
    call: _Call,
    inputs: LoopInputs,
    looped: Looped,
    every: Tensor | None,
    kept: Sequence[Tensor] = (),
) -> list[Tensor]:
    """Return states in the shape of the call's, which the caller may change in place.

    Torch forbids that for views that a function returns, and would not notice it in a state of
    ``kept``, which the backward pass reads.
    """
    if every is not None:
        return [every[-1].clone(), every]
    if call.turns:
        rows = [each.new_empty(inputs.state.shape) for each in looped.states]
        for each, columns in zip(rows, looped.states, strict=True):
            each.view(columns.shape[::-1]).copy_(columns.t())
        return rows
    if call.rows and call.keep:
        read = {id(each) for each in kept}
        return [each.clone() if id(each) in read else each for each in looped.states]
    return looped.states


def propagate(
    structure: Structure, weight: Tensor, x: Tensor, *, transpose: bool, backend: str
) -> Tensor:
    """Multiply by W, or by its transpose, as the operator does."""
    if not is_plain(weight, x):
        if is_transformed():
            return exchange(structure.edge_index, weight, x, transpose=transpose)
        return operators.propagate(weight, x, structure.arrays(), transpose, backend)
    chosen = resolve(backend, x.device)
    _check_memory(structure, chosen, ("weight", weight), ("x", x))
    return _Propagate.apply(weight, x, structure, transpose, backend, chosen)


def correlate(structure: Structure, post: Tensor, pre: Tensor, *, backend: str) -> Tensor:
    """Multiply both ends of every synapse, as the operator does."""
    if not is_plain(post, pre):
        if is_transformed():
            return products(structure.edge_index, post, pre)
        return operators.correlate(post, pre, structure.arrays(), backend)
    chosen = resolve(backend, post.device)
    _check_memory(structure, chosen, ("post", post), ("pre", pre))
    return _Correlate.apply(post, pre, structure, backend, chosen)


def _check_memory(
    structure: Structure, chosen: Backend, *tensors: tuple[str, Tensor | None]
) -> None:
    """Check that every address that a kernel follows is still one of the values."""
    structure.check_arrays()
    if not chosen.checks_index:
        check_index(structure)
    for name, tensor in tensors:
        if tensor is not None:
            check_memory(name, tensor)


def check_inputs(structure: Structure, chosen: Backend, weight: Tensor, inputs: LoopInputs) -> None:
    """Check every address that a kernel follows in a call of loops."""
    state, drive, bias, leak = inputs
    given = (("state", state), ("drive", drive), ("bias", bias), ("leak", leak))
    _check_memory(structure, chosen, ("weight", weight), *given)


def turned(inputs: LoopInputs, structure: Structure) -> LoopInputs:
    """Return the inputs of loops on states [..., N] for columns [N, B]."""
    state, drive, bias, leak = inputs
    columns = turned_one(state, structure)
    if drive is state:
        drive = columns
    elif drive is not None:
        drive = turned_one(drive, structure)
    return LoopInputs(columns, drive, bias, leak)


def turned_back(columns: Tensor, shape: torch.Size) -> Tensor:
    """Return columns [N, B] as a contiguous copy of that shape, [..., N]."""
    return columns.t().clone(memory_format=torch.contiguous_format).view(shape)


def turned_one(x: Tensor, structure: Structure) -> Tensor:
    """Return a state [..., N] as columns [N, B]: a view if it is contiguous."""
    nodes = structure.num_nodes
    return (x if x.dim() == 2 else x.reshape(math.prod(x.shape[:-1]), nodes)).t()


# `Function` also looks for transforms at every call, which are excluded here.
class _Loop(_SingleLevelFunction):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, ...]:
        weight, *of_inputs, call = given
        inputs = LoopInputs(*of_inputs)
        laid, looped, every = _run(call, weight, inputs, learns=True)
        kept = checkpointing.kept_states(
            call.chosen,
            laid.state,
            looped,
            loops=call.loops,
            segment=call.segment,
            keep=call.keep,
        )
        if call.stacked and call.segment:
            # The caller may write to the returned tensor, of which these are views.
            kept = [kept[0], *(each.clone() for each in kept[1:])]
        # Later operations may use only some of the states; zero gradients for the others would cost
        # a pass over memory each.
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight, *inputs, *kept)
        ctx.call = call
        return tuple(_returned(call, inputs, looped, every, kept))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        call: _Call = ctx.call
        weight, state, drive, bias, leak, *kept = ctx.saved_tensors
        refuse_batched(*grads)
        again = torch.is_grad_enabled() or is_transformed()
        inputs, of_states = LoopInputs(state, drive, bias, leak), list(grads)
        of_start: Tensor | None = None
        if call.stacked:
            of_start, *of_states = _unstacked(grads[0], grads[1], call.loops)
        turns = call.turns or (again and call.rows)
        if turns:
            inputs = turned(inputs, call.structure)
            of_states = [
                None if grad is None else turned_one(grad, call.structure) for grad in of_states
            ]
        if again and call.narrow:
            refuse_second_derivatives()
        if again:
            of_weight, *of_inputs = _differentiable_backward(
                call, weight, inputs, ctx.needs_input_grad[:5], of_states
            )
        else:
            of_weight, *of_inputs = _backward(
                call, weight, inputs, kept, of_states, need_weight=ctx.needs_input_grad[0]
            )
        of_state, of_drive, *of_neurons = of_inputs
        if turns:
            of_state, of_drive = (
                None if each is None else each.t().reshape(state.shape)
                for each in (of_state, of_drive)
            )
        return of_weight, _added(of_state, of_start), of_drive, *of_neurons, None


def _differentiable_backward(
    call: _Call,
    weight: Tensor,
    inputs: LoopInputs,
    needed: Sequence[bool],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Return the gradients of the weight and of the inputs, through loops that run again."""
    options: dict[str, Any] = {
        "loops": call.loops,
        "activation": call.activation,
        "form": call.form,
        "keep": call.keep,
        "noise": call.noise,
    }
    if call.join is not None:
        return joins.differentiable_backward(
            call.join, call.structure, weight, inputs, needed, grads, **options
        )
    return differentiable_backward(
        partial(propagate, call.structure, transpose=False, backend=call.backend),
        weight,
        inputs,
        needed,
        grads,
        **options,
    )


def _unstacked(last: Tensor | None, every: Tensor | None, loops: int) -> list[Tensor | None]:
    """Return the gradient that reaches each state, from the initial one on, or None."""
    if every is None:
        return [*[None] * loops, last]
    *others, of_last = every.unbind()
    return [*others, _added(of_last, last)]


def _added(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _backward(
    call: _Call,
    weight: Tensor,
    inputs: LoopInputs,
    kept: list[Tensor],
    grads: list[Tensor | None],
    *,
    need_weight: bool,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of the weight and of the inputs, from those of the returned states."""
    state = inputs.state
    for grad in grads:
        if grad is not None and not is_like(grad, state.shape, state.dtype, state.device):
            check_tensor("grad", grad, tuple(state.shape), state)
    check_inputs(call.structure, call.chosen, weight, inputs)
    for each in (*kept, *grads):
        if each is not None:
            check_memory("states and grads", each)
    gradients = checkpointing.run_backward(
        call.chosen,
        call.structure,
        weight,
        inputs,
        kept,
        grads if call.keep else [*[None] * (call.loops - 1), *grads],
        segment=call.segment,
        activation=call.activation,
        form=call.form,
        narrow=call.narrow,
        need_weight=need_weight,
        noise=call.noise,
    )
    return gradients.weight, *gradients.inputs


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        x: Tensor,
        structure: Structure,
        transpose: bool,
        backend: str,
        chosen: Backend,
    ) -> Tensor:
        ctx.save_for_backward(weight, x)
        ctx.structure, ctx.transpose, ctx.backend = structure, transpose, backend
        return chosen.operator(structure, weight, transpose=transpose)(x.contiguous())

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        (grad,) = grads
        weight, x = ctx.saved_tensors
        refuse_batched(grad)
        grad, structure, backend = grad.contiguous(), ctx.structure, ctx.backend
        grad_weight = grad_x = None
        if ctx.needs_input_grad[0]:
            post, pre = (x, grad) if ctx.transpose else (grad, x)
            grad_weight = correlate(structure, post, pre, backend=backend)
        if ctx.needs_input_grad[1]:
            grad_x = propagate(
                structure, weight, grad, transpose=not ctx.transpose, backend=backend
            )
        return grad_weight, grad_x, None, None, None, None


class _Correlate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, post: Tensor, pre: Tensor, structure: Structure, backend: str, chosen: Backend
    ) -> Tensor:
        ctx.save_for_backward(post, pre)
        ctx.structure, ctx.backend = structure, backend
        return chosen.correlate(structure, post.contiguous(), pre.contiguous())

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        (grad,) = grads
        post, pre = ctx.saved_tensors
        refuse_batched(grad)
        structure, backend = ctx.structure, ctx.backend
        grad_post = grad_pre = None
        if ctx.needs_input_grad[0]:
            grad_post = propagate(structure, grad, pre, transpose=False, backend=backend)
        if ctx.needs_input_grad[1]:
            grad_pre = propagate(structure, grad, post, transpose=True, backend=backend)
        return grad_post, grad_pre, None, None, None
