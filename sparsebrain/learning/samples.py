"""Checks of the inputs and results of rules, with the same messages for all rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

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
    if any_model and not isinstance(x, Tensor):
        return
    # Further dimensions, such as those of an image, are left to the model.
    shape = None if any_model or (isinstance(x, Tensor) and x.dim() > 1) else ("B", "features")
    dtypes = (x.dtype,) if any_model else FLOATS
    tensors.tensor("x", x, shape, dtypes=dtypes)
    # One sum is much faster than a look at each value, and is not finite if one of them is not.
    if x.dtype in FLOATS and not math.isfinite(x.detach().sum()):
        tensors.tensor("x", x, dtypes=dtypes, finite=True)


def check_generator(generator: torch.Generator | None, model: nn.Module) -> torch.Generator | None:
    """Return the generator that a rule around ``model`` draws with.

    Raises:
        TypeError: It is not a generator of torch.
        ValueError: It is on another device than the model.
    """
    devices = (p.device for p in model.parameters() if not p.is_meta)
    return tensors.generator("generator", generator, next(devices, torch.device("cpu")))


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
