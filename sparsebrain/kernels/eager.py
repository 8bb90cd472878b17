"""The primitives and the loop without torch's dispatcher, for calls that nothing traces.

torch.compile, autocast, ``torch.func`` and dispatch modes see the operators of
:mod:`~sparsebrain.kernels.operators`. A call of these costs tens of microseconds, more than a small
layer computes in. These functions give the same results, and call the operators whenever
something would notice the difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sparsebrain.kernels import checkpointing, operators
from sparsebrain.kernels.backend import Backend, Looped, LoopInputs
from sparsebrain.kernels.checks import check_index, check_memory, check_tensor
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.select import resolve
from sparsebrain.kernels.stepwise import differentiable_backward
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.transforms import is_transformed, refuse_batched

PLAIN = (Tensor, nn.Parameter)
"""The types of tensors without a dispatch of their own."""

_NAMES = ("weight", *LoopInputs._fields)


def is_plain(*tensors: Tensor | None) -> bool:
    """Return whether nothing traces, transforms or watches a call on these tensors."""
    return (
        not torch.compiler.is_compiling()
        and not torch._C._len_torch_dispatch_stack()
        and not torch._C._is_torch_function_mode_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_autocast_enabled("cuda")
        and all(tensor is None or type(tensor) in PLAIN for tensor in tensors)
        and not is_transformed()
    )


class _Call(NamedTuple):
    """The arguments of a loop that are not tensors.

    ``shape`` is that of states [..., N] which become columns within the call, or None for columns
    [N, B]. As a part of the call it costs autograd no node of its own. With ``stacked`` the call
    returns the last state, and all states from the initial one on in one tensor.
    """

    structure: Structure
    shape: torch.Size | None
    loops: int
    activation: str
    keep: bool
    learns: bool
    segment: int
    backend: str
    chosen: Backend
    noise: CounterNoise | None
    stacked: bool


def loop(
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    activation: str,
    keep: bool,
    learns: bool,
    segment: int,
    backend: str,
    rows: bool = False,
    noise: CounterNoise | None = None,
    stacked: bool = False,
) -> Sequence[Tensor]:
    """Run the loops, as the operator does, on tensors that fit the structure and each other.

    With ``rows`` state, drive and the returned states are [..., N], otherwise columns [N, B]; the
    states are then copies that the caller may overwrite. With ``stacked``, which needs ``rows`` and
    ``keep``, they are the last state and one tensor [loops + 1, ..., N] of all.
    """
    shape = inputs.state.shape if rows else None
    if is_plain(weight, *inputs):
        chosen = resolve(backend, weight.device)
        if chosen.fuses(activation):
            given = (structure, shape, loops, activation, keep, learns, segment, backend, chosen)
            call = _Call(*given, noise, stacked)
            check_call(structure, chosen, weight, inputs)
            if stacked:
                if not learns:
                    return _run_stacked(call, weight, inputs)[0]
                return _Loop.apply(weight, *inputs, call)[:2]
            if not learns:
                states = _run(call, weight, _columns(inputs, call)).states
                return [_as_given(state, call) for state in states]
            return _Loop.apply(weight, *inputs, call)[: loops if keep else 1]
    columns = turned(inputs, structure) if rows else inputs
    key, std = (None, 0.0) if noise is None else (noise.key, noise.std)
    options = (loops, activation, keep, learns, segment, backend, key, std)
    states = operators.loop(weight, *columns, structure.arrays(), *options)
    states = states[: loops if keep else 1]
    if shape is not None:
        states = [turned_back(each, shape) for each in states]
    return stack(inputs.state, states) if stacked else states


def stack(start: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    """Return the last state, and one tensor of all states from the initial one on."""
    return [states[-1], torch.stack([start, *states])]


def propagate(
    structure: Structure, weight: Tensor, x: Tensor, *, transpose: bool, backend: str
) -> Tensor:
    """Multiply by W, or by its transpose, as the operator does."""
    if not is_plain(weight, x):
        return operators.any_propagate(weight, x, structure.arrays(), transpose, backend)
    chosen = resolve(backend, x.device)
    _check_memory(structure, chosen, ("weight", "x"), (weight, x))
    return _Propagate.apply(weight, x, structure, transpose, backend, chosen)


def correlate(structure: Structure, post: Tensor, pre: Tensor, *, backend: str) -> Tensor:
    """Multiply both ends of every synapse, as the operator does."""
    if not is_plain(post, pre):
        return operators.any_correlate(post, pre, structure.arrays(), backend)
    chosen = resolve(backend, post.device)
    _check_memory(structure, chosen, ("post", "pre"), (post, pre))
    return _Correlate.apply(post, pre, structure, backend, chosen)


def check_call(
    structure: Structure,
    chosen: Backend,
    weight: Tensor,
    inputs: LoopInputs,
    others: Sequence[Tensor | None] = (),
) -> None:
    """Check every address that a kernel follows in a call of loops."""
    names = (*_NAMES, *["states and grads"] * len(others))
    _check_memory(structure, chosen, names, (weight, *inputs, *others))


def _check_memory(
    structure: Structure,
    chosen: Backend,
    names: Sequence[str],
    tensors: Sequence[Tensor | None],
) -> None:
    """Check that every address that a kernel follows is still one of the values."""
    structure.check_arrays()
    if not chosen.checks_index:
        check_index(structure)
    for name, tensor in zip(names, tensors, strict=True):
        if tensor is not None:
            check_memory(name, tensor)


def _run(call: _Call, weight: Tensor, inputs: LoopInputs, out: Sequence[Tensor] = ()) -> Looped:
    return checkpointing.run(
        call.chosen,
        call.structure,
        weight,
        inputs,
        loops=call.loops,
        segment=call.segment,
        activation=call.activation,
        keep=call.keep,
        learns=call.learns,
        noise=call.noise,
        out=out,
    )


def _run_stacked(
    call: _Call, weight: Tensor, inputs: LoopInputs
) -> tuple[tuple[Tensor, Tensor], Looped]:
    """Run loops on states [..., N] whose states the kernels write into one tensor."""
    state = inputs.state
    stacked = state.new_empty((call.loops + 1, *state.shape))
    stacked[0] = state
    out = [turned_one(each, call.structure) for each in stacked[1:]]
    looped = _run(call, weight, turned(inputs, call.structure), out)
    return (stacked[-1].clone(), stacked), looped


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


def _columns(inputs: LoopInputs, call: _Call) -> LoopInputs:
    return inputs if call.shape is None else turned(inputs, call.structure)


def _as_given(columns: Tensor, call: _Call, kept: Sequence[Tensor] = ()) -> Tensor:
    """Return a state that the kernels have made in the shape of the call's, and not as a view.

    The caller may change it in place: torch forbids that for views that a function returns, and
    would not notice it in a state of ``kept``, which the backward pass reads, so that is copied.
    """
    if call.shape is None:
        return columns
    rows = columns.t()
    if rows.is_contiguous() and all(columns is not each for each in kept):
        strides = [math.prod(call.shape[axis + 1 :]) for axis in range(len(call.shape))]
        storage, offset = rows.untyped_storage(), rows.storage_offset()
        return columns.new_empty(0).set_(storage, offset, call.shape, strides)
    given = columns.new_empty(call.shape)
    given.view(rows.shape).copy_(rows)
    return given


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, ...]:
        weight, *of_inputs, call = given
        inputs = LoopInputs(*of_inputs)
        columns = _columns(inputs, call)
        shown: Sequence[Tensor] = ()
        if call.stacked:
            shown, looped = _run_stacked(call, weight, inputs)
        else:
            looped = _run(call, weight, columns)
        kept = checkpointing.kept_states(
            call.chosen,
            columns.state,
            looped,
            loops=call.loops,
            segment=call.segment,
            keep=call.keep,
        )
        if call.stacked and call.segment:
            # The caller may write to the returned tensor, of which these are views.
            kept = [kept[0], *(each.clone() for each in kept[1:])]
        ctx.mark_non_differentiable(*looped.tape)
        # Later operations may use only some of the states; zero gradients for the others would cost
        # a pass over memory each.
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight, *inputs, *kept)
        ctx.call = call
        if not call.stacked:
            shown = [_as_given(state, call, kept) for state in looped.states]
        return (*shown, *looped.tape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        call: _Call = ctx.call
        weight, state, drive, bias, leak, *kept = ctx.saved_tensors
        inputs = _columns(LoopInputs(state, drive, bias, leak), call)
        refuse_batched(*grads)
        of_start: Tensor | None = None
        if call.stacked:
            of_start, *of_states = _unstacked(grads[0], grads[1], call.loops)
        else:
            of_states = list(grads[: call.loops if call.keep else 1])
        if call.shape is not None:
            of_states = [
                None if grad is None else turned_one(grad, call.structure) for grad in of_states
            ]
        if torch.is_grad_enabled() or is_transformed():
            found = differentiable_backward(
                lambda weight, x: propagate(
                    call.structure, weight, x, transpose=False, backend=call.backend
                ),
                weight,
                inputs,
                ctx.needs_input_grad[:5],
                of_states,
                loops=call.loops,
                activation=call.activation,
                keep=call.keep,
                noise=call.noise,
            )
            of_weight, of_state, of_drive, *others = found
            of_state = _added(_back(of_state, call), of_start)
            return (of_weight, of_state, _back(of_drive, call), *others, None)
        check_call(call.structure, call.chosen, weight, inputs, [*kept, *of_states])
        for grad in of_states:
            if grad is not None:
                check_tensor("grad", grad, tuple(inputs.state.shape), inputs.state)
        gradients = checkpointing.run_backward(
            call.chosen,
            call.structure,
            weight,
            inputs,
            kept,
            of_states if call.keep else [*[None] * (call.loops - 1), *of_states],
            segment=call.segment,
            activation=call.activation,
            need_weight=ctx.needs_input_grad[0],
            noise=call.noise,
        )
        of_state, of_drive, *others = gradients.inputs
        back = (_added(_back(of_state, call), of_start), _back(of_drive, call))
        return (gradients.weight, *back, *others, None)


def _unstacked(last: Tensor | None, stacked: Tensor | None, loops: int) -> list[Tensor | None]:
    """Return the gradient that reaches each state, from the initial one on, or None."""
    if stacked is None:
        return [*[None] * loops, last]
    *others, of_last = stacked.unbind()
    return [*others, _added(of_last, last)]


def _added(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _back(columns: Tensor | None, call: _Call) -> Tensor | None:
    """Return the gradient of a state or drive in the shape of the call's."""
    if columns is None or call.shape is None:
        return columns
    return columns.t().reshape(call.shape)


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
