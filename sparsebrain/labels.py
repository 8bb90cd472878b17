"""A check of labels, with one wording for models and rules of learning."""

from __future__ import annotations

from torch import Tensor


def check_labels(scores: Tensor, labels: Tensor) -> None:
    """TypeError or ValueError unless labels [B] name columns of scores [B, classes]."""
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(f"y must hold class numbers, got {labels.dtype}; pass y.long().")
    if scores.dim() != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"the model must give scores [B, classes] for labels y [B], got {list(scores.shape)} "
            f"and {list(labels.shape)}; flatten one-hot labels with y.argmax(-1)."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < scores.size(1):
        raise ValueError(
            f"y must lie in 0..{scores.size(1) - 1}, the columns of the model's scores, got "
            f"{int(labels.min())}..{int(labels.max())}; make the model with more num_classes."
        )
