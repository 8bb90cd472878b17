r"""States that are kept as bfloat16 between the loops: their definition, and what excludes them.

The state is rounded to bfloat16 before the first loop and after each loop,

.. math:: x(0) = r(x), \qquad
    x(t + 1) = r((1 - \lambda) \odot x(t) + \lambda \odot f(W x(t) + b + \mathrm{drive})),

where r rounds to the nearest, of two equally near numbers to the even one, and keeps NaN. Sums,
weights and everything within a loop are float32. In the backward pass r counts as the identity, and
the gradient at W x + b + drive, which every synapse reads, is rounded by r as well; sums of it are
float32.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparsebrain.kernels.transforms import is_transformed

WITHOUT = "or state_dtype=None"


def narrowed(x: Tensor) -> Tensor:
    """Round to bfloat16, in the dtype of x."""
    return x.to(torch.bfloat16).to(x.dtype)


def check_state_dtype(state_dtype: object) -> bool:
    """Return whether states are bfloat16; TypeError or ValueError unless it is that or None."""
    if state_dtype is None:
        return False
    if not isinstance(state_dtype, torch.dtype):
        raise TypeError(
            f"state_dtype must be None or torch.bfloat16, got {state_dtype!r:.60} of type "
            f"{type(state_dtype).__name__}; pass state_dtype=torch.bfloat16"
        )
    if state_dtype is not torch.bfloat16:
        raise ValueError(
            f"state_dtype must be None, for states in the dtype of the weights, or torch.bfloat16, "
            f"got {state_dtype}; pass state_dtype=torch.bfloat16 {WITHOUT}"
        )
    return True


def check_rates(form: str, activation: object) -> None:
    """Raise ValueError unless narrow states have kernels for the form and the activation.

    Args:
        form: "rate" or "voltage".
        activation: The name of f, None, or a function.
    """
    if form != "rate":
        raise ValueError(
            f"state_dtype=torch.bfloat16 is for form='rate', got form={form!r}; pass form='rate' "
            f"{WITHOUT}"
        )
    if callable(activation):
        raise ValueError(
            "state_dtype=torch.bfloat16 needs an activation that is fused, got a function; pass "
            f"its name, such as activation='tanh', {WITHOUT}"
        )


def check_call(
    form: str,
    activation: str | Callable[[Tensor], Tensor],
    noise: object,
    state: Tensor,
    index: Tensor,
    backend: str,
) -> None:
    """Raise TypeError, ValueError or NotImplementedError unless kernels can run narrow states.

    Args:
        form: "rate" or "voltage".
        activation: The name of f, or a function.
        noise: The noise, of which functions of the caller are refused.
        state: The state before the first loop.
        index: An index array of the structure.
        backend: The name of the chosen backend.
    """
    check_rates(form, activation)
    if is_transformed():
        raise NotImplementedError(
            "state_dtype=torch.bfloat16 has no derivatives under torch.func, forward-mode "
            "derivatives, torch.jit.trace and torch.onnx.export; use loss.backward(), or pass "
            "state_dtype=None"
        )
    if callable(noise):
        raise ValueError(
            "state_dtype=torch.bfloat16 needs noise that is fused, got a function; pass "
            f"noise=CounterNoise(key, std) {WITHOUT}"
        )
    if state.dtype is not torch.float32:
        raise TypeError(
            f"state_dtype=torch.bfloat16 is for states and weights of float32, got {state.dtype}; "
            "pass state_dtype=None, or call layer.float()"
        )
    if index.dtype is not torch.int32:
        raise ValueError(
            "state_dtype=torch.bfloat16 is for fewer than 2^31 synapses; pass state_dtype=None"
        )
    if backend == "triton":
        raise ValueError(
            "backend 'triton' does not keep states as bfloat16; pass backend='native', 'torch' or "
            f"'reference', {WITHOUT}"
        )


def refuse_second_derivatives() -> None:
    """Raise NotImplementedError, because the gradient is rounded and has no derivative."""
    raise NotImplementedError(
        "state_dtype=torch.bfloat16 has no second derivatives; pass create_graph=False, or "
        "state_dtype=None"
    )
