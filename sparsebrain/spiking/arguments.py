"""Checks of the arguments of spiking neurons: numbers, or one value per neuron or synapse."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from graphs import arguments, tensors

Range = Literal["finite", "positive", "not negative"]

MOST_STEPS = 2**20
"""The most time steps of a delay or a refractory time."""


def values(name: str, value: Any, size: int, allowed: Range) -> Tensor:
    """Return a number, or a tensor of one value per neuron or synapse, as float64 on the CPU.

    Args:
        name: The name of the argument.
        value: What the caller passed.
        size: The number of neurons or synapses.
        allowed: Which numbers the argument may have.

    Returns:
        A tensor [] or [size].

    Raises:
        TypeError: If it is neither a number nor a tensor of floats.
        ValueError: If its shape is wrong, or a value is out of range.
    """
    if not isinstance(value, Tensor):
        return torch.tensor(number(name, value, allowed), dtype=torch.float64)
    if value.dim() == 0 and value.dtype in tensors.FLOATS and not value.is_meta:
        fix = f"pass a number, {name}={value.item():g}"
    else:
        fix = f"pass a number for all, or a tensor [{size}]"
    checked = tensors.tensor(name, value, (size,), finite=True, fix=fix).detach()
    low = {"finite": -math.inf, "positive": 0.0, "not negative": 0.0}[allowed]
    wrong = checked <= low if allowed == "positive" else checked < low
    if bool(wrong.any()):
        place = int(wrong.nonzero()[0])
        raise ValueError(
            f"{name} must be {allowed}, got {float(checked[place]):g} at position {place}; pass "
            f"{name}.clamp_min({0.1 if allowed == 'positive' else 0})"
        )
    # A copy, so that later changes of the argument do not change the neurons.
    return checked.to("cpu", torch.float64, copy=True)


def number(name: str, value: Any, allowed: Range) -> float:
    """Return a number as a float; TypeError or ValueError."""
    if allowed != "finite" or not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        return arguments.real(name, value, positive=allowed == "positive")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ValueError(f"{name} must be a finite number, got {found}; pass for example {name}=0")
    return found


def steps(name: str, times: Tensor, dt: float) -> Tensor:
    """Return times in ms as the nearest numbers of steps, int64; ValueError if they are too many.

    Float32 cannot represent 1.8 / 0.1 = 18, so the quotient is rounded and not truncated.
    """
    found = (times / dt).round()
    if found.numel() and float(found.max()) > MOST_STEPS:
        raise ValueError(
            f"{name} must be at most {MOST_STEPS} steps of dt={dt:g} ms, got "
            f"{float(times.max()):g} ms; pass a smaller {name}, or a larger dt"
        )
    return found.long()


def plain(times: Tensor) -> float | Tensor:
    """Return a tensor [] as a float, and others unchanged."""
    return float(times) if times.dim() == 0 else times


def in_dtype(name: str, exact: Tensor, like: Tensor) -> Tensor:
    """Return float64 values in the dtype and on the device of a tensor; ValueError on overflow."""
    found = exact.to(like)
    if not like.is_meta and not bool(found.isfinite().all()):
        raise ValueError(
            f"{name} has values up to {float(exact.abs().max()):g}, which {like.dtype} cannot "
            f"represent; pass smaller values of {name}, or dtype=torch.float64"
        )
    return found
