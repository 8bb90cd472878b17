"""Means over random samples of neurons and their standard errors."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs import arguments
from graphs.contract import Index


class Estimate(NamedTuple):
    """A mean over neurons.

    Attributes:
        value: The mean.
        error: Its standard error, 0 if all neurons were included.
    """

    value: float
    error: float


# Up to this number of neurons, measures are exact by default.
EXACT = 2000


def sample(
    neurons: int,
    max_sources: int | None,
    seed: int | np.random.Generator | None,
    *,
    default: int,
) -> Index:
    """Return all neurons if there are at most ``max_sources``, and otherwise a sample.

    Args:
        neurons: The number of neurons.
        max_sources: The largest sample, at least 2. By default it is ``EXACT`` neurons, and
            ``default`` if there are more.
        seed: Source of randomness.
        default: The size of a sample if ``max_sources`` is None.
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
    r"""Return the standard error of the mean of n out of N neurons from the deviations from it.

    .. math:: \sqrt{s^2 / n \cdot (1 - n / N)}

    The last factor is the correction for drawing without replacement.
    """
    size = len(deviations)
    if size == neurons:
        return 0.0
    variance = float((deviations**2).sum()) / (size - 1)
    return math.sqrt(variance / size * (1 - size / neurons))
