"""Means over a random sample of neurons, and how far they may be off."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs import arguments
from graphs.contract import Index


class Estimate(NamedTuple):
    """A mean over neurons and its standard error, which is 0 if all neurons were looked at."""

    value: float
    error: float


# Up to so many neurons, measures look at all unless told otherwise.
EXACT = 2000


def sample(
    neurons: int,
    max_sources: int | None,
    seed: int | np.random.Generator | None,
    *,
    default: int,
) -> Index:
    """Return all neurons if there are at most `max_sources`, else that many distinct ones.

    Left out, `max_sources` is EXACT, and beyond that `default` are drawn.
    """
    rng = arguments.generator(seed)
    if max_sources is None:
        size = EXACT if neurons <= EXACT else default
    else:
        size = arguments.count("max_sources", max_sources, at_least=2)
    if neurons <= size:
        return np.arange(neurons)
    return np.sort(rng.choice(neurons, size, replace=False))


def standard_error(deviations: NDArray[np.float64], neurons: int) -> float:
    r"""Return :math:`\sqrt{s^2 / n \cdot (1 - n / N)}` of a sample of n out of N neurons.

    The last factor is the correction for drawing without replacement.
    """
    size = len(deviations)
    if size == neurons:
        return 0.0
    variance = float((deviations**2).sum()) / (size - 1)
    return math.sqrt(variance / size * (1 - size / neurons))
