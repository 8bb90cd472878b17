"""The losses: distances between the output of a model and labels or targets."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from graphs import arguments
from sparsebrain.models.labels import check_labels, check_targets

Loss = Callable[[Tensor, Tensor], Tensor]


def quadratic(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of 1/2 |scores - onehot|^2 over samples, with error scores - onehot."""
    wanted = functional.one_hot(labels, scores.size(-1)).to(scores.dtype)
    return 0.5 * (scores - wanted).square().sum(-1).mean()


#: Losses by name: functions of scores [B, classes] and labels [B] int64, means over the batch.
LOSSES: dict[str, Loss] = {"cross-entropy": functional.cross_entropy, "quadratic": quadratic}


#: The same for targets [B, outputs] in place of labels.
TARGET_LOSSES: dict[str, Loss] = {"mse": functional.mse_loss}


def find_loss(name: str) -> Loss:
    """Return the loss of that name, of labels or targets; ValueError if there is none."""
    arguments.option("loss", name, [*LOSSES, *TARGET_LOSSES])
    return {**LOSSES, **TARGET_LOSSES}[name]


def find_label_loss(name: str) -> Loss:
    """Return the loss of labels of that name; ValueError if there is none."""
    arguments.option("loss", name, LOSSES)
    return LOSSES[name]


def is_of_targets(loss: object) -> bool:
    """Return whether a loss compares the output with targets instead of labels."""
    return any(loss is each for each in TARGET_LOSSES.values())


def check_fit(loss: Loss, scores: Tensor, y: Tensor) -> None:
    """Check that labels or targets fit the output of a model.

    Args:
        loss: The loss that compares them.
        scores: The output [B, classes] or [B, outputs].
        y: Labels [B] int64, or targets [B, outputs].

    Raises:
        TypeError: ``y`` has the wrong dtype.
        ValueError: The shapes do not fit, or a label is out of range.
    """
    if is_of_targets(loss):
        check_targets(scores, y)
    else:
        check_labels(scores, y)
