"""Reward prediction errors: the difference between a reward and its running average."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from graphs import arguments, tensors


class RewardPrediction(nn.Module):
    r"""The error of a running prediction of rewards, which dopamine neurons signal.

    .. math:: \delta = r - V, \qquad V \leftarrow V + \alpha \delta

    If r is -1 with probability p and 0 otherwise, V tends to -p, so that :math:`E[\delta]` is
    -(1 - p) after a -1 and +p after a 0: an expected punishment that does not come is a reward. The
    standard deviation of V is :math:`\sqrt{\alpha p (1 - p) / (2 - \alpha)}`.

    Args:
        alpha: The share of the error that moves the prediction, above 0 and at most 1.
        value: The prediction before the first reward.

    Attributes:
        value: V, a buffer, with one value for each sequence of the last call.

    Shape:
        ``prediction(rewards)``: rewards [T, ...], float32 or float64, one row after the other ->
        errors [T, ...]. All calls must have the same number of sequences (...).

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument is out of range.

    Source: R. A. Rescorla, A. R. Wagner, "A theory of Pavlovian conditioning", in "Classical
    conditioning II", Appleton-Century-Crofts (1972) 64-99. In singing birds: V. Gadagkar et al.,
    Science 354 (2016) 1278-1282.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import RewardPrediction
        >>> prediction = RewardPrediction(alpha=0.5)
        >>> prediction(torch.tensor([1.0, 1.0, 0.0]))
        tensor([ 1.0000,  0.5000, -0.7500])
        >>> prediction.value
        tensor(0.3750)
    """

    value: Tensor

    def __init__(self, alpha: float = 0.1, *, value: float = 0.0) -> None:
        super().__init__()
        self.alpha = arguments.real("alpha", alpha, positive=True, at_most=1)
        sign = -1.0 if isinstance(value, int | float) and value < 0 else 1.0
        start = sign * arguments.real("value", abs(value) if sign < 0 else value)
        self.register_buffer("value", torch.tensor(start))

    @torch.no_grad()
    def forward(self, rewards: Tensor) -> Tensor:
        """Return the errors [T, ...] of rewards, and move the prediction after each."""
        dims = rewards.dim() if isinstance(rewards, Tensor) else 1
        shape = ("T", *(f"sequences {axis}" for axis in range(1, dims)))
        tensors.tensor("rewards", rewards, shape, finite=True)
        value = self.value.to(rewards)
        if value.dim() and value.shape != rewards.shape[1:]:
            raise ValueError(
                f"rewards must be of shape [T, {', '.join(map(str, value.shape))}], as in the "
                f"first call, got {list(rewards.shape)}; make another RewardPrediction for them"
            )
        errors = torch.empty_like(rewards)
        for reward, error in zip(rewards, errors, strict=True):
            torch.sub(reward, value, out=error)
            value = value + self.alpha * error
        self.value = value.clone()
        return errors

    def spread(self, probability: float) -> float:
        r"""Return the standard deviation of V for rewards of two values that are 1 apart.

        Args:
            probability: The probability of one of the values.

        Raises:
            TypeError: ``probability`` is not a number.
            ValueError: ``probability`` is not in [0, 1].
        """
        p = arguments.real("probability", probability, at_most=1)
        return math.sqrt(self.alpha * p * (1 - p) / (2 - self.alpha))

    def extra_repr(self) -> str:
        """Return alpha."""
        return f"alpha={self.alpha:g}"
