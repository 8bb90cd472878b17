"""Delayed recall: a cue has to be reported after a delay."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphs import arguments
from sparsebrain.experiments import options

NOT_ASKED = -100
"""The label of steps without a question, which torch's cross-entropy ignores."""

MOST_NUMBERS = 2**31
"""The largest number of elements of the sequences."""


class Recall(NamedTuple):
    """Sequences and their labels.

    Attributes:
        x: Sequences [B, delay + 2, cues + 1], float32.
        y: Labels [B, delay + 2], int64.
    """

    x: Tensor
    y: Tensor


def delayed_recall(
    samples: int, *, cues: int = 4, delay: int = 10, noise: float = 0.5, seed: int = 0
) -> Recall:
    """Generate sequences that start with a cue, which is the label of the last step.

    At step 0 one of the first ``cues`` channels is 1. For ``delay`` steps these channels then hold
    independent normal noise. At the last step only the last channel is 1, which asks for the cue.
    Because the last step is the same in all sequences and the labels are balanced, a model without
    memory is right for a share of 1 / cues.

    Args:
        samples: Number of sequences B, at least 1; the frequencies of cues differ by at most one.
        cues: Number of cues, at least 2.
        delay: Number of steps between cue and question, at least 0.
        noise: Standard deviation of the noise, at least 0.
        seed: Random seed, at least 0.

    Returns:
        The sequences and their labels, which are :data:`NOT_ASKED` at all steps but the last.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.

    Example:
        >>> from sparsebrain.experiments.recall import delayed_recall
        >>> x, y = delayed_recall(8, cues=2, delay=3)
        >>> x[0, 0].tolist(), x[0, -1].tolist()
        ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
        >>> y[0].tolist()
        [-100, -100, -100, -100, 0]
    """
    samples = arguments.count("samples", samples, at_least=1, at_most=MOST_NUMBERS)
    cues = arguments.count("cues", cues, at_least=2, at_most=MOST_NUMBERS)
    delay = arguments.count("delay", delay, at_most=MOST_NUMBERS)
    noise = arguments.real("noise", noise)
    draw = torch.Generator().manual_seed(options.seed("seed", seed))
    if samples * (delay + 2) * (cues + 1) > MOST_NUMBERS:
        raise ValueError(
            f"samples * (delay + 2) * (cues + 1) must be at most {MOST_NUMBERS}, got "
            f"{samples * (delay + 2) * (cues + 1)}; pass smaller ones"
        )
    cue = (torch.arange(samples) % cues)[torch.randperm(samples, generator=draw)]
    x = torch.zeros(samples, delay + 2, cues + 1)
    x[torch.arange(samples), 0, cue] = 1
    x[:, 1:-1, :cues] = noise * torch.randn(samples, delay, cues, generator=draw)
    x[:, -1, cues] = 1
    y = torch.full((samples, delay + 2), NOT_ASKED)
    y[:, -1] = cue
    return Recall(x, y)
