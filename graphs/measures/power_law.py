"""Whether degrees follow a power law: the method of Clauset, Shalizi and Newman."""

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

# Exponents looked for; beyond, no tail is left that a power law could be told from.
_SMALLEST, _LARGEST = 1.0001, 20.0
_STEP = 1e-4

# How many of the smallest degrees tails may start at, and as many of the others.
_STARTS = 256

# Degrees of the table that bootstraps draw from; beyond it, one is searched for.
_TABLE = 50_000

_MOST_BOOTSTRAPS = 1_000_000


class LikelihoodRatio(NamedTuple):
    """Vuong's ratio in standard deviations, positive for the power law; and that by chance."""

    ratio: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """A power law fitted to the degrees from `xmin` on; what is not defined is nan.

    Attributes
    ----------
    alpha, alpha_error : float
        Exponent and its standard error, for a known `xmin`. An exponent of 20 is the largest that
        is looked for: the tail falls at least so fast, and its error is nan.
    xmin, tail : int
        Smallest degree that follows the law, and the number of neurons from there on.
    distance : float
        Largest distance between the two cumulative distributions, of Kolmogorov and Smirnov.
    p_value, p_value_error : float
        How often a power law's own samples lie farther from their fit; small values, as below 0.1,
        speak against it. The error comes from the number of bootstraps.
    lognormal, exponential : LikelihoodRatio
        The comparison with each; where its ``p_value`` is not small, neither is better.
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
    r"""Fit a power law to the tail of the degrees, and tell how good it is.

    .. math:: P(k) = \frac{k^{-\alpha}}{\zeta(\alpha, k_\text{min})}, \quad k \ge k_\text{min}

    :math:`\alpha`, up to 20, has the largest likelihood, :math:`k_\text{min}` the smallest
    distance of Kolmogorov and Smirnov [1]_.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome. Self-loops are left out, and parallel synapses count once.
        Weights and signs are not read: every synapse counts the same.
    direction : {"in", "out", "both"}
        Degrees: ``"in"``, ``"out"`` or ``"both"``, as in `degree_distribution`.
    xmin : int, optional
        Where the tail starts, instead of looking for it.
    bootstraps : int
        Samples that the p-value is taken from: 2500 tell it to 0.01. Without, it is nan.
    seed : int, numpy.random.Generator or None
        Source of randomness of the bootstraps.

    Returns
    -------
    PowerLaw
        ``alpha``, ``xmin``, ``distance``, ``p_value``, ``lognormal`` and ``exponential`` and more.
        Without two different degrees (from `xmin` on) there is nothing to fit: ``tail`` is 0.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, or an argument is of another type or out of range.

    Notes
    -----
    With K different degrees O(N + E + K^2), and O(N + K^2) for each bootstrap, which draws degrees
    below the tail from those that there are, others from the fitted law, and looks for its own
    tail. In a heavy tail nearly every degree is another: of more than 512 the tail starts at one of
    the 256 smallest, or of 256 whose ranks rise by a constant factor, so that K^2 is K.

    The likelihoods of all are those of whole numbers: the lognormal's is that of rounded values,
    the exponential's a geometric distribution. A lognormal can be as close to a power law as one
    likes, so its ratio is rarely far above 0.

    References
    ----------
    .. [1] A. Clauset, C. R. Shalizi, M. E. J. Newman, "Power-law distributions in empirical data",
       SIAM Review 51 (2009) 661-703.

    Examples
    --------
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
    """Fit every tail of two degrees or more (or that from `xmin`), and keep the closest."""
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
        # Between two degrees the law goes on while the sample stands still.
        after = (above - points**-alpha) / zeta(alpha, start)
        behind = np.append(share[1:], 0.0)
        distance = float(max(np.abs(survival - share).max(), np.abs(after - behind).max()))
        if distance < best.distance:
            best = _Fit(float(alpha), int(start), distance)
    return best


def _candidates(number: int) -> Index:
    """Return which of so many degrees tails start at."""
    if number <= 2 * _STARTS:
        return np.arange(number)
    rarer = np.geomspace(_STARTS, number - 1, _STARTS).astype(np.int64)
    return np.union1d(np.arange(_STARTS), rarer)


def _exponents(start: Index, logarithm: Floats) -> Floats:
    """Exponents of largest likelihood for tails of these mean logarithms, by Newton's method.

    In log(alpha - 1) the likelihood has no pole.
    """
    alpha = np.clip(1 + 1 / (logarithm - np.log(start - 0.5)), _SMALLEST, _LARGEST)
    for _ in range(12):
        slope, curvature = _slopes(alpha, start)
        slope = slope + logarithm
        shift = -slope * (alpha - 1) / (curvature * (alpha - 1) ** 2 + slope * (alpha - 1))
        # Far away, where that is no step downhill, go on by the slope's sign.
        shift = np.where(shift * slope < 0, np.clip(shift, -1, 1), -np.sign(slope))
        alpha = np.clip(1 + (alpha - 1) * np.exp(shift), _SMALLEST, _LARGEST)
        if np.abs(shift).max() < 1e-9:
            break
    return alpha


def _slopes(alpha: Floats, start: Index) -> tuple[Floats, Floats]:
    """First and second derivative of log zeta by its exponent, by differences."""
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
            # Degrees below the tail, and below what it draws.
            values = np.concatenate((degree[body], values))
            counts = np.concatenate(
                (rng.multinomial(short, neurons[body] / neurons[body].sum()), counts)
            )
            values, counts = values[counts > 0], counts[counts > 0]
        farther += len(values) < 2 or _fit(values, counts, xmin).distance >= fit.distance
    return farther / bootstraps


def _draw(fit: _Fit, table: Floats, size: int, rng: np.random.Generator) -> Index:
    """Draw from the power law: the largest degree that so large a share reaches."""
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
    """Vuong's test of two logarithms of likelihood per degree."""
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
