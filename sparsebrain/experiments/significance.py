"""Which differences between groups of trainings are more than chance, and how sure that is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, special

_SUSPECT = 0.9
"""A pair has a spread of its own where its gaps vary more than this quantile of chance."""


class Difference(NamedTuple):
    """The mean of ``first`` minus that of ``second``, and how sure it is.

    ``p_value`` and the confidence interval from ``low`` to ``high`` are corrected for all the pairs
    that were compared, so that p_value < level exactly where the interval excludes 0, and all
    intervals together hold with a probability of 1 - level. ``num_seeds`` values a group were used.
    """

    first: str
    second: str
    mean: float
    p_value: float
    low: float
    high: float
    num_seeds: int


class _Spread(NamedTuple):
    """The variance of one group's values that pairs share, and its degrees of freedom."""

    groups: int
    seeds: int
    variance: float

    @property
    def degrees(self) -> int:
        return (self.groups - 1) * (self.seeds - 1)

    @property
    def suspicious(self) -> float:
        """Where the variance of a pair's gaps is above this, it counts alone.

        It is a part of the pooled one; of two groups, all of it.
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
    r"""Compare pairs of groups over the seeds they share by t-tests with a pooled spread.

    A few seeds tell little about the spread of a pair, and accuracies are multiples of 1 / test
    size, so that the gaps of a pair are often all equal. The variance of a gap is therefore the
    largest of three:

    - that of the pair's own gaps over the seeds;
    - :math:`2 M`, where M is the residual mean square of all groups that pairs connect, after the
      means of groups and of seeds are removed (a randomized block design [1]_): a seed that is
      good for all groups adds nothing to it;
    - :math:`\mathrm{resolution}^2 / 6`, the variance that rounding of both values adds.

    With G connected groups and S seeds, t has (G - 1)(S - 1) degrees of freedom; it has S - 1 where
    the pair's own variance exceeds the pooled one beyond the 0.9 quantile of
    F(S - 1, (G - 1)(S - 1)). Each p-value is multiplied by the number of pairs (Bonferroni), which
    gives simultaneous confidence intervals.

    Where groups have equal spreads, the chance of one false alarm or more is at most the level;
    where spreads differ by a factor of 3 to 7 it reaches 7 % instead of 5 %, with few seeds of many
    groups (``python -m benchmarks.significance`` measures both, and how often differences are
    found). A noisy group raises the pooled spread and hides small differences between quiet ones.

    Args:
        values: for each group one value a seed, all in the same order of seeds, at least 2.
        pairs: of their names, first and second; every pair by default. Groups that no chain of
            pairs connects, such as rules on different topologies, are not pooled.
        resolution: the step of the values in their own unit: 1 / test size for accuracies as
            shares, 100 / test size in percent. None takes the values as exact: rounding then adds
            nothing, and where nothing varies at all, p is 1 and the interval unbounded, since no
            spread is known.
        level: of significance; intervals hold with a probability of 1 - level.

    Returns:
        A difference for each pair, the smallest p-value first. A mean difference of 0 has p = 1.

    Raises:
        ValueError: groups have different numbers of seeds, or fewer than 2, a value is not
            finite, a pair names no two groups, or resolution or level cannot be.

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
    # Of pairs with p = 1 the largest comes first.
    return sorted(found, key=lambda one: (one.p_value, -abs(one.mean)))


def detectable(
    values: Mapping[str, Sequence[float]],
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    resolution: float | None = None,
    level: float = 0.05,
    power: float = 0.8,
) -> dict[tuple[str, str], float]:
    """For each pair the true difference that :func:`differences` finds with a probability.

    It holds for as many seeds and pairs as are given, and for normal values of the pooled spread
    that they have, which a few seeds tell but roughly.

    Args:
        values: as :func:`differences` takes them.
        pairs: as there.
        resolution: as there.
        level: as there.
        power: the probability.

    Returns:
        The difference in the unit of the values; infinite where no spread is known.

    Raises:
        ValueError: as :func:`differences` does, or power is not between level and 1.
    """
    arrays, asked = _check(values, pairs, resolution, level)
    if not level < power < 1:
        raise ValueError(f"power must be between the level {level} and 1, got {power}.")
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
    lengths = {len(group) for group in values.values()}
    if len(lengths) > 1 or min(lengths, default=2) < 2:
        raise ValueError(
            f"every group needs one value a seed, at least 2, got {sorted(lengths)}; leave out the "
            "seeds that some group lacks, in all groups."
        )
    arrays = {name: np.asarray(group, dtype=float) for name, group in values.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"every value must be finite, got {array.tolist()} for {name!r}; leave out the "
                "seeds that failed, in all groups, or the group that failed."
            )
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, as 0.05, got {level}.")
    if resolution is not None:
        _check_resolution(resolution, arrays)
    asked = list(itertools.combinations(arrays, 2) if pairs is None else pairs)
    for first, second in asked:
        if first == second or not {first, second} <= set(arrays):
            raise ValueError(
                f"a pair must be two of the groups {list(arrays)}, got {(first, second)}."
            )
    if len({frozenset(pair) for pair in asked}) < len(asked):
        raise ValueError("a pair is given twice; give each once, in one order.")
    return arrays, asked


def _check_resolution(resolution: float, arrays: Mapping[str, np.ndarray]) -> None:
    if not 0 < resolution < math.inf:
        raise ValueError(
            f"resolution must be a positive number, such as 1 / test size, or None, got "
            f"{resolution}."
        )
    extent = float(np.ptp(list(arrays.values()))) if arrays else 0.0
    # Multiples of a step that are not equal are at least a step apart.
    if _rounding(arrays) < extent < resolution / 2:
        raise ValueError(
            f"the values differ by {extent:.3g} at most, less than their resolution {resolution}; "
            "give it in their unit: 1 / test size for shares, 100 / test size for percent."
        )


def _rounding(arrays: Mapping[str, np.ndarray]) -> float:
    """What is not larger comes from rounding of floating-point numbers."""
    return 1e-12 * max((float(np.abs(array).max()) for array in arrays.values()), default=0.0)


def _spreads(
    arrays: Mapping[str, np.ndarray], pairs: Iterable[tuple[str, str]], resolution: float
) -> dict[str, _Spread]:
    """For each group that is compared the spread of all groups that pairs connect with it."""
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
    """How large the absolute value of t must be to be significant at a level."""
    return -special.stdtrit(degrees, level / 2)


def _detectable_units(groups: int, seeds: int, level: float, power: float) -> float:
    """What is detectable, in standard deviations of one group's values.

    Of normal values the mean gap of a pair, the variance of its gaps and the rest of the residual
    squares are independent; the last two are summed over a grid of their quantiles.
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
