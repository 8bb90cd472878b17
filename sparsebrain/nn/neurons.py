"""The parameters of neurons: bias, threshold, leak and noise."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch_geometric.nn import MessagePassing

from graphs import arguments, tensors
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.nn.connectome import read_node_types
from sparsebrain.nn.dale import magnitude
from sparsebrain.nn.recurrence import LayerNoise
from sparsebrain.nn.sharing import NEURONS, count_groups


class Leak(nn.Module):
    r"""Parametrize a leak as :math:`a = 1 / \tau` with :math:`\tau = 1 + |v|` and v free.

    The time constant tau, in loops, is thus at least 1, and a is above 0 and at most 1, under any
    optimizer. The derivative of \|v\| at zero is defined as +1.

    Example:
        >>> import torch
        >>> Leak()(torch.tensor([0.0, 1.0, -3.0]))
        tensor([1.0000, 0.5000, 0.2500])
    """

    def forward(self, free: Tensor) -> Tensor:
        """Return the leak for a free parameter of the same shape."""
        # A free parameter that has overflowed would give zero and freeze its neuron.
        return (1 / (1 + magnitude(free))).clamp_min(torch.finfo(free.dtype).tiny)

    def right_inverse(self, leak: Tensor) -> Tensor:
        """Return the free parameter for a leak.

        Raises:
            TypeError: If ``leak`` is not a tensor.
            ValueError: If a value is not above 0 and at most 1.
        """
        if not isinstance(leak, Tensor):
            raise TypeError(
                f"leak is learned and must be a tensor, got {leak!r:.60} of type "
                f"{type(leak).__name__}; pass torch.full_like(layer.leak, 0.5)"
            )
        if not leak.is_meta and not bool(((leak > 0) & (leak <= 1)).all()):
            raise ValueError(
                f"leak must be above 0 and at most 1, got {float(leak.min()):g} to "
                f"{float(leak.max()):g}; pass 1 / tau, with a time constant tau >= 1 in loops"
            )
        return 1 / leak - 1


class NeuronParameters(MessagePassing):
    r"""The neurons of a layer: everything that changes a state except the exchange along synapses.

    .. math:: x(t + 1) = (1 - a) \odot x(t) + a \odot f(u(t) + b - \theta) + \sigma \xi(t)

    Here u is the sum of the messages, b the bias, theta the threshold, a the leak and xi standard
    normal noise; f is elsewhere with ``form="voltage"``, see :class:`sparsebrain.GraphLayer`.
    This is Euler's method, with a step of one loop and a = 1 / tau, for a network of firing rates,
    :math:`\tau \dot x = -x + f(u + b - \theta)`: P. Dayan, L. F. Abbott, "Theoretical
    neuroscience", MIT Press (2001), chapter 7.

    Attributes:
        bias: b, [N], or [P] with one value per population, or None.
        threshold: theta, in the same shapes, a number, or None.
        leak: a, in the same shapes, a number, or None for 1.
        noise: sigma.
    """

    num_nodes: int
    weight: Tensor
    bias: Tensor | None
    threshold: Tensor | float | None
    leak: Tensor | float | None
    noise: float
    _populations: Tensor | None
    _per: dict[str, str]

    def _make_neurons(self, connectome: Any, values: dict[str, Any], where: dict[str, Any]) -> None:
        """Set each of the values: None, a number, or one of :data:`NEURONS` to learn it.

        ``where`` is the device and dtype of learned values.
        """
        self._populations = None
        self._per = {}
        for name, value in values.items():
            if value not in NEURONS:
                if value is None:
                    self.register_parameter(name, None)
                else:
                    setattr(self, name, value)
                continue
            length = self.num_nodes
            if value == "population":
                told = f"{name}='population'"
                self._populations = read_node_types(connectome, told)
                length = count_groups(self._populations)
            self._per[name] = value
            start = torch.zeros if name != "leak" else torch.ones
            parameter = nn.Parameter(start(length, **where))
            self.register_parameter(name, parameter)
            if name == "leak":
                parametrize.register_parametrization(self, name, Leak())

    @property
    def learned_per(self) -> dict[str, str]:
        """Whether bias, threshold and leak, if learned, are per "neuron" or per "population"."""
        return dict(self._per)

    def _reset_neurons(self) -> None:
        for name in self._per:
            if name == "leak":
                self.leak = torch.ones_like(getattr(self, name))
            else:
                nn.init.zeros_(getattr(self, name))

    def _per_neuron(self, name: str) -> Tensor | None:
        # Most layers lack most of them, which torch's own lookup finds out slowly.
        if self._parameters.get(name, name) is None:
            return None
        value = getattr(self, name)
        if value is None:
            return None
        # The parameter behind a parametrized weight has the same device and dtype.
        weighted = parametrize.is_parametrized(self, "weight")
        like = self.parametrizations.weight.original if weighted else self.weight
        if isinstance(value, float):
            return like.new_full((self.num_nodes,), value)
        tensors.tensor(name, value, device=like.device)
        populations = self._populations if self._per[name] == "population" else None
        return value if populations is None else value.index_select(0, populations)

    def _told_neurons(self) -> list[str]:
        """Return the non-default options, for ``__repr__``."""
        per = {"bias": None, "threshold": self.threshold, "leak": self.leak} | self._per
        if per["bias"] == "neuron":
            per["bias"] = True
        told = [f"{name}={value!r}" for name, value in per.items() if value is not None]
        return [*told, f"noise={self.noise:g}"] if self.noise else told

    def _draws(
        self, like: Tensor, generator: torch.Generator | None, *, node_first: bool
    ) -> LayerNoise | None:
        """Return the noise of a call, or None without noise; one number is drawn for its key."""
        if generator is not None:
            tensors.generator("generator", generator, like.device)
            if not self.noise:
                raise ValueError(
                    "generator is for noise, which this layer does not have; pass noise=0.1 when "
                    "you make it"
                )
        if not self.training or not self.noise:
            return None
        key = torch.randint(2**63 - 1, (), generator=generator, device=like.device)
        counter = CounterNoise(key, self.noise)
        return LayerNoise(counter, like, self.num_nodes, node_first=node_first)


def check_neurons(
    *, bias: Any, threshold: Any, leak: Any, noise: Any
) -> dict[str, float | str | None]:
    """Check and complete the values of :class:`NeuronParameters`; TypeError or ValueError."""
    if not isinstance(bias, str):
        if not isinstance(bias, bool):
            raise TypeError(
                f"bias must be True, False, {' or '.join(map(repr, NEURONS))}, got {bias!r:.60} of "
                f"type {type(bias).__name__}; pass bias=True, and for values other than zero to "
                "start from call torch.nn.init.constant_(layer.bias, number)"
            )
        bias = "neuron" if bias else None
    values = {"bias": bias, "threshold": threshold, "leak": leak, "noise": noise}
    for name, value in values.items():
        if isinstance(value, str) and name != "noise":
            arguments.option(name, value, (True, False, *NEURONS) if name == "bias" else NEURONS)
        elif name == "noise" or (value is not None and name != "bias"):
            values[name] = check_number(name, value)
    return values


def check_number(name: str, value: object) -> float:
    """Return a threshold, leak or noise that is a number as a float; TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(
            f"{name} must be a number, got {value!r:.60} of type {type(value).__name__}; pass "
            + ("noise=0.1" if name == "noise" else f"{name}=0.5, or {name}='neuron' to learn it")
        )
    valid, told = {
        "threshold": (math.isfinite(value), "finite"),
        "leak": (0 < value <= 1, "more than 0 and at most 1"),
        "noise": (0 <= value < math.inf, "0 or more and finite, a standard deviation"),
    }[name]
    if not valid:
        raise ValueError(f"{name} must be {told}, got {value!r}; pass {name}=0.5, for example")
    return float(value)
