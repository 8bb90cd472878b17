"""Sign-symmetry: errors are propagated through weights that have only the signs of W^T."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from graphs import arguments
from sparsebrain.learning.alignment import FeedbackRule, WayBack, back_through, per_synapse
from sparsebrain.learning.credit import Weighted


class SignSymmetry(FeedbackRule):
    r"""Sign-symmetry: errors are propagated through weights with the signs of W^T.

    .. math:: \delta_l = (\mathrm{sign}(W_{l+1})^T \odot |B_{l+1}|) \delta_{l+1} \odot f'(u_l)

    The signs are the current ones; the magnitudes are fixed. A weight of zero sends nothing back.
    With ``dale=True`` no sign ever changes, so that the backward weights are fixed as well. Models
    and loops are those of :class:`~sparsebrain.learning.FeedbackAlignment`.

    Args:
        model: A model of nn.Linear and GraphLayer, with elementwise modules between them.
        loss: "cross-entropy" or "quadratic" for labels, or "mse" for targets.
        uniform: Use one magnitude for all weights of a layer, their initial root mean square. (The
            uniform signs of the source have magnitude 1, which multiplies the errors of all lower
            layers by one factor per layer.)
        generator: The generator that draws the magnitudes; torch's global one by default.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: The rule cannot train the model, or ``loss`` is unknown.

    Source: Q. Liao, J. Z. Leibo, T. Poggio, "How important is weight symmetry in backpropagation?",
    AAAI (2016).

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
        """Return backward passes with the fixed magnitudes and the current signs."""
        ways = {}
        for layer, feedback in zip(self.layers.values(), self.feedback, strict=True):
            signed = layer.weight.detach().sign() * feedback.abs()
            ways[layer] = WayBack(partial(back_through, layer, per_synapse(layer, signed)))
        return ways

    def extra_repr(self) -> str:
        """Return the loss, and whether magnitudes are uniform."""
        return super().extra_repr() + (", uniform=True" if self.uniform else "")
