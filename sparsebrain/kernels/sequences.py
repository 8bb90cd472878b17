"""The loops of all time steps of a sequence in one call, with backpropagation through time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphs import tensors
from sparsebrain.kernels import eager
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import Backend, LoopGradients, LoopInputs
from sparsebrain.kernels.checkpointing import segment_length, starts
from sparsebrain.kernels.checks import check_index, check_leak, check_memory
from sparsebrain.kernels.select import resolve
from sparsebrain.kernels.stepwise import recomputed_gradients, steps
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.transforms import is_transformed, refuse_batched


class _Call(NamedTuple):
    """The arguments of a sequence that are not tensors.

    ``shape`` is that of the drive, [..., T, N]; ``segment`` is 0, or with checkpointing the number
    of steps from one kept state to the next.
    """

    structure: Structure
    shape: torch.Size
    loops: int
    activation: str
    form: str
    segment: int
    backend: str
    chosen: Backend


def is_fused(
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    activation: str | Callable[[Tensor], Tensor],
    checkpoint: bool,
    backend: str,
) -> bool:
    """Return whether :func:`sequence` runs these inputs; otherwise the steps run one by one.

    With ``checkpoint`` a sequence keeps whole steps. If a step has more loops than there are
    steps, the states between its loops need most of the memory, and the layer keeps fewer of them.
    """
    drive = inputs.drive
    return (
        isinstance(activation, str)
        and drive is not None
        and eager.is_plain(weight, *inputs)
        and (not checkpoint or loops <= drive.size(-2))
        and drive.dtype == inputs.state.dtype == weight.dtype
        and resolve(backend, weight.device).fuses(activation)
    )


def sequence(
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    activation: str,
    checkpoint: bool,
    backend: str,
    form: str = "rate",
) -> tuple[Tensor, Tensor]:
    r"""Run all loops of every time step, starting from the state after the previous one.

    .. math:: x_t(k + 1) = (1 - \lambda) \odot x_t(k) + \lambda \odot f(W x_t(k) + b +
        \mathrm{drive}_t), \qquad x_{t + 1}(0) = x_t(\mathrm{loops})

    Args:
        structure: The synapses.
        weight: [E], tied over the loops and the steps.
        inputs: The state before the first step [..., N], the drive [..., T, N], and bias and leak
            [N], for which :func:`is_fused` holds.
        loops: The number of loops of a step.
        activation: The name of f.
        checkpoint: For the backward pass, keep the state about every sqrt(T / loops) steps and
            recompute the others.
        backend: The name of the backend.
        form: "rate", or "voltage" for :math:`W f(x_t(k)) + b + \mathrm{drive}_t` instead of f(...).

    Returns:
        The state after every step [..., T, N], and a copy of the last one.
    """
    drive, chosen = inputs.drive, resolve(backend, weight.device)
    assert drive is not None
    _check(structure, weight, inputs)
    learns = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (weight, *inputs)
    )
    number = drive.size(-2)
    segment = math.ceil(segment_length(number * loops) / loops) if checkpoint else 0
    kept = 1 + number // segment + segment * loops if segment else number * loops
    tensors.room(
        f"a sequence of {number} steps and loops={loops}",
        (number + (kept if learns else 0)) * inputs.state.nbytes,
        "pass fewer steps at a time, a smaller batch, or checkpoint=True to the layer",
    )
    _check_memory(structure, chosen, weight, inputs)
    call = _Call(structure, drive.shape, loops, activation, form, segment, backend, chosen)
    if learns:
        states, last = _Sequence.apply(weight, *inputs, call)
        return states, last
    states, _ = _run(call, weight, _columns(inputs, call), learns=False)
    return states, states.select(-2, -1).clone()


def _check(structure: Structure, weight: Tensor, inputs: LoopInputs) -> None:
    """Raise TypeError or ValueError unless the tensors fit the structure and each other."""
    state, drive, bias, leak = inputs
    assert drive is not None
    nodes = structure.num_nodes
    like: dict[str, Any] = {"dtypes": (state.dtype,), "device": structure.device}
    tensors.tensor("weight", weight, (structure.num_edges,), **like)
    tensors.tensor("x", drive, (..., "T", nodes), **like)
    tensors.tensor("state", state, (*drive.shape[:-2], nodes), **like)
    for name, each in {"bias": bias, "leak": leak}.items():
        if each is not None:
            tensors.tensor(name, each, (nodes,), **like)
    if leak is not None:
        check_leak(leak)


def _check_memory(
    structure: Structure, chosen: Backend, weight: Tensor, inputs: LoopInputs, *others: Tensor
) -> None:
    """Check that every address that a kernel follows is still one of the values."""
    structure.check_arrays()
    if not chosen.checks_index:
        check_index(structure)
    names = ("weight", "state", "x", "bias", "leak", *["states and grads"] * len(others))
    for name, tensor in zip(names, (weight, *inputs, *others), strict=True):
        if tensor is not None:
            check_memory(name, tensor)


def _columns(inputs: LoopInputs, call: _Call) -> LoopInputs:
    """Return state and drive as columns, [N, B] and [T, N, B]."""
    state, drive, bias, leak = inputs
    assert drive is not None
    return LoopInputs(_column(state, call), _columns_of_steps(drive, call), bias, leak)


def _column(state: Tensor, call: _Call) -> Tensor:
    return state.reshape(math.prod(call.shape[:-2]), call.shape[-1]).t()


def _columns_of_steps(states: Tensor, call: _Call) -> Tensor:
    batch = math.prod(call.shape[:-2])
    return states.reshape(batch, *call.shape[-2:]).permute(1, 2, 0)


def _run(
    call: _Call, weight: Tensor, inputs: LoopInputs, *, learns: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return the states [..., T, N] and the tape."""
    # Not a view of another tensor, so that the caller may change it in place.
    states = inputs.state.new_empty(call.shape)
    tape = _run_into(call, weight, inputs, _columns_of_steps(states, call), learns=learns)
    return states, tape


def _run_into(
    call: _Call, weight: Tensor, inputs: LoopInputs, out: Tensor, *, learns: bool
) -> list[Tensor]:
    return call.chosen.sequence(
        call.structure,
        weight,
        inputs,
        out,
        loops=call.loops,
        activation=call.activation,
        learns=learns,
        form=call.form,
    )


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        weight, *of_inputs, call = given
        inputs = LoopInputs(*of_inputs)
        columns = _columns(inputs, call)
        states, kept = _run(call, weight, columns, learns=not call.segment)
        if call.segment:
            # Copies, because the caller may change the states in place.
            before = starts(call.shape[-2], call.segment)[1:]
            kept = [states.select(-2, first - 1).clone() for first in before]
        # Zero gradients for results that are not used would cost a pass over memory each.
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight, *inputs, *kept)
        ctx.call = call
        return states, states.select(-2, -1).clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        call: _Call = ctx.call
        weight, state, drive, bias, leak, *kept = ctx.saved_tensors
        inputs = LoopInputs(state, drive, bias, leak)
        refuse_batched(*grads)
        if torch.is_grad_enabled() or is_transformed():
            found = recomputed_gradients(
                lambda alias, again: _one_by_one(call, alias, again),
                weight,
                inputs,
                ctx.needs_input_grad[:5],
                grads,
            )
            return (*found, None)
        others = [each for each in (*kept, *grads) if each is not None]
        _check_memory(call.structure, call.chosen, weight, inputs, *others)
        gradients = _backward(call, weight, inputs, kept, grads, ctx.needs_input_grad[0])
        of_state, of_drive, *others = gradients.inputs
        assert of_state is not None
        assert of_drive is not None
        back = of_state.t().reshape(state.shape), of_drive.permute(2, 0, 1).reshape(call.shape)
        return (gradients.weight, *back, *others, None)


def _backward(
    call: _Call,
    weight: Tensor,
    inputs: LoopInputs,
    kept: list[Tensor],
    grads: tuple[Tensor | None, ...],
    need_weight: bool,
) -> LoopGradients:
    """Compute the gradients of :func:`_run`, with ``checkpoint`` segment by segment."""
    columns = _columns(inputs, call)
    of_states = None if grads[0] is None else _columns_of_steps(grads[0], call)
    of_last = None if grads[1] is None else _column(grads[1], call)

    def run_back(
        inside: LoopInputs, tape: list[Tensor], outside: Tensor | None, later: Tensor | None
    ) -> LoopGradients:
        return call.chosen.sequence_backward(
            call.structure,
            weight,
            inside,
            tape,
            outside,
            later,
            loops=call.loops,
            activation=call.activation,
            need_weight=need_weight,
            form=call.form,
        )

    if not call.segment:
        return run_back(columns, kept, of_states, of_last)
    drive = columns.drive
    assert drive is not None
    of_drive = torch.empty_like(drive)
    total: LoopGradients | None = None
    first_states = [columns.state, *(_column(state, call) for state in kept)]
    for first, start in reversed(
        list(zip(starts(len(drive), call.segment), first_states, strict=True))
    ):
        here = slice(first, first + call.segment)
        inside = columns._replace(state=start, drive=drive[here])
        tape = _run_into(call, weight, inside, torch.empty_like(drive[here]), learns=True)
        outside = None if of_states is None else of_states[here]
        found = run_back(inside, tape, outside, of_last)
        # Free it before the next segment is computed.
        del tape
        assert found.inputs.drive is not None
        of_drive[here], of_last = found.inputs.drive, found.inputs.state
        found = found._replace(inputs=found.inputs._replace(drive=None))
        total = found if total is None else total.plus(found)
    assert total is not None
    return total._replace(inputs=total.inputs._replace(drive=of_drive))


def _one_by_one(call: _Call, weight: Tensor, inputs: LoopInputs) -> list[Tensor]:
    """Run the steps with operations that autograd can differentiate any number of times."""
    columns = _columns(inputs, call)
    assert columns.drive is not None

    def exchange(x: Tensor) -> Tensor:
        return eager.propagate(call.structure, weight, x, transpose=False, backend=call.backend)

    state, states = columns.state, []
    function = ACTIVATIONS[call.activation].function
    for drive in columns.drive:
        here = columns._replace(state=state, drive=drive)
        *_, state = steps(exchange, here, range(call.loops), function, None, call.form)
        states.append(state)
    every = torch.stack(states).permute(2, 0, 1).reshape(call.shape)
    return [every, every.select(-2, -1)]
