"""What the brains have to tell apart: odors, or handwritten digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sparsebrain.experiments.datasets import load_once

ODORS = 40
_TRAINING, _TEST = 20, 20
# Of the mean response to an odor, and of the concentration.
_NOISE, _CONCENTRATION = 1.0, 0.5


class Samples(NamedTuple):
    """Values of the input neurons [B, I] and classes [B], for training and for the test."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    num_classes: int


def odors(inputs: int, seed: int) -> Samples:
    """Draw odors, and noisy sniffs of them.

    The mean response of an input neuron to an odor is exponentially distributed with mean 1, as
    those of the projection neurons of flies are [1]_. A sniff multiplies the responses to its odor
    by a log-normal concentration, adds Gaussian noise, and cuts negative ones off. The class is the
    odor.

    Args:
        inputs: The number I of input neurons.
        seed: Random seed.

    References:
        .. [1] C. F. Stevens, "A statistical property of fly odor responses is conserved across
           odors", PNAS 113 (2016) 6737-6742.
    """
    draws = torch.Generator().manual_seed(seed)
    means = torch.empty(ODORS, inputs).exponential_(generator=draws)

    def sniffs(number: int) -> tuple[Tensor, Tensor]:
        y = torch.arange(ODORS).repeat_interleave(number)
        concentration = (_CONCENTRATION * torch.randn(len(y), 1, generator=draws)).exp()
        noise = _NOISE * torch.randn(len(y), inputs, generator=draws)
        return (means[y] * concentration + noise).relu(), y

    return Samples(*sniffs(_TRAINING), *sniffs(_TEST), ODORS)


def digits(inputs: int, seed: int) -> Samples:
    """Project scikit-learn's digits onto the input neurons, at random and for good.

    Args:
        inputs: The number I of input neurons.
        seed: Random seed of the projection.
    """
    images = load_once("digits")
    pixels = images.train_x.shape[1]
    draws = torch.Generator().manual_seed(seed)
    projection = torch.randn(pixels, inputs, generator=draws) / pixels**0.5
    train_x, test_x = ((x @ projection).relu() for x in (images.train_x, images.test_x))
    return Samples(train_x, images.train_y, test_x, images.test_y, images.num_classes)


TASKS: dict[str, Callable[[int, int], Samples]] = {"odors": odors, "digits": digits}
"""The tasks by name; each takes the number of input neurons and a seed."""
