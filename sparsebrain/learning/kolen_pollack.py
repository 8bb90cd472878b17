"""Kolen-Pollack: the weights of the way back learn what those of the way forward do."""

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
    r"""Errors come back through weights B that take the same steps and decay as W.

    .. math:: \delta_l = B_{l+1} \delta_{l+1} \odot f'(u_l), \qquad
        \Delta W_l = -\eta (\delta_l x_{l-1}^T + \lambda W_l), \qquad
        \Delta B_l = -\eta (x_{l-1} \delta_l^T + \lambda B_l)

    Under SGD with weight decay :math:`\lambda` the difference :math:`W - B^T` shrinks by the factor
    :math:`1 - \eta \lambda` a step; without decay it stays what it was. B is a parameter of the
    rule that gets the gradient of W, so that every optimizer of torch gives both the same step, and
    the same decay if it has one: give it ``rule.parameters()``.

    Under ``dale=True`` and other parametrisations B is parametrised as W is, its magnitudes take
    the same steps, and its signs are those of W. Models and loops are those of
    :class:`~sparsebrain.learning.FeedbackAlignment`; frozen weights have a frozen B.

    Args:
        model: of nn.Linear and GraphLayer, with whatever acts unit by unit between them.
        loss: "cross-entropy" or "quadratic".
        generator: draws B at first; torch's own by default.

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
        """Why not: as for feedback alignment, or a weight has several parameters or layers."""
        several = filter(None, map(_refuse_parametrisation, model.modules()))
        return super().refusal(model) or next(several, None) or _refuse_tied(model)

    def make_optimizer(self, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Make the optimizer that comparisons use: AdamW, with a decay of 0.5 for W and B alone."""
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
        """Each layer sends back what B makes of its error, and B is its twin."""
        ways = {}
        for layer, free in zip(self.layers.values(), self.feedback, strict=True):
            feedback: Tensor = free
            for each in _parametrisations(layer):
                feedback = each(feedback)
            feedback = per_synapse(layer, feedback)
            learns = layer.weight.requires_grad
            credit = partial(back_through, layer, feedback.detach())
            ways[layer] = WayBack(credit, feedback if learns else None)
        return ways


def _parametrisations(module: nn.Module) -> Iterable[nn.Module]:
    """What makes the module's weight of its parameter, in order."""
    if not parametrize.is_parametrized(module, "weight"):
        return ()
    return cast(parametrize.ParametrizationList, module.get_submodule("parametrizations.weight"))


def _refuse_parametrisation(module: nn.Module) -> str | None:
    if getattr(_parametrisations(module), "is_tensor", True):
        return None
    return (
        f"the weight of a {type(module).__name__} is made of several parameters, and feedback "
        "weights can follow one; leave out the parametrisation, or use learning.FeedbackAlignment."
    )


def _refuse_tied(model: nn.Module) -> str | None:
    # By what makes it, as the weight itself is made anew at every call where it is made of others.
    found: dict[Tensor, str] = {}
    for name, layer in weighted_layers(model).items():
        tied = parametrize.is_parametrized(layer, "weight")
        weight = layer.get_parameter("parametrizations.weight.original") if tied else layer.weight
        other = found.setdefault(weight, name)
        if other != name:
            return (
                f"{other} and {name} have the same weight, which would take the steps of both, and "
                "the feedback weights of each those of one; call one layer twice in the model, or "
                "use learning.WeightMirror."
            )
    return None
