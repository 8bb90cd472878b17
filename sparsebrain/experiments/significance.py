"""Which differences between topologies are more than the luck of their seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Difference(NamedTuple):
    """The mean of first minus second, and its p-value, corrected for all the comparisons made."""

    first: str
    second: str
    mean: float
    p_value: float


def differences(
    values: Mapping[str, Sequence[float]], pairs: Iterable[tuple[str, str]] | None = None
) -> list[Difference]:
    r"""Compare pairs of groups by a paired t-test over the seeds, with Holm's correction.

    The p-values, in rising order :math:`p_{(1)} \le \dots \le p_{(m)}`, become
    :math:`\max_{j \le i} \min(1, (m - j + 1) p_{(j)})`, so that the chance of one false alarm or
    more is at most the level they are held against.

    Args:
        values: for each group one value a seed, all in the same order of seeds, at least 2.
        pairs: of their names, first and second; every pair by default.

    Returns:
        A difference for each pair, the surest first. Pairs that differ by the same amount at every
        seed have p = 0, or 1 where that amount is zero.

    Raises:
        ValueError: groups have different numbers of seeds, or fewer than 2, or a value is not
            finite.

    References:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics 6 (1979) 65-70.

    Example:
        >>> from sparsebrain.experiments.significance import differences
        >>> (one,) = differences({"a": [5.0, 6.0, 8.0], "b": [1.0, 2.0, 2.0]})
        >>> round(one.mean, 3), round(one.p_value, 4)
        (4.667, 0.0198)
    """
    lengths = {len(group) for group in values.values()}
    if len(lengths) > 1 or min(lengths, default=2) < 2:
        raise ValueError(f"every group needs one value a seed, at least 2, got {sorted(lengths)}.")
    if not all(np.isfinite(group).all() for group in values.values()):
        raise ValueError(
            "every value must be finite; leave out the seeds that failed, in all groups."
        )
    found = []
    for first, second in itertools.combinations(values, 2) if pairs is None else pairs:
        gaps = np.subtract(values[first], values[second])
        found.append(Difference(first, second, float(gaps.mean()), _paired_t_test(gaps)))
    found.sort(key=lambda difference: difference.p_value)
    corrected, highest = [], 0.0
    for rank, difference in enumerate(found):
        highest = max(highest, min(1.0, (len(found) - rank) * difference.p_value))
        corrected.append(difference._replace(p_value=highest))
    return corrected


def _paired_t_test(gaps: np.ndarray) -> float:
    # Equal gaps have no spread to be held against, up to their rounding.
    if np.ptp(gaps) <= 1e-12 * max(1.0, float(np.abs(gaps).max())):
        return 1.0 if math.isclose(float(gaps.mean()), 0, abs_tol=1e-12) else 0.0
    return float(stats.ttest_1samp(gaps, 0.0).pvalue)
