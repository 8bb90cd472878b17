"""Significance tests of differences between groups of trainings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, special

from graphs import arguments

_SUSPECT = 0.9
"""A pair is given its own spread where its gaps vary more than this quantile of chance."""

_LARGEST = 1e100
"""Squares of larger values would overflow."""


class Difference(NamedTuple):
    """The mean of ``first`` minus the mean of ``second``, and how certain it is.

    The p-value and the confidence interval are corrected for all pairs that were compared, so that
    ``p_value < level`` exactly where the interval excludes 0, and all intervals hold
    simultaneously with probability 1 - level.

    Attributes:
        first: Name of the first group.
        second: Name of the second group.
        mean: Mean difference, in the unit of the values.
        p_value: Corrected p-value.
        low: Lower end of the confidence interval.
        high: Upper end of the confidence interval.
        num_seeds: Number of values per group.
    """

    first: str
    second: str
    mean: float
    p_value: float
    low: float
    high: float
    num_seeds: int


class _Spread(NamedTuple):
    """The variance of one group's values, pooled over connected groups."""

    groups: int
    seeds: int
    variance: float

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the variance."""
        return (self.groups - 1) * (self.seeds - 1)

    @property
    def suspicious(self) -> float:
        """The variance of a pair's gaps above which it replaces the pooled variance.

        Infinite for two groups, whose pooled variance is that of their gaps.
        """
        if self.groups == 2:
            return math.inf
        factor = special.fdtri(self.seeds - 1, self.degrees, _SUSPECT)
        return 2 * self.variance * float(factor)


def differences(
    values: Mapping[str, Sequence[float]],
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    resolution: float | None = None,
    level: float = 0.05,
) -> list[Difference]:
    r"""Compare pairs of groups over the seeds that they share, by t-tests with a pooled spread.

    A few seeds say little about the spread of a pair, and accuracies are multiples of
    1 / test size, so that the gaps of a pair are often all equal. The variance of a gap is
    therefore the largest of three:

    - the variance of the pair's own gaps over the seeds;
    - :math:`2 M`, where M is the residual mean square of all groups that pairs connect, after
      removal of the means of groups and seeds (a randomized block design [1]_): a seed that is
      good for all groups does not increase it;
    - :math:`\mathrm{resolution}^2 / 6`, the variance that rounding of both values adds.

    With G connected groups and S seeds, t has (G - 1)(S - 1) degrees of freedom, or S - 1 where
    the pair's own variance exceeds the pooled one beyond the 0.9 quantile of
    F(S - 1, (G - 1)(S - 1)). Each p-value is multiplied by the number of pairs (Bonferroni), which
    gives simultaneous confidence intervals.

    If all groups have the same spread, the probability of one or more false alarms is at most
    ``level``. If spreads differ by a factor of 3 to 7, it reaches 7 % instead of 5 % with few
    seeds of many groups; ``python -m benchmarks.significance`` measures this and the power. A
    noisy group raises the pooled spread and hides small differences between quiet groups.

    Args:
        values: For each group one value per seed, at least 2, in the same order of seeds.
        pairs: Pairs of group names to compare; None compares every pair. Groups that no chain of
            pairs connects, such as rules on different topologies, are not pooled.
        resolution: The step of the values in their own unit: 1 / test size for accuracies as
            shares, 100 / test size in percent. None treats the values as exact: rounding then adds
            no variance, and where nothing varies at all, p is 1 and the interval unbounded.
        level: Significance level, between 0 and 1.

    Returns:
        One difference per pair, in ascending order of p-values. A mean difference of 0 has p = 1.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: Groups have different numbers of values or fewer than 2, a value is not finite
            or larger than 1e100 in magnitude, a pair does not name two groups, or ``resolution``
            or ``level`` is out of range.

    References:
        .. [1] R. A. Fisher, "The Design of Experiments", Oliver and Boyd (1935), chapter IV.

    Example:
        >>> from sparsebrain.experiments.significance import differences
        >>> accuracy = {"a": [97.1, 97.4, 97.3], "b": [95.0, 95.6, 95.3], "c": [95.2, 95.3, 95.1]}
        >>> found = differences(accuracy, resolution=0.1)
        >>> print(*(f"{each.first} - {each.second}: {each.mean:+.2f}" for each in found))
        a - c: +2.07 a - b: +1.97 b - c: +0.10
        >>> print(*(f"{each.p_value:.4f}" for each in found))
        0.0002 0.0002 1.0000
    """
    arrays, asked = _check(values, pairs, resolution, level)
    if not asked:
        return []
    first, second = (
        np.stack([arrays[name] for name in names]) for names in zip(*asked, strict=True)
    )
    spreads = _spreads(arrays, asked, resolution or 0.0)
    told = {name: (2 * one.variance, one.degrees, one.suspicious) for name, one in spreads.items()}
    pooled, degrees, suspicious = np.array([told[name] for name, _ in asked]).T
    seeds = first.shape[1]
    gaps = first - second
    mean, own = gaps.mean(1), gaps.var(1, ddof=1)
    degrees = np.where(own > suspicious, seeds - 1, degrees)
    error = np.sqrt(np.maximum(own, pooled) / seeds)
    noise = _rounding(arrays)
    known = error > noise
    t = np.where(np.abs(mean) > noise, np.abs(mean), 0.0) / np.where(known, error, math.inf)
    p_value = np.minimum(1.0, 2 * len(asked) * special.stdtr(degrees, -t))
    half = np.where(known, _critical(degrees, level / len(asked)) * error, math.inf)
    columns = (column.tolist() for column in (mean, p_value, mean - half, mean + half))
    found = [
        Difference(one, other, gap, p, low, high, seeds)
        for (one, other), gap, p, low, high in zip(asked, *columns, strict=True)
    ]
    # Among pairs with p = 1, the largest difference comes first.
    return sorted(found, key=lambda one: (one.p_value, -abs(one.mean)))


def detectable(
    values: Mapping[str, Sequence[float]],
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    resolution: float | None = None,
    level: float = 0.05,
    power: float = 0.8,
) -> dict[tuple[str, str], float]:
    """Return the true difference that :func:`differences` detects with a given probability.

    The result holds for as many seeds and pairs as are given, and for normally distributed values
    of the observed pooled spread, which few seeds estimate only roughly.

    Args:
        values: As for :func:`differences`.
        pairs: As for :func:`differences`.
        resolution: As for :func:`differences`.
        level: As for :func:`differences`.
        power: The probability of detection, between ``level`` and 1.

    Returns:
        For each pair the difference in the unit of the values; infinite where the spread is
        unknown.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, as for :func:`differences`.
    """
    arrays, asked = _check(values, pairs, resolution, level)
    if not level < arguments.real("power", power) < 1:
        raise ValueError(
            f"power must be between the level {level} and 1, got {power}; pass for example "
            f"power={(1 + level) / 2:g}"
        )
    noise = _rounding(arrays)
    spreads = _spreads(arrays, asked, resolution or 0.0)
    units = {
        spread: _detectable_units(spread.groups, spread.seeds, level / len(asked), power)
        for spread in {spread._replace(variance=1.0) for spread in spreads.values()}
    }
    found = {}
    for pair in asked:
        spread = spreads[pair[0]]
        deviation = math.sqrt(spread.variance)
        known = math.sqrt(2 / spread.seeds) * deviation > noise
        found[pair] = deviation * units[spread._replace(variance=1.0)] if known else math.inf
    return found


def _check(
    values: Mapping[str, Sequence[float]],
    pairs: Iterable[tuple[str, str]] | None,
    resolution: float | None,
    level: float,
) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
    arrays = _arrays(values)
    if not 0 < arguments.real("level", level) < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}; pass for example level=0.05")
    if resolution is not None:
        _check_resolution(resolution, arrays)
    if pairs is None:
        return arrays, list(itertools.combinations(arrays, 2))
    asked = [_pair(each, arrays) for each in _items("pairs", pairs)]
    if len({frozenset(pair) for pair in asked}) < len(asked):
        raise ValueError("pairs has a pair twice; pass each pair once, in one order")
    return arrays, asked


def _items(name: str, value: object) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence | Set | Mapping | Iterator):
        raise TypeError(
            f"{name} must be an iterable of pairs of names, got {value!r} of type "
            f"{type(value).__name__}; pass for example {name}=[('a', 'b')]"
        )
    return list(value)


def _pair(pair: object, arrays: Mapping[str, np.ndarray]) -> tuple[str, str]:
    if isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2:
        first, second = pair
        known = all(isinstance(name, Hashable) and name in arrays for name in pair)
        if known and first != second:
            return first, second
    raise ValueError(
        f"pairs must hold pairs of two of the groups {list(arrays)}, got {pair!r}; pass for "
        f"example pairs={list(itertools.combinations(arrays, 2))[:1]}"
    )


def _arrays(values: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """Return the values of each group [S] as float64."""
    if not isinstance(values, Mapping):
        raise TypeError(
            f"values must be a mapping of names to sequences of numbers, got {values!r:.80} of "
            f"type {type(values).__name__}; pass for example values={{'a': [0.9, 0.8]}}"
        )
    arrays = {name: _array(name, group) for name, group in values.items()}
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1 or min(lengths, default=2) < 2:
        raise ValueError(
            "values must have the same number of values for every group, one per seed and at "
            f"least 2, got {sorted(lengths)}; leave out the seeds that some group lacks, or pass "
            "more seeds"
        )
    return arrays


def _array(name: str, group: Sequence[float]) -> np.ndarray:
    try:
        array = np.asarray(group)
    except (ValueError, TypeError, RuntimeError):
        array = np.asarray(None)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise TypeError(
            f"values[{name!r}] must be a sequence of real numbers, got {group!r:.80}; pass for "
            f"example values={{{name!r}: [0.9, 0.8]}}"
        )
    if not (np.abs(array.astype(float)) <= _LARGEST).all():
        raise ValueError(
            f"values[{name!r}] must be finite and at most {_LARGEST:g} in magnitude, got "
            f"{array.tolist()!r:.200}; leave out the seeds that failed, in all groups, or pass "
            "values without this group"
        )
    return array.astype(float)


def _check_resolution(resolution: float, arrays: Mapping[str, np.ndarray]) -> None:
    arguments.real("resolution", resolution, positive=True, at_most=_LARGEST)
    extent = float(np.ptp(list(arrays.values()))) if arrays else 0.0
    # Multiples of a step that are not equal are at least a step apart.
    if _rounding(arrays) < extent < resolution / 2:
        raise ValueError(
            f"resolution must be the step of the values, which differ by {extent:.3g} at most, got "
            f"{resolution}; pass it in their unit, 1 / test size for shares or 100 / test size for "
            "percent"
        )


def _rounding(arrays: Mapping[str, np.ndarray]) -> float:
    """Return the magnitude up to which a number is floating-point rounding."""
    return 1e-12 * max((float(np.abs(array).max()) for array in arrays.values()), default=0.0)


def _spreads(
    arrays: Mapping[str, np.ndarray], pairs: Iterable[tuple[str, str]], resolution: float
) -> dict[str, _Spread]:
    """Return, for each compared group, the spread of all groups that pairs connect with it."""
    members: dict[str, list[str]] = {}
    for first, second in pairs:
        one, other = (members.setdefault(name, [name]) for name in (first, second))
        if one is not other:
            one += other
            members.update(dict.fromkeys(other, one))
    found: dict[str, _Spread] = {}
    for connected in members.values():
        if connected[0] not in found:
            table = np.stack([arrays[name] for name in connected])
            groups, seeds = table.shape
            rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
            square = float(np.square(rest).sum()) / ((groups - 1) * (seeds - 1))
            spread = _Spread(groups, seeds, max(square, resolution**2 / 12))
            found.update(dict.fromkeys(connected, spread))
    return found


def _critical(degrees: Any, level: float) -> Any:
    """Return the absolute value of t above which it is significant at a level."""
    return -special.stdtrit(degrees, level / 2)


def _detectable_units(groups: int, seeds: int, level: float, power: float) -> float:
    """Return the detectable difference in standard deviations of one group's values.

    For normally distributed values, the mean gap of a pair, the variance of its gaps and the
    remaining residual squares are independent; the last two are averaged over a grid of their
    quantiles.
    """
    quantiles = (np.arange(200) + 0.5) / 200
    # The variance of a gap is then 1.
    spread = _Spread(groups, seeds, 0.5)
    own = special.chdtri(seeds - 1, quantiles)[:, None]
    rest = (groups - 2) * (seeds - 1)
    others = special.chdtri(rest, quantiles)[None, :] if rest else np.zeros((1, 1))
    pooled = (own + others) / spread.degrees
    own = own / (seeds - 1)
    degrees = np.where(own > spread.suspicious * pooled, seeds - 1, spread.degrees)
    bound = _critical(degrees, level) * np.sqrt(np.maximum(own, pooled))

    def missed(shift: float) -> float:
        found = special.ndtr(shift - bound) + special.ndtr(-shift - bound)
        return power - float(found.mean())

    most = 2.0
    while missed(most) > 0:
        most *= 2
    return float(optimize.brentq(missed, 0.0, most)) * math.sqrt(2 / seeds)
