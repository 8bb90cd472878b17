"""The base classes of the rules that learn without labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from graphs import arguments
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.learning.credit import Weighted, out_width
from sparsebrain.nn.graph_layer import GraphLayer
from sparsebrain.plasticity.updates import (
    Plastic,
    add_to_grad,
    check_activity,
    correlate,
    per_target,
    refuse_weights,
)


class PlasticityRule(nn.Module, ABC):
    """A rule that changes the synapses of a layer by the activity at both of their ends.

    Calling the rule adds minus the update, averaged over the samples, to ``.grad`` of the layer's
    weight; no other parameter receives a gradient. The optimizer of :meth:`make_optimizer`, plain
    SGD, then makes the step. Optimizers that rescale gradients, such as Adam, change the rule.

    A rule adds no synapse, and it flips no sign that a layer keeps (``dale=True``): a weight that
    would cross zero is reflected. Synapses that share a weight (``weight_sharing``) change it by
    the mean of their updates. Layers with gains or with the constraint of an
    :class:`~sparsebrain.Equilibrium` are refused, because their weights are products of several
    factors, and the rules do not define which of them changes.

    Args:
        layer: A :class:`~sparsebrain.GraphLayer`, an ``nn.Linear`` or a
            :class:`~sparsebrain.spiking.LIF`, whichever the rule is for.

    Raises:
        ValueError: The rule cannot train the layer.
    """

    layer: Plastic

    #: The default of :meth:`make_optimizer`.
    learning_rate: ClassVar[float] = 1e-2

    #: Whether the update is a mean over samples, so that two batches of one sample, in either
    #: order, add twice the gradient of the batch of both. Otherwise the rule keeps a running state.
    is_mean: ClassVar[bool] = True

    def __init__(self, layer: Plastic) -> None:
        super().__init__()
        reason = self.refusal(layer)
        if reason is not None:
            raise ValueError(f"{type(self).__name__} cannot train this layer: {reason}")
        self.layer = layer

    @classmethod
    def refusal(cls, layer: Plastic) -> str | None:
        """Return why the rule cannot train a layer and what to do about it, or None if it can."""
        return refuse_weights(layer)

    def make_optimizer(self, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Make the optimizer that the rule is defined for: SGD without momentum.

        Args:
            learning_rate: eta; that of the rule by default.

        Returns:
            The optimizer over the parameters of the layer.

        Raises:
            TypeError: ``learning_rate`` is not a number.
            ValueError: ``learning_rate`` is negative or not finite.
        """
        rate = self.learning_rate if learning_rate is None else learning_rate
        return torch.optim.SGD(self.parameters(), lr=arguments.real("learning_rate", rate))


class RateRule(PlasticityRule):
    """A rule on rates: ``rule(x)`` or ``rule(x, y)``, with one step for a batch of samples.

    ``rule(x)`` runs the layer on x [B, N] and takes x as presynaptic and the output as postsynaptic
    activity. With several loops the terms are summed over the loops: the state before a loop is
    presynaptic, the state after it postsynaptic. ``rule(x, y)`` takes y as postsynaptic activity
    and does not run the layer. For an ``nn.Linear``, x is [B, in_features] and y
    [B, out_features].

    Both return the postsynaptic activity, after the last loop, without a gradient.

    Args:
        layer: A :class:`~sparsebrain.GraphLayer` with a number of loops, or an ``nn.Linear``.

    Raises:
        TypeError: ``layer`` is neither, or x or y is not a dense tensor of the layer's dtype.
        ValueError: The rule cannot train the layer, a shape is wrong, a value is not finite, or the
            layer's output is not.
    """

    layer: Weighted

    def __init__(self, layer: Weighted) -> None:
        if not isinstance(layer, Weighted):
            raise TypeError(
                f"layer must be a GraphLayer or an nn.Linear, got {arguments.described(layer)}; "
                "pass sparsebrain.GraphLayer(connectome)"
            )
        super().__init__(layer)

    @classmethod
    def refusal(cls, layer: Plastic) -> str | None:
        """Return why the rule cannot train a layer and what to do about it, or None if it can."""
        if isinstance(layer, GraphLayer) and isinstance(layer.loops, Equilibrium):
            return "an Equilibrium has no loops to sum the terms over; use loops=8."
        if isinstance(layer, GraphLayer) and layer.form == "voltage" and layer.activation != "none":
            return (
                "its states are potentials, and the rule multiplies the rates at both ends; make "
                "the layer with form='rate'."
            )
        return super().refusal(layer)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Add minus the update to ``.grad``; the class describes shapes and results."""
        layer = self.layer
        width = layer.in_features if isinstance(layer, nn.Linear) else layer.num_nodes
        check_activity("x", x, ("B", width), layer)
        if not len(x):
            raise ValueError("x must hold at least one sample, got none; pass a batch of one")
        if y is not None:
            check_activity("y", y, (len(x), out_width(layer)), layer)
        states = self.run(x) if y is None else [x.detach(), y.detach()]
        if y is None and not bool(states[-1].isfinite().all()):
            raise ValueError(
                "the output of the layer for x is not finite, because its weights have grown "
                "without bound; use a lower learning rate, a bounded activation such as 'tanh', or "
                "a rule that limits its weights, such as Oja"
            )
        self.learn(states)
        return states[-1]

    @torch.no_grad()
    def run(self, x: Tensor) -> list[Tensor]:
        """Run the layer on x [B, N], unchecked; return its states from x(0) to the output."""
        if isinstance(self.layer, nn.Linear):
            return [x.detach(), self.layer(x)]
        return list(self.layer(x, return_states=True)[1])

    @torch.no_grad()
    def learn(self, states: Sequence[Tensor]) -> None:
        """Add minus the update for states [B, N], from before the first loop to after the last."""
        samples = len(states[0])
        pre = states[0] if len(states) == 2 else torch.cat([*states[:-1]])
        post = states[1] if len(states) == 2 else torch.cat([*states[1:]])
        add_to_grad(self.layer, self.updates(pre, post, samples))

    @abstractmethod
    def updates(self, pre: Tensor, post: Tensor, samples: int) -> Tensor:
        """Return the update of every synapse, [E], or of every weight of an ``nn.Linear``.

        Args:
            pre: The presynaptic activities [loops * B, N].
            post: The postsynaptic activities [loops * B, N].
            samples: B, by which the sums are divided.
        """


class TargetRule(RateRule):
    r"""A rule with :math:`\Delta w = \eta (g(y) x - d w)`, where g and d are of the target."""

    def updates(self, pre: Tensor, post: Tensor, samples: int) -> Tensor:
        """Return the update of every synapse, with one ``correlate``."""
        factor, decay = self.factors(post, samples)
        found = correlate(self.layer, factor, pre) / samples
        if decay is not None:
            layer = self.layer
            weight = layer.weight if isinstance(layer, nn.Linear) else layer.weight_per_synapse()
            found -= per_target(layer, decay) * weight
        return found

    @abstractmethod
    def factors(self, post: Tensor, samples: int) -> tuple[Tensor, Tensor | None]:
        """Return g [loops * B, N], and d [N], or None for 0.

        Args:
            post: The postsynaptic activities y [loops * B, N].
            samples: B; d is summed over the loops and averaged over the samples.
        """
