"""Sentences on which topologies and rules differ significantly in their test accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sparsebrain.experiments.nulls import KEPT, split_null
from sparsebrain.experiments.report import Row, null_pairs, percent
from sparsebrain.experiments.significance import Difference, detectable, differences

_POWER = 0.8
_LISTED = 10
"""Up to this number, pairs that are not significant are listed one by one."""

_Groups = Mapping[str, Mapping[int, float]]
"""The accuracies of each group by seed, in percent."""

_Pairs = Mapping[tuple[str, str], tuple[str, str]]
"""The groups of each pair, and their names in a sentence about it."""


def tell_differences(
    rows: Sequence[Row], level: float = 0.05, *, num_test: int | None = None
) -> str:
    """Report which topologies differ in test accuracy, and which difference would be detected.

    Every pair is compared over the seeds that all rows have, by
    :func:`~sparsebrain.experiments.significance.differences`. Runs that diverged are left out, and
    so are rows with fewer than two remaining runs; the report mentions both.

    Args:
        rows: Rows of one rule under different labels.
        level: Significance level.
        num_test: Number of test images; accuracies are multiples of its inverse.

    Returns:
        Sentences with confidence intervals in percentage points of accuracy.
    """
    return _tell(*_topologies(rows), level, num_test, "topologies")


def tell_rule_differences(
    rows: Sequence[Row], level: float = 0.05, *, num_test: int | None = None
) -> str:
    """Report which rules differ in test accuracy from the first rule on the same topology.

    Args:
        rows: Rows of any rules and labels; otherwise as for :func:`tell_differences`.
        level: Significance level for all topologies together.
        num_test: Number of test images; accuracies are multiples of its inverse.

    Returns:
        Sentences with confidence intervals in percentage points of accuracy.
    """
    return _tell(*_rules(rows), level, num_test, "rules on a topology")


def compared(
    rows: Sequence[Row],
    *,
    by_rule: bool = False,
    level: float = 0.05,
    num_test: int | None = None,
) -> list[tuple[str, str, Difference]]:
    """Return the differences that the sentences report.

    Args:
        rows: As for :func:`tell_differences`.
        by_rule: Whether the sentences are those of :func:`tell_rule_differences`. Rows with null
            models are compared as by :func:`tell_null_differences`.
        level: Significance level.
        num_test: Number of test images.

    Returns:
        Two names and their difference in percentage points of accuracy, per pair; none if fewer
        than two seeds can be compared.
    """
    find = _nulls if null_pairs(rows) else _rules if by_rule else _topologies
    groups, pairs = find(rows)
    values, seeds = _in_common(groups, pairs)
    if len(seeds) < 2:
        return []
    resolution = None if num_test is None else 100 / num_test
    found = differences(values, pairs, resolution=resolution, level=level)
    return [(*pairs[one.first, one.second], one) for one in found]


def _topologies(rows: Sequence[Row]) -> tuple[_Groups, _Pairs]:
    """Return the accuracies of rows of one rule, and every pair of rows with two seeds."""
    groups = {row.label: percent(row) for row in rows}
    labels = [label for label, values in groups.items() if len(values) > 1]
    pairs = {
        (first, second): (first, second)
        for number, first in enumerate(labels)
        for second in labels[number + 1 :]
    }
    return groups, pairs


def _rules(rows: Sequence[Row]) -> tuple[_Groups, _Pairs]:
    """Return the accuracies of rows, and the pairs of every rule with the first on a topology."""
    named = {f"{row.rule} on {row.label}": row for row in rows}
    groups = {name: percent(row) for name, row in named.items()}
    pairs = {}
    for label in dict.fromkeys(row.label for row in rows):
        names = [name for name in named if named[name].label == label and len(groups[name]) > 1]
        for other in names[1:]:
            pairs[other, names[0]] = named[other].rule, f"{named[names[0]].rule} on {label}"
    return groups, pairs


def _nulls(rows: Sequence[Row]) -> tuple[_Groups, _Pairs]:
    """Return the accuracies of rows with null models, and the pairs of each with its null model."""
    rules = {row.rule for row in rows}
    groups: dict[str, dict[int, float]] = {}
    pairs = {}
    for base, null in null_pairs(rows):
        one, other = (
            row.label if len(rules) == 1 else f"{row.rule} on {row.label}" for row in (base, null)
        )
        groups |= {one: percent(base), other: percent(null)}
        if min(len(groups[one]), len(groups[other])) > 1:
            name = split_null(null.runs[0].topology)[1]
            pairs[one, other] = one, f"its null model {name}"
    return groups, pairs


def _in_common(groups: _Groups, pairs: _Pairs) -> tuple[dict[str, list[float]], list[int]]:
    """Return the accuracies of the groups in pairs over the seeds that all of them have."""
    names = dict.fromkeys(name for pair in pairs for name in pair)
    seeds = sorted(set.intersection(*(set(groups[name]) for name in names)) if names else ())
    return {name: [groups[name][seed] for seed in seeds] for name in names}, seeds


def tell_null_differences(
    rows: Sequence[Row], level: float = 0.05, *, num_test: int | None = None
) -> str:
    """Report which topologies differ in test accuracy from their null models.

    Accuracies are paired by seed: the null model of a seed is drawn from the connectome of that
    seed.

    Args:
        rows: Rows of any rules and labels, with those of null models.
        level: Significance level for all pairs together.
        num_test: Number of test images; accuracies are multiples of its inverse.

    Returns:
        Sentences with confidence intervals in percentage points of accuracy, and what each null
        model keeps.
    """
    told = _tell(*_nulls(rows), level, num_test, "topologies")
    names = dict.fromkeys(split_null(null.runs[0].topology)[1] for _, null in null_pairs(rows))
    kept = [f"{name} keeps {KEPT[name]}" for name in names if name in KEPT]
    if kept:
        told += (
            f"\n{'; '.join(kept)}; everything else about the synapses is random. A significant "
            "difference is due to what the null model does not keep. One that is not significant "
            "does not show that the wiring makes no difference; the interval says how large it may "
            "be."
        )
    return told


def _tell(
    groups: _Groups,
    pairs: _Pairs,
    level: float,
    num_test: int | None,
    what: str,
) -> str:
    values, seeds = _in_common(groups, pairs)
    if groups and not any(groups.values()):
        return "Every run diverged, so there is nothing to compare."
    told = []
    if lost := [name for name, values in groups.items() if len(values) < 2]:
        told.append(f"Not compared, because fewer than two seeds finished: {', '.join(lost)}.")
    if len(seeds) < 2:
        lacking = "two seeds in common" if pairs else f"two {what} with two seeds each"
        return "\n".join([*told, f"Nothing to compare: a test needs {lacking}."])
    if any(len(groups[name]) > len(seeds) for name in values):
        told.append(f"Compared over the common seeds: {', '.join(map(str, seeds))}.")
    resolution = None if num_test is None else 100 / num_test
    found = differences(values, pairs, resolution=resolution, level=level)
    told.append(_tell_significant(found, pairs, level))
    told.append(
        f"Based on {len(seeds)} seeds, t-tests with a pooled spread and Bonferroni's correction "
        f"for {len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}. Parentheses give simultaneous "
        f"{100 * (1 - level):g} % confidence intervals."
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
        f"Significant at the {100 * level:g} % level, in percentage points: {'; '.join(sure)}."
        if sure
        else f"No difference in accuracy is significant at the {100 * level:g} % level."
    )
    if not others:
        return told
    if len(others) > _LISTED:
        largest = max(others, key=lambda one: abs(one.mean))
        return f"{told}\nNot significant: {len(others)} pairs, the largest {describe(largest)}."
    return f"{told}\nNot significant: {'; '.join(map(describe, others))}."


def _tell_detectable(least: list[float], seeds: int) -> str:
    if math.isinf(max(least)):
        return "Some accuracies do not vary over seeds, so the detectable difference is unknown."
    between = f"{min(least):.2f}"
    if f"{max(least):.2f}" != between:
        between += f" to {max(least):.2f} percentage points, depending on the topology,"
    else:
        between += " percentage points"
    return (
        f"With {seeds} seeds and this spread, a true difference of {between} would be detected in "
        f"{100 * _POWER:g} % of such comparisons."
    )
