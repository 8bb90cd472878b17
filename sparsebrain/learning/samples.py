"""Checks of what rules are given and return, with the same messages for all rules."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from graphs import tensors

#: The dtypes of samples. The narrow ones occur in narrow models and under autocast.
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_samples(x: Any, *, any_model: bool) -> None:
    """Check the samples that a rule or its ``predict`` is given.

    Args:
        x: The argument.
        any_model: Whether the model decides what samples are: tensors of any dtype and shape, or
            objects such as a batch of PyG. Otherwise they are real numbers [B, ...].

    Raises:
        TypeError: ``x`` is not a dense tensor of numbers.
        ValueError: ``x`` has no dimension for the features, no values, or values that are not
            finite.
    """
    if any_model:
        if isinstance(x, Tensor):
            tensors.tensor("x", x, dtypes=(x.dtype,), finite=True)
        return
    # Further dimensions, such as those of an image, are left to the model.
    shape = None if isinstance(x, Tensor) and x.dim() > 1 else ("B", "features")
    tensors.tensor("x", x, shape, dtypes=FLOATS, finite=True)


def check_loss(rule: nn.Module, loss: Any) -> Tensor:
    """Return the loss that the ``forward`` of a rule returned, without a gradient.

    Raises:
        TypeError: It is not a floating-point tensor.
        ValueError: It has more than one element.
    """
    name = f"{type(rule).__name__}.forward"
    if not isinstance(loss, Tensor) or not loss.is_floating_point():
        got = loss.dtype if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(
            f"{name}(x, y) must return the loss as a floating-point tensor, got {got}; end it with "
            "return loss.detach()."
        )
    if loss.dim():
        raise ValueError(
            f"{name}(x, y) must return one number as the loss, got {list(loss.shape)}; "
            "return loss.mean().detach()."
        )
    return loss.detach()


def check_scores(rule: nn.Module, x: Any, scores: Any) -> Tensor:
    """Return the scores that the ``predict`` of a rule returned for ``x``.

    Raises:
        TypeError: They are not a tensor.
        ValueError: They are not [B, classes].
    """
    if isinstance(scores, Tensor) and scores.dim() == 2:
        return scores
    name = f"{type(rule).__name__}.predict(x)"
    got = type(scores).__name__
    if not isinstance(scores, Tensor):
        raise TypeError(
            f"{name} must return scores [B, classes] as a tensor, got {got}; return the scores "
            "alone."
        )
    given = f" for x {list(x.shape)}" if isinstance(x, Tensor) else ""
    raise ValueError(
        f"{name} must return scores [B, classes], got {list(scores.shape)}{given}; pass x of shape "
        "[B, features], such as x.unsqueeze(0) for one sample, and let the model return a column "
        "for each class."
    )


def checked_predict(predict: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Tensor]:
    """Add the checks of x and of the scores to the ``predict`` of a rule."""

    def wrapped(self: Any, x: Any) -> Tensor:
        with self.checked(x):
            scores = predict(self, x)
        return check_scores(self, x, scores)

    wrapped.__doc__, wrapped.__name__ = predict.__doc__, "predict"
    wrapped.__qualname__, wrapped.__module__ = predict.__qualname__, predict.__module__
    return wrapped


@contextmanager
def explained(model: nn.Module) -> Iterator[None]:
    """Replace torch's error by one about x where a module of torch in ``model`` refuses x.

    Other errors pass unchanged.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        refusing = _refusing(model, error)
        if refusing is None:
            raise
        name, module, given = refusing
        if isinstance(module, nn.Linear):
            check_fit(module, given, name)
        told = _told(module, name)
        if isinstance(module, _NormBase):
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
            if not type(module).__module__.startswith("torch.nn."):
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
