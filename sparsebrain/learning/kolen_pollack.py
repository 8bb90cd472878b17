"""Kolen-Pollack learning: feedback weights take the same steps as the forward weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparsebrain.learning.alignment import FeedbackRule, WayBack, back_through, per_synapse
from sparsebrain.learning.credit import Weighted, weighted_layers


class KolenPollack(FeedbackRule):
    r"""Kolen-Pollack learning: feedback weights B take the same steps and decay as W.

    .. math:: \delta_l = B_{l+1} \delta_{l+1} \odot f'(u_l), \qquad
        \Delta W_l = -\eta (\delta_l x_{l-1}^T + \lambda W_l), \qquad
        \Delta B_l = -\eta (x_{l-1} \delta_l^T + \lambda B_l)

    Under SGD with weight decay :math:`\lambda`, the difference :math:`W - B^T` shrinks by the
    factor :math:`1 - \eta \lambda` per step; without decay it is constant. B is a parameter of the
    rule and receives the gradient of W, so that every torch optimizer gives both the same step and
    the same decay: make the optimizer over ``rule.parameters()``.

    With ``dale=True`` and other parametrizations, B has the parametrization of W: its magnitudes
    take the same steps, and its signs are those of W. Frozen weights have a frozen B. Models and
    loops are those of :class:`~sparsebrain.learning.FeedbackAlignment`.

    Args:
        model: A model of nn.Linear and GraphLayer, with elementwise modules between them.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.
        generator: The generator that draws the initial B; torch's global one by default.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or ``loss`` is unknown.

    Source: J. F. Kolen, J. B. Pollack, "Backpropagation without weight transport", IEEE
    International Conference on Neural Networks (1994), in the form of M. Akrout, C. Wilson, P. C.
    Humphreys, T. Lillicrap, D. B. Tweed, "Deep learning without weight transport", NeurIPS (2019).

    Example:
        >>> import torch
        >>> from sparsebrain.learning import KolenPollack
        >>> _ = torch.manual_seed(0)
        >>> hidden, out = torch.nn.Linear(8, 16), torch.nn.Linear(16, 3)
        >>> rule = KolenPollack(torch.nn.Sequential(hidden, torch.nn.Tanh(), out))
        >>> optimizer = torch.optim.SGD(rule.parameters(), lr=0.1, weight_decay=0.5)
        >>> before = (out.weight - rule.feedback[1]).norm()
        >>> loss = rule(torch.randn(32, 8), torch.randint(3, (32,)))
        >>> optimizer.step()
        >>> after = (out.weight - rule.feedback[1]).norm()
        >>> round((after / before).item(), 4)  # 1 - 0.1 * 0.5
        0.95
    """

    feedback_learns = True

    @classmethod
    def refusal(cls, model: nn.Module) -> str | None:
        """Return why the model is refused: as by FeedbackAlignment, or tied weights."""
        several = filter(None, map(_refuse_parametrization, model.modules()))
        return super().refusal(model) or next(several, None) or _refuse_tied(model)

    def make_optimizer(self, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Make the optimizer used in comparisons: AdamW, with a decay of 0.5 for W and B only."""
        rate = self._rate(learning_rate)
        biases = {layer.bias for layer in self.layers.values()}
        weights = {p for layer in self.layers.values() for p in layer.parameters()} - biases
        decaying = weights | {*self.feedback}
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.parameters() if p in decaying], "weight_decay": 0.5},
            {"params": [p for p in self.parameters() if p not in decaying]},
        ]
        return torch.optim.AdamW(groups, lr=rate, weight_decay=0.0)

    def ways_back(self, error: list[Tensor]) -> Mapping[Weighted, WayBack]:
        """Return backward passes along B, each with B as the twin of the layer's weights."""
        ways = {}
        for layer, free in zip(self.layers.values(), self.feedback, strict=True):
            feedback: Tensor = free
            for each in _parametrizations(layer):
                feedback = each(feedback)
            feedback = per_synapse(layer, feedback)
            learns = layer.weight.requires_grad
            credit = partial(back_through, layer, feedback.detach())
            ways[layer] = WayBack(credit, feedback if learns else None)
        return ways


def _parametrizations(module: nn.Module) -> Iterable[nn.Module]:
    """Return the parametrizations of the module's weight, in order."""
    if not parametrize.is_parametrized(module, "weight"):
        return ()
    return cast(parametrize.ParametrizationList, module.get_submodule("parametrizations.weight"))


def _refuse_parametrization(module: nn.Module) -> str | None:
    if getattr(_parametrizations(module), "is_tensor", True):
        return None
    return (
        f"the weight of a {type(module).__name__} is computed from several parameters, and "
        "feedback weights can follow only one; remove the parametrization, or use "
        "learning.FeedbackAlignment."
    )


def _refuse_tied(model: nn.Module) -> str | None:
    # Compare the underlying parameters: a parametrized weight is a new tensor at every access.
    found: dict[Tensor, str] = {}
    for name, layer in weighted_layers(model).items():
        tied = parametrize.is_parametrized(layer, "weight")
        weight = layer.get_parameter("parametrizations.weight.original") if tied else layer.weight
        other = found.setdefault(weight, name)
        if other != name:
            return (
                f"{other} and {name} have the same weight, which would take the steps of both, "
                "while the feedback weights of each would take those of one; call one layer twice "
                "in the model, or use learning.WeightMirror."
            )
    return None
