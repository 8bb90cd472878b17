"""A lognormal distribution of degrees, rounded to integers and truncated from below."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

from graphs.contract import Index

Floats = NDArray[np.float64]

# Smallest log curvature. A curvature of 0 is a power law; here both agree to rounding.
_FLATTEST = -40.0
# Smallest standard deviation, relative to the width of the narrowest degree.
_NARROWEST = 0.05


def likelihood(degree: Index, neurons: Index, xmin: int) -> Floats:
    r"""Return the log-probability of each degree under the best-fitting lognormal.

    The probability of a degree :math:`k \ge x_\text{min}` is that of a normal variable between
    :math:`\log(k - 1/2)` and :math:`\log(k + 1/2)`, given that it is above
    :math:`\log(x_\text{min} - 1/2)`. With y measured from there, the density is proportional to
    :math:`e^{-b y - c y^2 / 2}`. For a heavy tail the best mean diverges to minus infinity, but b
    and c stay finite. The limit c = 0 is a power law.

    Args:
        degree: At least two ascending degrees from ``xmin`` on, int64 [K].
        neurons: Number of neurons of each degree, int64 [K].
        xmin: Smallest degree of the tail.

    Returns:
        The log-probabilities, float64 [K].
    """
    low, high = (np.log(degree + half) - math.log(xmin - 0.5) for half in (-0.5, 0.5))
    share = neurons / neurons.sum()
    middle = (low + high) / 2
    mean = float(share @ middle)
    spread = max(math.sqrt(float(share @ (middle - mean) ** 2)), float((high - low).min()))
    # The standard deviation is curvature ** -0.5.
    steepest = -2 * math.log(_NARROWEST * float((high - low).min()) / spread)

    def probabilities(parameters: Floats) -> Floats:
        # The parameters are the slope at the mean degree and log curvature, in units of the spread.
        curvature = math.exp(min(max(parameters[1], _FLATTEST), steepest)) / spread**2
        slope = parameters[0] / spread - curvature * mean
        return _inside(low, high, slope, curvature)

    def unlikelihood(parameters: Floats) -> float:
        return -float(share @ probabilities(parameters))

    # The starts range from a peak at the mean to power laws, and from steep to flat.
    starts = [
        np.array((slope, curvature))
        for slope in (0.0, 0.5 * spread / mean, spread / mean)
        for curvature in (1.0, 0.0, -2.0, -6.0)
    ]
    found = [
        minimize(
            unlikelihood,
            start,
            method="Nelder-Mead",
            options={"maxiter": 2000, "xatol": 1e-7, "fatol": 1e-12},
        )
        for start in starts
    ]
    return probabilities(min(found, key=lambda each: each.fun).x)


def _inside(low: Floats, high: Floats, slope: float, curvature: float) -> Floats:
    """Return the log of the normalized density's integrals from ``low`` to ``high``.

    The density at y > 0 is proportional to exp(-slope y - curvature y^2 / 2).
    """
    scale = math.sqrt(curvature)
    below, above = slope / scale + scale * low, slope / scale + scale * high
    # Left of the peak the right tail is nearly 1, so the left tail is used instead. The end nearer
    # to the peak has the larger tail.
    mirrored = below + above < 0
    near, far = np.where(mirrored, -above, below), np.where(mirrored, -below, above)
    # This is -(far^2 - near^2) / 2 without the squares, which overflow near a power law.
    fall = np.where(mirrored, 1.0, -1.0) * (high - low) * (slope + curvature * (low + high) / 2)
    tail = _log_scaled_tail(near)
    inside = tail + np.log(-np.expm1(np.minimum(fall + _log_scaled_tail(far) - tail, -1e-300)))
    # The density at the near end relative to that at y = 0.
    at = np.where(mirrored, high, low)
    start = float(_log_scaled_tail(np.array([slope / scale]))[0])
    return inside - at * (slope + curvature * at / 2) - start


def _log_scaled_tail(value: Floats) -> Floats:
    """Return the log of a standard normal's tail above each value, relative to its density there.

    The density is taken without the factor 1 / sqrt(2 pi). For a large value the ratio is about 1 /
    value, and a difference of two logarithms would lose it to rounding.
    """
    right = np.maximum(value, 0.0)
    left = np.minimum(value, 0.0)
    return np.where(
        value > 0,
        np.log(erfcx(right / math.sqrt(2)) / 2),
        log_ndtr(-left) + left**2 / 2,
    )
