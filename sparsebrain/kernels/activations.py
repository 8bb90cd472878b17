"""Activations that a kernel can fuse, each with its derivative written in terms of its output."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

LEAKY_SLOPE = 0.01


class Activation(NamedTuple):
    """f as a function, f written over its argument, grad * f'(u) from grad and y = f(u), Lip(f)."""

    function: Callable[[Tensor], Tensor]
    in_place: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    lipschitz: float = 1.0


ACTIVATIONS: dict[str, Activation] = {
    "none": Activation(lambda u: u, lambda u: u, lambda grad, y: grad),
    "tanh": Activation(torch.tanh, torch.tanh_, torch.ops.aten.tanh_backward),
    "sigmoid": Activation(torch.sigmoid, torch.sigmoid_, torch.ops.aten.sigmoid_backward, 0.25),
    "relu": Activation(
        torch.relu, torch.relu_, lambda grad, y: torch.ops.aten.threshold_backward(grad, y, 0)
    ),
    "leaky_relu": Activation(
        lambda u: functional.leaky_relu(u, LEAKY_SLOPE),
        lambda u: functional.leaky_relu_(u, LEAKY_SLOPE),
        lambda grad, y: torch.ops.aten.leaky_relu_backward(grad, y, LEAKY_SLOPE, True),
    ),
}
