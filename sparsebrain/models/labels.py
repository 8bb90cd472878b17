"""A check of labels, with one wording for models and rules of learning."""

from __future__ import annotations

import torch
from torch import Tensor

from graphs import tensors


def check_labels(scores: Tensor, labels: Tensor) -> None:
    """TypeError or ValueError unless labels [B] int64 name columns of scores [B, classes]."""
    if not isinstance(scores, Tensor):
        raise TypeError(
            f"the model must give scores [B, classes], got {type(scores).__name__}; wrap it in a "
            "module that returns these alone."
        )
    if scores.dim() != 2:
        raise ValueError(
            f"the model must give scores [B, classes] for labels y [B], got {list(scores.shape)}; "
            "pass samples x [B, ...]"
        )
    fix = "pass y.argmax(-1) for one-hot labels"
    tensors.tensor("y", labels, tuple(scores.shape[:1]), dtypes=(torch.int64,), fix=fix)
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < scores.size(1):
        raise ValueError(
            f"y must lie in 0..{scores.size(1) - 1}, the columns of the model's scores, got "
            f"{int(labels.min())}..{int(labels.max())}; number classes from 0, and pass "
            f"num_classes={int(labels.max()) + 1} to the model"
        )
