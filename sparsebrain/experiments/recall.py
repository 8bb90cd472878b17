"""Delayed recall: what was seen once has to be told after a while."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphs import arguments

NOT_ASKED = -100
"""The label of steps at which nothing is asked: what torch's cross-entropy leaves out."""


class Recall(NamedTuple):
    """Sequences ``x`` [B, delay + 2, cues + 1] float32, and labels ``y`` [B, delay + 2] int64."""

    x: Tensor
    y: Tensor


def delayed_recall(
    samples: int, *, cues: int = 4, delay: int = 10, noise: float = 0.5, seed: int = 0
) -> Recall:
    """Make sequences whose first step is a cue, which has to be told at the last.

    At step 0 one of the first ``cues`` channels is 1. For ``delay`` steps these channels then hold
    normal noise, which has nothing to do with it. At the last step the last channel alone is 1:
    tell the cue. All sequences are equal there, so that a model without a memory gives them one
    answer, and of labels as balanced as they are here just 1 / cues is right.

    Args:
        samples: sequences, at least 1; each cue is as frequent as the others, up to one.
        cues: at least 2.
        delay: steps between cue and question, at least 0.
        noise: standard deviation, not negative.
        seed: the same one gives the same sequences.

    Returns:
        The sequences, batch first, and their labels, :data:`NOT_ASKED` at all steps but the last.

    Raises:
        ValueError, TypeError: an argument that is none of these.

    Example:
        >>> from sparsebrain.experiments.recall import delayed_recall
        >>> x, y = delayed_recall(8, cues=2, delay=3)
        >>> x[0, 0].tolist(), x[0, -1].tolist()
        ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
        >>> y[0].tolist()
        [-100, -100, -100, -100, 0]
    """
    samples = arguments.count("samples", samples, at_least=1)
    cues, delay = (
        arguments.count("cues", cues, at_least=2),
        arguments.count("delay", delay, at_least=0),
    )
    if not 0 <= noise < float("inf"):
        raise ValueError(f"noise must be a number of at least 0, got {noise!r}.")
    draw = torch.Generator().manual_seed(seed)
    cue = (torch.arange(samples) % cues)[torch.randperm(samples, generator=draw)]
    x = torch.zeros(samples, delay + 2, cues + 1)
    x[torch.arange(samples), 0, cue] = 1
    x[:, 1:-1, :cues] = noise * torch.randn(samples, delay, cues, generator=draw)
    x[:, -1, cues] = 1
    y = torch.full((samples, delay + 2), NOT_ASKED)
    y[:, -1] = cue
    return Recall(x, y)
