"""The lognormal that degrees are compared with: rounded to whole numbers, and cut off below."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

from graphs.contract import Index

Floats = NDArray[np.float64]

# As the curvature falls to 0 the lognormal becomes a power law; below, they agree to rounding.
_FLATTEST = -40.0
# The narrowest has a standard deviation of this share of the narrowest degree's own width.
_NARROWEST = 0.05


def likelihood(degree: Index, neurons: Index, xmin: int) -> Floats:
    r"""Return the logarithm of each degree's probability under the lognormal that fits best.

    From `xmin` on, a degree k has the share of a normal variable of :math:`\log(k - 1/2)` to
    :math:`\log(k + 1/2)` in all from :math:`\log(x_\text{min} - 1/2)` on. With y counted from
    there, its density falls as :math:`e^{-b y - c y^2 / 2}`: a heavy tail has its best mean at
    minus infinity, but b and c stay finite, and c = 0, a power law, is a limit that is no better
    than what comes close to it.

    Parameters
    ----------
    degree : numpy.ndarray, [K] int64
        At least two, rising, from `xmin` on.
    neurons : numpy.ndarray, [K] int64
        How many have each.
    xmin : int
        Where the tail starts.

    Returns
    -------
    numpy.ndarray, [K] float64
    """
    low, high = (np.log(degree + half) - math.log(xmin - 0.5) for half in (-0.5, 0.5))
    share = neurons / neurons.sum()
    middle = (low + high) / 2
    mean = float(share @ middle)
    spread = max(math.sqrt(float(share @ (middle - mean) ** 2)), float((high - low).min()))
    # A standard deviation is the curvature to the power of -1/2.
    steepest = -2 * math.log(_NARROWEST * float((high - low).min()) / spread)

    def probabilities(parameters: Floats) -> Floats:
        # The slope at the mean degree, and the curvature, in units of the spread.
        curvature = math.exp(min(max(parameters[1], _FLATTEST), steepest)) / spread**2
        slope = parameters[0] / spread - curvature * mean
        return _inside(low, high, slope, curvature)

    def unlikelihood(parameters: Floats) -> float:
        return -float(share @ probabilities(parameters))

    # From a peak at the mean to power laws, and from steep to flat.
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
    """Logarithms of the shares of exp(-slope y - curvature y^2 / 2), y > 0, from low to high."""
    scale = math.sqrt(curvature)
    below, above = slope / scale + scale * low, slope / scale + scale * high
    # Left of the peak by the tail to the left, where that to the right is nearly all there is. The
    # end that is nearer to the peak has the larger tail.
    mirrored = below + above < 0
    near, far = np.where(mirrored, -above, below), np.where(mirrored, -below, above)
    # -(far^2 - near^2) / 2, without the squares, which for power laws are beyond all bounds.
    fall = np.where(mirrored, 1.0, -1.0) * (high - low) * (slope + curvature * (low + high) / 2)
    tail = _log_scaled_tail(near)
    inside = tail + np.log(-np.expm1(np.minimum(fall + _log_scaled_tail(far) - tail, -1e-300)))
    # So much lower is the density at the near end than at y = 0.
    at = np.where(mirrored, high, low)
    start = float(_log_scaled_tail(np.array([slope / scale]))[0])
    return inside - at * (slope + curvature * at / 2) - start


def _log_scaled_tail(value: Floats) -> Floats:
    """Logarithm of a standard normal's tail beyond a value, over its density there (but sqrt 2 pi).

    That of a far tail is 1 / value; as a difference of logarithms it would be lost.
    """
    right = np.maximum(value, 0.0)
    left = np.minimum(value, 0.0)
    return np.where(
        value > 0,
        np.log(erfcx(right / math.sqrt(2)) / 2),
        log_ndtr(-left) + left**2 / 2,
    )
