"""Measures of receptive fields and of responses."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def localization(fields: Tensor) -> Tensor:
    """Return the share of the pixels over which the square of each field extends.

    The participation ratio of the squares, divided by the number of pixels: 1 if all pixels have
    the same magnitude, 1 / pixels for a single one, 1/3 for normal noise.

    Args:
        fields: [neurons, pixels].
    """
    square = (fields - fields.mean(1, keepdim=True)).square()
    return square.sum(1).square() / square.square().sum(1) / fields.size(1)


def orientation(fields: Tensor) -> Tensor:
    r"""Return how far the Fourier power of each field has one orientation, from 0 to 1.

    The length of the mean of :math:`e^{2 i \phi}` over the power at frequencies of angle phi: 1 for
    a grating or an edge, 0 for a round spot.

    Args:
        fields: [neurons, pixels], square pictures.
    """
    side = math.isqrt(fields.size(1))
    pictures = (fields - fields.mean(1, keepdim=True)).view(-1, side, side)
    power = torch.fft.fft2(pictures).abs().square()
    along = torch.fft.fftfreq(side, dtype=fields.dtype)
    if side % 2 == 0:
        # Its sign is arbitrary, so that its orientation is, too.
        power[:, side // 2] = power[:, :, side // 2] = 0
    angle = torch.atan2(along[:, None].expand(side, side), along.expand(side, side))
    mean = (power * torch.exp(2j * angle)).sum((1, 2)).abs()
    return mean / power.sum((1, 2))


def selectivity(responses: Tensor) -> Tensor:
    """Return 1 - mean / maximum of the responses of each neuron.

    Near 1 for a neuron that responds to few stimuli; 0 for one that responds to all alike, and for
    one that never responds. The index of Bienenstock, Cooper and Munro (1982).

    Args:
        responses: [samples, neurons], 0 or more.
    """
    largest = responses.max(0).values
    return torch.where(largest > 0, 1 - responses.mean(0) / largest.clamp_min(1e-30), 0)


def class_selectivity(responses: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return (a - b) / (a + b) of each neuron, and its preferred class.

    Here a is the mean response to the class with the largest mean response, and b the mean of those
    to all other classes.

    Args:
        responses: [samples, neurons], 0 or more.
        y: The classes [samples].
    """
    classes = int(y.max()) + 1
    means = torch.stack([responses[y == each].mean(0) for each in range(classes)])
    best = means.max(0)
    others = (means.sum(0) - best.values) / (classes - 1)
    index = (best.values - others) / (best.values + others).clamp_min(1e-30)
    return index, best.indices
