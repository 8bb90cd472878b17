"""Sign-symmetry: the way back knows the signs of the weights, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from graphs import arguments
from sparsebrain.learning.alignment import FeedbackRule, WayBack, back_through, per_synapse
from sparsebrain.learning.credit import Weighted


class SignSymmetry(FeedbackRule):
    r"""Errors come back through weights with the signs of W^T, and magnitudes of their own.

    .. math:: \delta_l = (\mathrm{sign}(W_{l+1})^T \odot |B_{l+1}|) \delta_{l+1} \odot f'(u_l)

    Signs are those of the step, magnitudes stay. A weight of zero sends nothing back. With
    ``dale=True`` no sign ever changes, so that the way back is fixed as well. Models and loops are
    those of :class:`~sparsebrain.learning.FeedbackAlignment`.

    Args:
        model: of nn.Linear and GraphLayer, with whatever acts unit by unit between them.
        loss: "cross-entropy" or "quadratic".
        uniform: one magnitude for all weights of a layer, as large as these are at first. (The
            source's uniform signs are of magnitude 1: for each layer a factor on the errors of all
            that lie below it.)
        generator: draws the magnitudes; torch's own by default.

    Source: Q. Liao, J. Z. Leibo, T. Poggio, "How important is weight symmetry in
    backpropagation?", AAAI (2016).

    Example:
        >>> import torch
        >>> from sparsebrain.learning import SignSymmetry
        >>> _ = torch.manual_seed(0)
        >>> hidden, out = torch.nn.Linear(8, 16), torch.nn.Linear(16, 3)
        >>> rule = SignSymmetry(torch.nn.Sequential(hidden, torch.nn.Tanh(), out))
        >>> rule.alignment(torch.randn(32, 8), torch.randint(3, (32,)))["2"] < 60
        True
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: str = "cross-entropy",
        uniform: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        arguments.flag("uniform", uniform)
        super().__init__(model, loss=loss, generator=generator)
        self.uniform = uniform
        for feedback in self.feedback:
            feedback.copy_(feedback.square().mean().sqrt() if uniform else feedback.abs())

    def ways_back(self, error: list[Tensor]) -> Mapping[Weighted, WayBack]:
        """Each layer sends back what the magnitudes and its signs of now make of its error."""
        ways = {}
        for layer, feedback in zip(self.layers.values(), self.feedback, strict=True):
            signed = layer.weight.detach().sign() * feedback.abs()
            ways[layer] = WayBack(partial(back_through, layer, per_synapse(layer, signed)))
        return ways

    def extra_repr(self) -> str:
        """The loss, and whether magnitudes are uniform."""
        return super().extra_repr() + (", uniform=True" if self.uniform else "")
