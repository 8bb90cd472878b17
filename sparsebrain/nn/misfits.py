"""Errors of torch's modules about their input, as errors about the x of the caller."""

from __future__ import annotations

import traceback
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from graphs import tensors


def explain(model: nn.Module, error: Exception) -> None:
    """Raise an error about x in place of torch's, if a module of torch in ``model`` refused x.

    Raises:
        TypeError: The module takes inputs of another type or dtype.
        ValueError: The module takes inputs of another shape, or on another device.
    """
    refusing = None if isinstance(error, torch.OutOfMemoryError) else _refusing(model, error)
    if refusing is None:
        return
    name, module, given = refusing
    if isinstance(module, nn.Linear):
        check_fit(module, given, name)
    told = _told(module, name)
    if isinstance(module, _NormBase) and isinstance(given, Tensor):
        if given.dim() < 2 or given.size(1) != module.num_features:
            raise ValueError(
                f"{told} takes [B, {module.num_features}], got {_described(given)}; pass x of "
                "shape [B, features], such as x.flatten(1)."
            ) from None
        if module.training and len(given) == 1:
            raise ValueError(
                f"{told} needs at least two samples while training, got one; pass larger "
                "batches, as of DataLoader(..., drop_last=True), or call rule.eval()."
            ) from None
    raise (TypeError if isinstance(error, TypeError) else ValueError)(
        f"{told} was given {_described(given)} and failed: {error}; pass x of the shape and "
        "dtype that it takes."
    ) from error


def check_fit(layer: nn.Linear, given: Any, name: str = "") -> None:
    """Check that a nn.Linear of a model can take what x has become on the way to it.

    Raises:
        TypeError: It is not a tensor, or its dtype is not that of the weights.
        ValueError: Its width or its device is not that of the layer.
    """
    told, weight, width = _told(layer, name), layer.weight, layer.in_features
    if not isinstance(given, Tensor):
        raise TypeError(
            f"{told} takes tensors, got {type(given).__name__}; pass x as a tensor [B, features]."
        ) from None
    if given.device != weight.device:
        raise ValueError(
            f"{told} is on {weight.device}, got {_described(given)}; pass "
            f"x.to({str(weight.device)!r}), or call model.to({str(given.device)!r})."
        ) from None
    if given.dim() == 0 or given.size(-1) != width:
        flat = given.dim() > 2 and given[0].numel() == width
        fix = "x.flatten(1)" if flat else f"x with {width} features"
        raise ValueError(
            f"{told} takes [..., {width}], got {_described(given)}; pass {fix}, or make the model "
            "for samples of this shape."
        ) from None
    if given.dtype != weight.dtype:
        fix = f", or call model.to({given.dtype})" if given.dtype in tensors.FLOATS else ""
        raise TypeError(
            f"{told} has weights of {weight.dtype}, got {_described(given)}; pass "
            f"x.to({weight.dtype}){fix}."
        ) from None


def _refusing(model: nn.Module, error: Exception) -> tuple[str, nn.Module, Any] | None:
    """Return the module of torch in which an error was raised, by name, with its input."""
    names = {module: name for name, module in model.named_modules()}
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = frame.f_locals.get("self")
        if frame.f_code.co_name == "forward" and isinstance(module, nn.Module) and module in names:
            # In the forward of a container, what failed is a hook of one of its modules.
            leaf = next(module.children(), None) is None
            if not leaf or not frame.f_globals["__name__"].startswith("torch.nn."):
                return None
            (argument,) = frame.f_code.co_varnames[1:2]
            name = names[module] or type(module).__name__
            return name, module, frame.f_locals.get(argument)
    return None


def _told(module: nn.Module, name: str) -> str:
    return f"x does not fit the model, in which {type(module).__name__}{f' {name!r}' * bool(name)}"


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{list(value.shape)} of {value.dtype} on {value.device}"
