"""The losses: distances between class scores and labels."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from graphs import arguments

Loss = Callable[[Tensor, Tensor], Tensor]


def quadratic(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of 1/2 |scores - onehot|^2 over samples, with error scores - onehot."""
    wanted = functional.one_hot(labels, scores.size(-1)).to(scores.dtype)
    return 0.5 * (scores - wanted).square().sum(-1).mean()


#: Losses by name: functions of scores [B, classes] and labels [B] int64, means over the batch.
LOSSES: dict[str, Loss] = {"cross-entropy": functional.cross_entropy, "quadratic": quadratic}


def find_loss(name: str) -> Loss:
    """Return the loss of that name; ValueError if there is none."""
    arguments.option("loss", name, LOSSES)
    return LOSSES[name]
