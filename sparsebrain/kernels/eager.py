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
from sparsebrain.kernels.backend import Backend, Looped, LoopGradients, LoopInputs
from sparsebrain.kernels.checks import check_index, check_memory, check_tensor
from sparsebrain.kernels.select import resolve
from sparsebrain.kernels.stepwise import differentiable_backward
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.transforms import is_transformed, refuse_batched

PLAIN = (Tensor, nn.Parameter)
"""The types of tensors without a dispatch of their own."""

_NAMES = ("weight", *LoopInputs._fields)


def is_plain(*tensors: Tensor | None) -> bool:
    """Return whether nothing traces, transforms or watches a call on these tensors."""
    return not is_watched() and all(tensor is None or type(tensor) in PLAIN for tensor in tensors)


def is_watched() -> bool:
    """Return whether something traces, transforms or watches the operations of this thread."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._is_torch_function_mode_enabled()
        or torch.is_autocast_enabled("cpu")
        or torch.is_autocast_enabled("cuda")
        or is_transformed()
    )


def is_like(value: Any, shape: Any, dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether a value is a dense tensor without a dispatch of its own, as described."""
    return (
        type(value) in PLAIN
        and not value.is_nested
        and value.shape == shape
        and value.dtype is dtype
        and value.device == device
        and value.layout is torch.strided
    )


class Call(NamedTuple):
    """The arguments of a loop that are not tensors.

    With ``rows`` states are [..., N], otherwise columns [N, B].
    """

    structure: Structure
    rows: bool
    loops: int
    activation: str
    keep: bool
    learns: bool
    segment: int
    backend: str


def loop(call: Call, weight: Tensor, inputs: LoopInputs, *, plain: bool) -> list[Tensor]:
    """Run the loops, as the operator does, on tensors that fit the structure and each other.

    ``plain`` is that of :func:`is_plain`. Returned rows are copies that the caller may overwrite.
    """
    structure = call.structure
    if plain:
        chosen = resolve(call.backend, weight.device)
        if chosen.fuses(call.activation):
            chosen = (call.rows and chosen.of_rows) or chosen
            _check_memory(structure, chosen, _NAMES, (weight, *inputs))
            if call.learns:
                return list(_Loop.apply(weight, *inputs, call, chosen))
            states = _run(call, chosen, weight, inputs).states
            return [_as_given(each, call, chosen, inputs.state.shape) for each in states]
    columns = turned(inputs, structure) if call.rows else inputs
    states = operators.loop(weight, *columns, structure.arrays(), *call[2:])
    states = states[: call.loops if call.keep else 1]
    return [turned_back(each, inputs.state.shape) for each in states] if call.rows else states


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


def _turns(call: Call, chosen: Backend) -> bool:
    """Return whether rows must become columns for a backend."""
    return call.rows and chosen.of_rows is not chosen


def _run(call: Call, chosen: Backend, weight: Tensor, inputs: LoopInputs) -> Looped:
    return checkpointing.run(
        chosen,
        call.structure,
        weight,
        turned(inputs, call.structure) if _turns(call, chosen) else inputs,
        loops=call.loops,
        segment=call.segment,
        activation=call.activation,
        keep=call.keep,
        learns=call.learns,
    )


def turned(inputs: LoopInputs, structure: Structure) -> LoopInputs:
    """Return the inputs of loops on states [..., N] for columns [N, B]."""
    state, drive, bias, leak = inputs
    columns = _turned(state, structure)
    if drive is state:
        drive = columns
    elif drive is not None:
        drive = _turned(drive, structure)
    return LoopInputs(columns, drive, bias, leak)


def turned_back(columns: Tensor, shape: torch.Size) -> Tensor:
    """Return columns [N, B] as a contiguous copy of that shape, [..., N]."""
    return columns.t().clone(memory_format=torch.contiguous_format).view(shape)


def _turned(x: Tensor, structure: Structure) -> Tensor:
    nodes = structure.num_nodes
    return (x if x.dim() == 2 else x.reshape(math.prod(x.shape[:-1]), nodes)).t()


def _as_given(
    state: Tensor, call: Call, chosen: Backend, shape: torch.Size, kept: Sequence[Tensor] = ()
) -> Tensor:
    """Return a state that the kernels have made in the layout of the caller's."""
    if _turns(call, chosen):
        return turned_back(state, shape)
    # The backward pass reads the states of ``kept``, and the caller may change rows in place.
    return state.clone() if call.rows and any(state is each for each in kept) else state


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, ...]:
        weight, *of_inputs, call, chosen = given
        inputs = LoopInputs(*of_inputs)
        looped = _run(call, chosen, weight, inputs)
        kept = checkpointing.kept_states(
            chosen, inputs.state, looped, loops=call.loops, segment=call.segment, keep=call.keep
        )
        # Later operations may use only some of the states; zero gradients for the others would cost
        # a pass over memory each.
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight, *inputs, *kept)
        ctx.call, ctx.chosen = call, chosen
        shape = inputs.state.shape
        return tuple(_as_given(each, call, chosen, shape, kept) for each in looped.states)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        call, chosen = ctx.call, ctx.chosen
        weight, state, drive, bias, leak, *kept = ctx.saved_tensors
        inputs, of_states = LoopInputs(state, drive, bias, leak), list(grads)
        refuse_batched(*grads)
        again = torch.is_grad_enabled() or is_transformed()
        turns = _turns(call, chosen) or (again and call.rows)
        if turns:
            inputs = turned(inputs, call.structure)
            of_states = [
                None if grad is None else _turned(grad, call.structure) for grad in of_states
            ]
        if again:
            of_weight, *of_inputs = differentiable_backward(
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
            )
        else:
            of_weight, of_inputs = _backward(
                call, chosen, weight, inputs, kept, of_states, need_weight=ctx.needs_input_grad[0]
            )
        of_state, of_drive, *of_neurons = of_inputs
        if turns:
            of_state, of_drive = (
                None if each is None else each.t().reshape(state.shape)
                for each in (of_state, of_drive)
            )
        return of_weight, of_state, of_drive, *of_neurons, None, None


def _backward(
    call: Call,
    chosen: Backend,
    weight: Tensor,
    inputs: LoopInputs,
    kept: list[Tensor],
    grads: list[Tensor | None],
    *,
    need_weight: bool,
) -> LoopGradients:
    """Backpropagate through the loops, from the gradients of the states that were returned."""
    state = inputs.state
    for grad in grads:
        if grad is not None and not is_like(grad, state.shape, state.dtype, state.device):
            check_tensor("grad", grad, tuple(state.shape), state)
    others = [*kept, *grads]
    names = (*_NAMES, *["states and grads"] * len(others))
    _check_memory(call.structure, chosen, names, (weight, *inputs, *others))
    return checkpointing.run_backward(
        chosen,
        call.structure,
        weight,
        inputs,
        kept,
        grads if call.keep else [*[None] * (call.loops - 1), *grads],
        segment=call.segment,
        activation=call.activation,
        need_weight=need_weight,
    )


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
