"""The two forms of a loop: where the activation stands relative to the synapses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

from torch import Tensor

from graphs import arguments
from sparsebrain.kernels.activations import ACTIVATIONS

if TYPE_CHECKING:
    from sparsebrain.kernels.backend import LoopInputs

Form = Literal["rate", "voltage"]

FORMS: tuple[str, ...] = get_args(Form)
"""A rate follows f(W x + b + drive). A voltage follows W f(x) + b + drive."""


def check_form(form: object) -> None:
    """Raise TypeError or ValueError unless ``form`` is one of :data:`FORMS`."""
    arguments.option("form", form, FORMS)


def respond(
    step: Callable[[Tensor], Tensor],
    state: Tensor,
    inputs: LoopInputs,
    activation: str,
    form: str,
) -> Tensor:
    """Compute f(W x + b + drive), or W f(x) + b + drive, with a ``step`` that computes W x."""
    chosen = ACTIVATIONS[activation]
    if form == "voltage":
        return argument(step, chosen.function(state), inputs)
    return chosen.in_place(argument(step, state, inputs))


def argument(step: Callable[[Tensor], Tensor], state: Tensor, inputs: LoopInputs) -> Tensor:
    """Compute W x + b + drive."""
    total = step(state)
    if inputs.bias is not None:
        total += inputs.bias.unsqueeze(1)
    if inputs.drive is not None:
        total += inputs.drive
    return total
