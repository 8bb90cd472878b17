"""Loops one by one on states [..., N], for activations and noise that are functions.

In memory the states are columns [N, B]. A function receives them in the shape of the caller's x as
a view, so that no loop copies them; strides are those of a transpose.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels import eager
from sparsebrain.kernels.backend import Backend, LoopInputs
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.select import resolve
from sparsebrain.kernels.stepwise import Noise, check_kept, run_stepwise
from sparsebrain.kernels.structure import Structure
from sparsebrain.kernels.transforms import refuse_batched


def run(
    structure: Structure,
    weight: Tensor,
    inputs: LoopInputs,
    *,
    loops: int,
    activation: Callable[[Tensor], Tensor],
    noise: Noise | CounterNoise | None,
    keep: bool,
    segment: int,
    backend: str,
    form: str = "rate",
) -> list[Tensor]:
    """Run the loops as :func:`.run_stepwise` does, for functions of states [..., N].

    A noise that is a function returns this shape, too.
    """
    shape = inputs.state.shape
    plain = eager.is_plain(weight, *inputs)
    columns = eager.turned(inputs, structure)
    exchange = partial(eager.propagate, structure, weight, transpose=False, backend=backend)
    drawn: Noise | None = None
    if isinstance(noise, CounterNoise):
        drawn = partial(noise.values, state=columns.state)
    elif noise is not None:
        drawn = partial(_turned_noise, noise, structure)
    if plain:
        chosen = resolve(backend, weight.device)
        call = _Call(structure, backend, chosen, loops > 1)
        exchange = partial(_pre_activation, call, weight, columns.drive, columns.bias)
        if isinstance(noise, CounterNoise):
            drawn = partial(chosen.draw, structure, noise, state=columns.state)
        columns = columns._replace(drive=None, bias=None)
    states = run_stepwise(
        exchange,
        columns,
        loops=loops,
        activation=_OfColumns(activation, structure, shape, copies=not plain),
        noise=drawn,
        keep=keep,
        segment=segment,
        form=form,
    )
    return [eager.turned_back(state, shape) for state in states]


def _turned_noise(noise: Noise, structure: Structure, number: int) -> Tensor:
    return eager.turned_one(noise(number), structure)


class _OfColumns:
    """A function of states [..., N] as a function of columns [N, B].

    It receives a view, or a contiguous copy with ``copies``.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        structure: Structure,
        shape: torch.Size,
        *,
        copies: bool,
    ) -> None:
        self._function, self._structure = function, structure
        self._shape, self._copies = shape, copies

    def __call__(self, columns: Tensor) -> Tensor:
        if not self._copies:
            try:
                return self._apply(columns.t().reshape(self._shape))
            except RuntimeError as error:
                # The function reshapes its argument by view(), which needs contiguous memory.
                if "view size is not compatible" not in str(error):
                    raise
                self._copies = True
        return self._apply(eager.turned_back(columns, self._shape))

    def _apply(self, given: Tensor) -> Tensor:
        after = self._function(given)
        check_kept("activation", given, after)
        return eager.turned_one(after, self._structure)


class _Call(NamedTuple):
    structure: Structure
    backend: str
    chosen: Backend
    again: bool


def _pre_activation(
    call: _Call, weight: Tensor, drive: Tensor | None, bias: Tensor | None, state: Tensor
) -> Tensor:
    """Compute W x + b + drive for columns [N, B]."""
    inputs = LoopInputs(state, drive, bias, None)
    eager.check_inputs(call.structure, call.chosen, weight, inputs)
    if torch.is_grad_enabled() and any(
        each is not None and each.requires_grad for each in (weight, *inputs)
    ):
        total: Tensor = _PreActivation.apply(weight, state, drive, bias, call)
        return total
    return call.chosen.pre_activation(call.structure, weight, inputs, again=call.again)


class _PreActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        weight, state, drive, bias, call = given
        ctx.save_for_backward(weight, state)
        ctx.call = call
        inputs = LoopInputs(state, drive, bias, None)
        total: Tensor = call.chosen.pre_activation(call.structure, weight, inputs, again=call.again)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        weight, state = ctx.saved_tensors
        refuse_batched(grad)
        structure, backend = ctx.call.structure, ctx.call.backend
        of_weight, of_state, of_drive, of_bias = ctx.needs_input_grad[:4]
        local = grad.contiguous()
        grad_weight = grad_state = None
        if of_weight:
            grad_weight = eager.correlate(structure, local, state, backend=backend)
        if of_state:
            grad_state = eager.propagate(structure, weight, local, transpose=True, backend=backend)
        return (
            grad_weight,
            grad_state,
            grad if of_drive else None,
            grad.sum(1) if of_bias else None,
            None,
        )
