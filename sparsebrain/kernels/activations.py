"""The table of activations that kernels can fuse, which every backend follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data.data import BaseData

from graphs import arguments

LEAKY_SLOPE = 0.01
SOFTPLUS_LINEAR = 20.0
"""The argument above which torch's softplus is the identity."""


class Activation(NamedTuple):
    """An activation f with its derivative.

    Attributes:
        function: f.
        in_place: f, writing over its argument if possible.
        backward: Computes grad * f'(u) from grad and y = f(u), or from grad and u with
            ``of_argument``.
        lipschitz: Lip(f), rounded up.
        of_argument: Whether f' cannot be computed from the value of f.
        number: The number by which compiled kernels know f. It is never reused. None means that no
            kernel fuses f: loops then run one by one with its Python definition.
    """

    function: Callable[[Tensor], Tensor]
    in_place: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    lipschitz: float = 1.0
    of_argument: bool = False
    number: int | None = None


def _gelu(u: Tensor) -> Tensor:
    # erfc is accurate in the lower tail. Torch's own GELU, in single precision on a CPU, is NaN at
    # infinity.
    return u * (0.5 * torch.special.erfc(u * -math.sqrt(0.5)))


def _hardtanh(u: Tensor) -> Tensor:
    # For NaN torch's own hardtanh has a gradient of 0 or 1, depending on its position in a vector;
    # here it is 1, as for relu.
    return torch.where(u.abs() >= 1, u.detach().sign(), u)


def _hardtanh_backward(grad: Tensor, y: Tensor) -> Tensor:
    return torch.where(y.abs() >= 1, torch.zeros_like(grad), grad)


ACTIVATIONS: dict[str, Activation] = {
    "none": Activation(lambda u: u, lambda u: u, lambda grad, y: grad, number=0),
    "tanh": Activation(torch.tanh, torch.tanh_, torch.ops.aten.tanh_backward, number=1),
    "sigmoid": Activation(
        torch.sigmoid, torch.sigmoid_, torch.ops.aten.sigmoid_backward, 0.25, number=2
    ),
    "relu": Activation(
        torch.relu,
        torch.relu_,
        lambda grad, y: torch.ops.aten.threshold_backward(grad, y, 0),
        number=3,
    ),
    "leaky_relu": Activation(
        lambda u: functional.leaky_relu(u, LEAKY_SLOPE),
        lambda u: functional.leaky_relu_(u, LEAKY_SLOPE),
        lambda grad, y: torch.ops.aten.leaky_relu_backward(grad, y, LEAKY_SLOPE, True),
        number=4,
    ),
    # The slope is largest at the square root of 2.
    "gelu": Activation(
        _gelu, _gelu, torch.ops.aten.gelu_backward, 1.1289043, of_argument=True, number=5
    ),
    # The slope is largest at 2.3994.
    "silu": Activation(
        functional.silu,
        lambda u: functional.silu(u, inplace=True),
        torch.ops.aten.silu_backward,
        1.0998394,
        of_argument=True,
        number=6,
    ),
    "softplus": Activation(
        functional.softplus,
        functional.softplus,
        lambda grad, u: torch.ops.aten.softplus_backward(grad, u, 1, SOFTPLUS_LINEAR),
        of_argument=True,
        number=7,
    ),
    "hardtanh": Activation(_hardtanh, lambda u: u.clamp_(-1, 1), _hardtanh_backward, number=8),
}


_FUNCTIONS: dict[Callable[..., Tensor], str] = {
    torch.tanh: "tanh",
    Tensor.tanh: "tanh",
    functional.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    Tensor.sigmoid: "sigmoid",
    functional.sigmoid: "sigmoid",
    torch.special.expit: "sigmoid",
    torch.relu: "relu",
    Tensor.relu: "relu",
    functional.relu: "relu",
    functional.leaky_relu: "leaky_relu",
    functional.gelu: "gelu",
    functional.silu: "silu",
    functional.softplus: "softplus",
}
_MODULES: dict[type[nn.Module], tuple[str, dict[str, object]]] = {
    nn.Identity: ("none", {}),
    nn.Tanh: ("tanh", {}),
    nn.Sigmoid: ("sigmoid", {}),
    nn.ReLU: ("relu", {}),
    nn.LeakyReLU: ("leaky_relu", {"negative_slope": LEAKY_SLOPE}),
    nn.GELU: ("gelu", {"approximate": "none"}),
    nn.SiLU: ("silu", {}),
    nn.Softplus: ("softplus", {"beta": 1, "threshold": SOFTPLUS_LINEAR}),
}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def fused_name(activation: str | Callable[[Tensor], Tensor]) -> str | Callable[[Tensor], Tensor]:
    """Return the name of an activation of torch that is in the table, else the activation itself.

    Modules with hooks, and those of a subclass or with other options, stay what they are.
    """
    if isinstance(activation, str) or torch.compiler.is_compiling():
        return activation
    if isinstance(activation, nn.Module):
        name, options = _MODULES.get(type(activation), (None, {}))
        own = vars(activation)
        plain = "forward" not in own and not any(own[hooks] for hooks in _HOOKS)
        same = all(own.get(option) == value for option, value in options.items())
        return name if name is not None and plain and same else activation
    try:
        return _FUNCTIONS.get(activation, activation)
    except TypeError:  # not hashable
        return activation


def check_activation(
    activation: object, names: Iterable[str | None], argument: str = "activation"
) -> None:
    """Raise TypeError or ValueError unless it is one of ``names`` or a function of a tensor."""
    if isinstance(activation, type):
        raise TypeError(
            f"{argument} must be a function of a tensor, got the class {activation.__name__}; "
            f"pass {argument}={activation.__name__}()"
        )
    # PyG's Data is callable, but is not an activation.
    if not callable(activation) or isinstance(activation, BaseData):
        arguments.option(argument, activation, names)


def activation_called(name: str) -> Activation:
    """Return an entry of the table; TypeError or ValueError if there is none of that name."""
    check_activation(name, ACTIVATIONS)
    return ACTIVATIONS[name]
