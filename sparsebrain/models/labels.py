"""A check of labels, with one wording for models and rules of learning."""

from __future__ import annotations

import torch
from torch import Tensor


def check_labels(scores: Tensor, labels: Tensor) -> None:
    """TypeError or ValueError unless labels [B] int64 name columns of scores [B, classes]."""
    if not isinstance(scores, Tensor):
        raise TypeError(
            f"the model must give scores [B, classes], got {type(scores).__name__}; wrap it in a "
            "module that returns these alone."
        )
    if labels.dtype != torch.int64:
        raise TypeError(f"y must hold class numbers, got {labels.dtype}; pass y.long().")
    if scores.dim() != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"the model must give scores [B, classes] for labels y [B], got {list(scores.shape)} "
            f"and {list(labels.shape)}; flatten one-hot labels with y.argmax(-1)."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < scores.size(1):
        raise ValueError(
            f"y must lie in 0..{scores.size(1) - 1}, the columns of the model's scores, got "
            f"{int(labels.min())}..{int(labels.max())}; number classes from 0, and make the model "
            "with as many num_classes."
        )
