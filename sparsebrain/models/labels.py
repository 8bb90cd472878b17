"""Checks of labels, with the same messages for models and learning rules."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from graphs import tensors


def check_label_tensor(labels: Any) -> None:
    """Check that labels are a tensor [B] int64 with values, before the model runs.

    Raises:
        TypeError: They are not a dense int64 tensor.
        ValueError: They are not one-dimensional, or have no values.
    """
    fix = "flatten one-hot labels with y.argmax(-1), and pass one label as y.reshape(1)"
    tensors.tensor("y", labels, ("B",), dtypes=(torch.int64,), fix=fix)


def check_labels(scores: Tensor, labels: Tensor) -> None:
    """Check that labels [B] int64 name columns of the model's scores [B, classes].

    Raises:
        TypeError: The scores are not a tensor, or the labels are not a dense int64 tensor.
        ValueError: The shapes do not fit each other, or a label is out of range.
    """
    if not isinstance(scores, Tensor):
        raise TypeError(
            f"the model must give scores [B, classes], got {type(scores).__name__}; wrap it in a "
            "module that returns these alone."
        )
    check_label_tensor(labels)
    if scores.dim() != 2:
        raise ValueError(
            f"the model must give scores [B, classes] for labels y [B], got {list(scores.shape)} "
            f"for {list(labels.shape)}; pass x [B, features] to a model that ends in one score per "
            "class."
        )
    if len(labels) != len(scores):
        raise ValueError(
            f"y must hold one label for each sample of x, got {len(labels)} labels y and scores "
            f"{list(scores.shape)}; pass x and y of the same {len(scores)} samples."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < scores.size(1):
        raise ValueError(
            f"y must lie in 0..{scores.size(1) - 1}, the columns of the model's scores, got "
            f"{int(labels.min())}..{int(labels.max())}; number classes from 0, and make the model "
            "with as many num_classes."
        )


def check_target_tensor(targets: Any) -> None:
    """Check that targets are a tensor [B, outputs] of finite numbers, before the model runs.

    Raises:
        TypeError: They are not a dense tensor of float32 or float64.
        ValueError: They are not two-dimensional, or a value is not finite.
    """
    fix = "pass the targets of a single output as y[:, None], and labels with another loss"
    tensors.tensor("y", targets, ("B", "outputs"), finite=True, fix=fix)


def check_targets(scores: Tensor, targets: Tensor) -> None:
    """Check that targets [B, outputs] have the shape and the dtype of the model's output.

    Raises:
        TypeError: The output is not a tensor, or the dtypes differ.
        ValueError: The shapes differ.
    """
    if not isinstance(scores, Tensor):
        raise TypeError(
            f"the model must give outputs [B, outputs], got {type(scores).__name__}; wrap it in a "
            "module that returns these alone."
        )
    if scores.shape != targets.shape:
        raise ValueError(
            f"y must have the shape {list(scores.shape)} of the model's output, got "
            f"{list(targets.shape)}; pass one row of targets for each sample of x."
        )
    if scores.dtype != targets.dtype:
        raise TypeError(
            f"y must have the dtype {scores.dtype} of the model's output, got {targets.dtype}; "
            f"pass y.to({scores.dtype})."
        )
