"""Features that are learned without labels, under a linear readout that is learned with them."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from sparsebrain.equilibrium import Equilibrium
from sparsebrain.learning import Rule
from sparsebrain.learning.blocks import Block, refuse_unordered, split, through
from sparsebrain.learning.losses import check_fit, find_loss
from sparsebrain.models import classifier
from sparsebrain.plasticity.bcm import BCM
from sparsebrain.plasticity.hebb import Hebb
from sparsebrain.plasticity.oja import Oja
from sparsebrain.plasticity.plasticity_rule import RateRule


class RandomFeatures(Rule):
    """Random features: only the last layer learns, from the labels, by the delta rule.

    All other weights keep their initial values. This is the baseline for rules without labels:
    their features are worth something only where they are better than these.

    Args:
        model: A model of nn.Linear and GraphLayer in an ``nn.Sequential`` that ends in an
            nn.Linear, as :func:`sparsebrain.models.classifier` makes it.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or ``loss`` is unknown.

    Example:
        >>> import torch
        >>> from sparsebrain.learning import RULES
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 3))
        >>> rule = RULES["random-features"](model)
        >>> loss = rule(torch.randn(32, 8), torch.randint(3, (32,)))
        >>> model[0].weight.grad is None, model[1].weight.grad is None
        (True, False)
    """

    learning_rate = 0.1

    #: The rule of the layers before the last one, or None.
    plasticity: ClassVar[type[RateRule] | None] = None

    #: The learning rate of these layers, relative to that of the last one.
    ratio: ClassVar[float] = 0.0

    def __init__(self, model: nn.Module, *, loss: str = "cross-entropy") -> None:
        super().__init__(model)
        self.loss = find_loss(loss)
        *self.features, self.readout = split(model)
        kind = type(self).plasticity
        learning = [] if kind is None else [kind(block.layer) for block in self.features]
        self.rules = nn.ModuleList(learning)

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return why the model is refused: the order of its layers, or what they are."""
        reason = refuse_unordered(model)
        if reason is not None:
            return reason
        *features, readout = split(model)
        if not isinstance(readout.layer, nn.Linear):
            return "it does not end in a linear readout; append an nn.Linear."
        kind = cls.plasticity
        reasons = [] if kind is None else [kind.refusal(block.layer) for block in features]
        return next(filter(None, reasons), None)

    @classmethod
    def _around(
        cls, connectome: Data, in_features: int, num_classes: int, loops: int | Equilibrium
    ) -> nn.Module:
        # Without a bounded activation in the loops, Hebb's rule makes the states grow at each loop.
        return classifier(
            connectome, num_classes, loops=loops, in_features=in_features, loop_activation="tanh"
        )

    def make_optimizer(self, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Make the optimizer of comparisons: SGD, with momentum for the last layer only.

        Args:
            learning_rate: The learning rate of the last layer; that of the rule by default. The
                rate of all other layers is ``ratio`` times as high.

        Returns:
            The optimizer over ``rule.parameters()``.
        """
        rate = self._rate(learning_rate)
        last = [*self.readout.layer.parameters()]
        others = [each for each in self.parameters() if all(each is not one for one in last)]
        groups: list[dict[str, Any]] = [
            {"params": last, "momentum": 0.9},
            {"params": others, "lr": rate * self.ratio},
        ]
        return torch.optim.SGD(groups, lr=rate)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Run the model on x [B, ...] with labels y [B], fill gradients, and return the loss."""
        with torch.no_grad():
            for place, block in enumerate(self.features):
                x = through(block.before, x)
                x = self._learn(place, block, x) if len(self.rules) else _run(block, x)
            if not self.features:
                x = through(self.readout.before, x)
        scores = through([self.readout.layer, *self.readout.after], x)
        check_fit(self.loss, scores, y)
        loss = self.loss(scores, y)
        loss.backward()
        return loss.detach()

    def _learn(self, place: int, block: Block, x: Tensor) -> Tensor:
        """Run a block, add the update of its layer, and return the output."""
        rule = self.rules[place]
        assert isinstance(rule, RateRule)
        states = rule.run(x)
        width = states[-1].shape
        x = activity = states[-1]
        following = True
        for module in block.after:
            x = module(x)
            following = following and x.shape == width
            activity = x if following else activity
        # Loops have no normalization between them, so their own states are the activities.
        rule.learn([states[0], activity] if isinstance(block.layer, nn.Linear) else states)
        return x


class HebbFeatures(RandomFeatures):
    """Features by :class:`Hebb`: all layers but the last learn from their activities alone.

    Presynaptic is the input of a layer. Postsynaptic is the output of the normalization and
    activation that follow an nn.Linear, and the state after each loop of a GraphLayer. The last
    layer learns from the labels, by the delta rule.

    Args:
        model: A model of nn.Linear and GraphLayer in an ``nn.Sequential`` that ends in an
            nn.Linear, as :func:`sparsebrain.models.classifier` makes it.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or ``loss`` is unknown.
    """

    plasticity: ClassVar[type[RateRule] | None] = Hebb
    ratio = 0.01


class OjaFeatures(HebbFeatures):
    """Features by :class:`Oja`; everything else is as for the rule "hebb"."""

    plasticity = Oja
    ratio = 0.01


class BCMFeatures(HebbFeatures):
    """Features by :class:`BCM`; everything else is as for the rule "hebb"."""

    plasticity = BCM
    ratio = 0.01


def _run(block: Block, x: Tensor) -> Tensor:
    return through([block.layer, *block.after], x)
