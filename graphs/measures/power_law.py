"""Power laws fitted to degrees by the method of Clauset, Shalizi and Newman."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc, zeta
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index
from graphs.measures import lognormal
from graphs.measures.degrees import degree_distribution

Floats = NDArray[np.float64]

# Range of the exponents. A steeper tail is too short to be distinguished from other laws.
_SMALLEST, _LARGEST = 1.0001, 20.0
_STEP = 1e-4

# Number of the smallest degrees at which a tail may start, and of the other degrees.
_STARTS = 256

# Degrees in the table that bootstraps draw from. Larger degrees are found by bisection.
_TABLE = 50_000

_MOST_BOOTSTRAPS = 1_000_000


class LikelihoodRatio(NamedTuple):
    """Vuong's test of two distributions.

    Attributes:
        ratio: The log-likelihood ratio in standard deviations, positive if the power law fits
            better.
        p_value: Probability of so large a ratio, of either sign, by chance.
    """

    ratio: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """A power law fitted to the tail of the degrees. Undefined values are nan.

    Attributes:
        alpha: The exponent, at most 20. At 20 the tail falls at least this steeply.
        alpha_error: Standard error of ``alpha`` for a known ``xmin``; nan at the largest exponent.
        xmin: The smallest degree that follows the law.
        tail: The number of neurons of degree ``xmin`` or more.
        distance: The Kolmogorov-Smirnov distance of the tail from the law.
        p_value: The share of samples of the law that are farther from their own fit than the tail.
            A small value, such as below 0.1, is evidence against the power law.
        p_value_error: The standard error of ``p_value`` due to the number of bootstraps.
        lognormal: The comparison with a lognormal. If its ``p_value`` is not small, neither
            distribution is preferred.
        exponential: The comparison with an exponential.
    """

    alpha: float
    alpha_error: float
    xmin: int
    tail: int
    distance: float
    p_value: float
    p_value_error: float
    lognormal: LikelihoodRatio
    exponential: LikelihoodRatio

    def __str__(self) -> str:
        if self.tail == 0:
            return "no tail to fit"
        text = f"alpha {self.alpha:.3g} ± {self.alpha_error:.1g} from {self.xmin}, "
        if self.alpha >= _LARGEST:
            text = f"alpha {_LARGEST:.3g} or more from {self.xmin}, "
        return text + f"{self.tail:,} neurons, p = {self.p_value:.2g}"


def fit_power_law(
    data: Data,
    *,
    direction: arguments.Direction = "in",
    xmin: int | None = None,
    bootstraps: int = 0,
    seed: int | np.random.Generator | None = 0,
) -> PowerLaw:
    r"""Fit a power law to the tail of the degrees and test how well it fits.

    .. math:: P(k) = \frac{k^{-\alpha}}{\zeta(\alpha, k_\text{min})}, \quad k \ge k_\text{min}

    :math:`\alpha`, at most 20, maximizes the likelihood, and :math:`k_\text{min}` minimizes the
    Kolmogorov-Smirnov distance [1]_. The fit is compared with a lognormal, rounded to integers, and
    with an exponential, which is a geometric distribution. A lognormal can approximate a power law
    arbitrarily well, so its ratio is rarely far above 0.

    Args:
        data: A connectome. Self-loops are ignored, parallel synapses count once, and weights and
            signs are not used.
        direction: The degrees: ``"in"``, ``"out"`` or ``"both"``, as in
            :func:`graphs.degree_distribution`.
        xmin: The smallest degree of the tail. By default it is fitted.
        bootstraps: Number of samples for the p-value, which is nan without any. With 2500 samples
            it is accurate to 0.01.
        seed: Source of randomness of the bootstraps.

    Returns:
        The fit, its distance, p-value and comparisons. If there are not two different degrees (from
        ``xmin`` on), nothing is fitted and ``tail`` is 0.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, or an argument is out of range.

    Note:
        With K different degrees the fit takes O(N + E + K^2) time, and each bootstrap O(N + K^2). A
        bootstrap draws the degrees below the tail from the sample and the others from the fitted
        law, and fits its own tail. If K is above 512, the candidates for ``xmin`` are the 256
        smallest degrees and 256 others at geometrically spaced ranks, so K^2 becomes K.

    References:
        .. [1] A. Clauset, C. R. Shalizi, M. E. J. Newman, "Power-law distributions in empirical
           data", SIAM Review 51 (2009) 661-703.

    Example:
        >>> import graphs, numpy as np
        >>> hubs = np.minimum((np.arange(1, 3001) / 3000) ** (-1 / 1.5), 200).astype(int)
        >>> targets = np.repeat(np.arange(3000), hubs)
        >>> sources = (targets + 1 + np.arange(len(targets))) % 3000
        >>> found = graphs.fit_power_law(graphs.contract.build(3000, sources, targets))
        >>> 2.4 < found.alpha < 2.7, found.exponential.ratio > 3
        (True, True)
    """
    degree, neurons = degree_distribution(data, direction=direction)
    bootstraps = arguments.count("bootstraps", bootstraps, at_most=_MOST_BOOTSTRAPS)
    rng = arguments.generator(seed)
    if xmin is not None:
        xmin = arguments.count("xmin", xmin, at_least=1)
        degree, neurons = degree[degree >= xmin], neurons[degree >= xmin]
    some = degree > 0
    degree, neurons = degree[some], neurons[some]
    if len(degree) < 2:
        return NOTHING
    fit = _fit(degree, neurons, xmin)
    tail = degree >= fit.xmin
    p_value = _p_value(degree, neurons, fit, xmin, bootstraps, rng) if bootstraps else math.nan
    size = int(neurons[tail].sum())
    _, curvature = _slopes(np.array([fit.alpha]), np.array([fit.xmin]))
    law = -fit.alpha * np.log(degree[tail]) - np.log(zeta(fit.alpha, fit.xmin))
    return PowerLaw(
        alpha=fit.alpha,
        alpha_error=1 / math.sqrt(size * float(curvature[0])) if fit.alpha < _LARGEST else math.nan,
        xmin=fit.xmin,
        tail=size,
        distance=fit.distance,
        p_value=p_value,
        p_value_error=math.sqrt(p_value * (1 - p_value) / max(bootstraps, 1)),
        lognormal=_compare(
            law, lognormal.likelihood(degree[tail], neurons[tail], fit.xmin), neurons[tail]
        ),
        exponential=_compare(
            law, _exponential(degree[tail], neurons[tail], fit.xmin), neurons[tail]
        ),
    )


NOTHING = PowerLaw(
    alpha=math.nan,
    alpha_error=math.nan,
    xmin=0,
    tail=0,
    distance=math.nan,
    p_value=math.nan,
    p_value_error=math.nan,
    lognormal=LikelihoodRatio(math.nan, math.nan),
    exponential=LikelihoodRatio(math.nan, math.nan),
)


class _Fit(NamedTuple):
    alpha: float
    xmin: int
    distance: float


def _fit(degree: Index, neurons: Index, xmin: int | None) -> _Fit:
    """Fit all tails of at least two degrees (or the one from ``xmin``) and return the closest."""
    size = np.cumsum(neurons[::-1])[::-1]
    logarithm = np.cumsum((neurons * np.log(degree))[::-1])[::-1] / size
    numbers = _candidates(len(degree) - 1) if xmin is None else np.array([0])
    starts = degree[numbers] if xmin is None else np.array([xmin])
    alphas = _exponents(starts, logarithm[numbers])
    best = _Fit(math.nan, 0, math.inf)
    for number, start, alpha in zip(numbers, starts, alphas, strict=True):
        points = degree[number:]
        above = zeta(alpha, points)
        survival = above / zeta(alpha, start)
        share = size[number:] / size[number]
        # Between two degrees the law falls while the sample is constant.
        after = (above - points**-alpha) / zeta(alpha, start)
        behind = np.append(share[1:], 0.0)
        distance = float(max(np.abs(survival - share).max(), np.abs(after - behind).max()))
        if distance < best.distance:
            best = _Fit(float(alpha), int(start), distance)
    return best


def _candidates(number: int) -> Index:
    """Return the ranks of the degrees at which tails may start."""
    if number <= 2 * _STARTS:
        return np.arange(number)
    rarer = np.geomspace(_STARTS, number - 1, _STARTS).astype(np.int64)
    return np.union1d(np.arange(_STARTS), rarer)


def _exponents(start: Index, logarithm: Floats) -> Floats:
    """Return the maximum-likelihood exponents of tails with these mean logarithms.

    Newton's method is applied to log(alpha - 1), in which the likelihood has no pole.
    """
    alpha = np.clip(1 + 1 / (logarithm - np.log(start - 0.5)), _SMALLEST, _LARGEST)
    for _ in range(12):
        slope, curvature = _slopes(alpha, start)
        slope = slope + logarithm
        shift = -slope * (alpha - 1) / (curvature * (alpha - 1) ** 2 + slope * (alpha - 1))
        # Far from the optimum Newton's step may go uphill; then only the sign of the slope is used.
        shift = np.where(shift * slope < 0, np.clip(shift, -1, 1), -np.sign(slope))
        alpha = np.clip(1 + (alpha - 1) * np.exp(shift), _SMALLEST, _LARGEST)
        if np.abs(shift).max() < 1e-9:
            break
    return alpha


def _slopes(alpha: Floats, start: Index) -> tuple[Floats, Floats]:
    """Return the first two derivatives of log zeta by the exponent, from finite differences."""
    step = _STEP * (alpha - 1)
    low, middle, high = (np.log(zeta(alpha + shift, start)) for shift in (-step, 0, step))
    return (high - low) / (2 * step), (high - 2 * middle + low) / step**2


def _p_value(
    degree: Index,
    neurons: Index,
    fit: _Fit,
    xmin: int | None,
    bootstraps: int,
    rng: np.random.Generator,
) -> float:
    body = degree < fit.xmin
    size = int(neurons.sum())
    below = neurons[body].sum() / size
    table = zeta(fit.alpha, np.arange(fit.xmin, fit.xmin + _TABLE)) / zeta(fit.alpha, fit.xmin)
    farther = 0
    for _ in range(bootstraps):
        short = rng.binomial(size, below)
        values, counts = np.unique(_draw(fit, table, size - short, rng), return_counts=True)
        if short:
            # Degrees below the tail are drawn from those of the sample.
            values = np.concatenate((degree[body], values))
            counts = np.concatenate(
                (rng.multinomial(short, neurons[body] / neurons[body].sum()), counts)
            )
            values, counts = values[counts > 0], counts[counts > 0]
        farther += len(values) < 2 or _fit(values, counts, xmin).distance >= fit.distance
    return farther / bootstraps


def _draw(fit: _Fit, table: Floats, size: int, rng: np.random.Generator) -> Index:
    """Draw from the power law by inversion of its survival function."""
    share = 1 - rng.random(size)
    value = fit.xmin - 1 + np.searchsorted(-table, -share, side="right")
    far = np.flatnonzero(share <= table[-1])
    low, high = np.full(len(far), fit.xmin + _TABLE - 1), np.full(len(far), 2**52)
    while (low + 1 < high).any():
        middle = (low + high) // 2
        reaches = zeta(fit.alpha, middle) / zeta(fit.alpha, fit.xmin) >= share[far]
        low, high = np.where(reaches, middle, low), np.where(reaches, high, middle)
    value[far] = low
    return value


def _compare(law: Floats, other: Floats, neurons: Index) -> LikelihoodRatio:
    """Apply Vuong's test to the log-likelihoods of two distributions, given per degree."""
    difference = law - other
    size = neurons.sum()
    mean = neurons @ difference / size
    spread = math.sqrt(neurons @ (difference - mean) ** 2 / size)
    if spread == 0:
        return LikelihoodRatio(0.0, 1.0)
    ratio = float(math.sqrt(size) * mean / spread)
    return LikelihoodRatio(ratio, float(erfc(abs(ratio) / math.sqrt(2))))


def _exponential(degree: Index, neurons: Index, xmin: int) -> Floats:
    excess = degree - xmin
    mean = neurons @ excess / neurons.sum()
    return -np.log1p(mean) + excess * (np.log(mean) - np.log1p(mean))
