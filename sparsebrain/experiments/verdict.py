"""Which topologies and rules differ in their test accuracy, and what so many seeds can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sparsebrain.experiments.report import Row
from sparsebrain.experiments.significance import Difference, detectable, differences

_POWER = 0.8
_LISTED = 10
"""Pairs that are not significant are listed one by one up to this number."""

_Pairs = Mapping[tuple[str, str], tuple[str, str]]
"""The groups of each pair, and what they are called in a sentence about it."""


def tell_differences(
    rows: Sequence[Row], level: float = 0.05, *, num_test: int | None = None
) -> str:
    """Tell which topologies differ in their test accuracy, and what difference would be found.

    Every pair is compared over the seeds that all rows have, as
    :func:`~sparsebrain.experiments.significance.differences` does.

    Args:
        rows: of one rule, under different labels. A run that diverged does not count,
            and a row with fewer than two runs that count is left out; both are told.
        level: of significance.
        num_test: the number of test images, of which accuracies are multiples.

    Returns:
        Sentences, with confidence intervals, in points of accuracy (percent).
    """
    groups = {row.label: _percent(row) for row in rows}
    labels = [label for label, values in groups.items() if len(values) > 1]
    pairs = {
        (first, second): (first, second)
        for number, first in enumerate(labels)
        for second in labels[number + 1 :]
    }
    return _tell(groups, pairs, level, num_test, "topologies")


def tell_rule_differences(
    rows: Sequence[Row], level: float = 0.05, *, num_test: int | None = None
) -> str:
    """Tell which rules differ in their test accuracy from the first one on the same topology.

    Args:
        rows: of any rules and labels; otherwise as for :func:`tell_differences`.
        level: of significance, for all topologies together.
        num_test: the number of test images, of which accuracies are multiples.

    Returns:
        Sentences, with confidence intervals, in points of accuracy (percent).
    """
    named = {f"{row.rule} on {row.label}": row for row in rows}
    groups = {name: _percent(row) for name, row in named.items()}
    pairs = {}
    for label in dict.fromkeys(row.label for row in rows):
        names = [name for name in named if named[name].label == label and len(groups[name]) > 1]
        for other in names[1:]:
            pairs[other, names[0]] = named[other].rule, f"{named[names[0]].rule} on {label}"
    return _tell(groups, pairs, level, num_test, "rules on a topology")


def _percent(row: Row) -> dict[int, float]:
    """The accuracies by seed, without those of runs that diverged, which are not finite."""
    return {
        run.seed: 100 * outcome.test_accuracy
        for run, outcome in zip(row.runs, row.outcomes, strict=True)
        if math.isfinite(outcome.test_accuracy)
    }


def _tell(
    groups: Mapping[str, Mapping[int, float]],
    pairs: _Pairs,
    level: float,
    num_test: int | None,
    what: str,
) -> str:
    compared = dict.fromkeys(name for pair in pairs for name in pair)
    seeds = sorted(set.intersection(*(set(groups[name]) for name in compared)) if compared else ())
    if groups and not any(groups.values()):
        return "Every run diverged: nothing to compare."
    told = []
    if lost := [name for name, values in groups.items() if len(values) < 2]:
        told.append(f"Not compared, with fewer than two finished seeds: {', '.join(lost)}.")
    if len(seeds) < 2:
        lacking = "two seeds that all have" if pairs else f"two {what} with two seeds each"
        return "\n".join([*told, f"Nothing to compare: that takes {lacking}."])
    if any(len(groups[name]) > len(seeds) for name in compared):
        told.append(f"Compared over the seeds that all have: {', '.join(map(str, seeds))}.")
    values = {name: [groups[name][seed] for seed in seeds] for name in compared}
    resolution = None if num_test is None else 100 / num_test
    found = differences(values, pairs, resolution=resolution, level=level)
    told.append(_tell_significant(found, pairs, level))
    told.append(
        f"Tested over {len(seeds)} seeds by t-tests with a pooled spread, Bonferroni's correction "
        f"for {len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}. In parentheses: confidence "
        f"intervals, which hold simultaneously at {100 * (1 - level):g} %."
    )
    least = detectable(values, pairs, resolution=resolution, level=level, power=_POWER)
    told.append(_tell_detectable(list(least.values()), len(seeds)))
    return "\n".join(told)


def _tell_significant(found: Sequence[Difference], pairs: _Pairs, level: float) -> str:
    def describe(one: Difference) -> str:
        first, second = pairs[one.first, one.second]
        # Adding 0 turns a rounded -0.0 into 0.0.
        mean, low, high = (f"{round(value, 2) + 0:+.2f}" for value in (one.mean, one.low, one.high))
        return f"{first} {mean} against {second} ({low} to {high})"

    sure = [f"{describe(one)}, p = {one.p_value:.2g}" for one in found if one.p_value < level]
    others = [one for one in found if one.p_value >= level]
    told = (
        f"Significant at {100 * level:g} %, in points of accuracy: {'; '.join(sure)}."
        if sure
        else f"No difference in accuracy is significant at {100 * level:g} %."
    )
    if not others:
        return told
    if len(others) > _LISTED:
        largest = max(others, key=lambda one: abs(one.mean))
        return f"{told}\nNot significant: {len(others)} pairs, the largest {describe(largest)}."
    return f"{told}\nNot significant: {'; '.join(map(describe, others))}."


def _tell_detectable(least: list[float], seeds: int) -> str:
    if math.isinf(max(least)):
        return "Some accuracies have no spread, so that chance cannot be told from a difference."
    between = f"{min(least):.2f}"
    if f"{max(least):.2f}" != between:
        between += f" to {max(least):.2f} points, depending on the topology,"
    else:
        between += " points"
    return (
        f"With {seeds} seeds and this spread, a true difference of {between} would be found in "
        f"{100 * _POWER:g} % of such comparisons."
    )
