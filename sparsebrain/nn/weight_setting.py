"""Sets the weights of a module, whether they are parametrized or not."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from graphs import tensors


def set_weight(module: nn.Module, weight: Tensor) -> None:
    """Set ``module.weight``, in its own shape.

    Args:
        module: A module with a parameter ``weight``, or with a parametrization of it.
        weight: The new values.

    Raises:
        TypeError: If ``weight`` is not a dense tensor of floats.
        ValueError: If it has another shape, or the parametrization does not allow this value.
    """
    before = module.weight
    assert isinstance(before, Tensor)
    tensors.tensor("weight", weight, tuple(before.shape))
    if parametrize.is_parametrized(module, "weight"):
        module.weight = weight
    else:
        with torch.no_grad():
            before.copy_(weight)
