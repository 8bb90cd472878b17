import math
import re

import pytest

from sparsebrain.experiments.report import Row
from sparsebrain.experiments.significance import detectable, differences
from sparsebrain.experiments.training import Outcome, Run
from sparsebrain.experiments.verdict import tell_differences, tell_rule_differences

GRID, NONE = [97.0, 97.5, 97.2], [95.0, 95.6, 95.1]
ALIKE = [95.2, 95.2, 95.3]


def row(label, percent, rule="backprop", seeds=None):
    """A row whose runs, one for each seed, came to these accuracies."""
    seeds = range(len(percent)) if seeds is None else seeds
    runs = [
        Run(
            data="digits",
            topology=label,
            checksum="",
            synapses_wanted=0,
            loops=5,
            variant="relu",
            rule=rule,
            epochs=1,
            batch_size=64,
            learning_rate=1e-3,
            seed=seed,
        )
        for seed in seeds
    ]
    outcomes = [Outcome(1, 1, 1.0, 1.0, 1, value / 100, 1.0) for value in percent]
    return Row(label, runs, outcomes, [[]] * len(runs))


ROWS = [row("grid", GRID), row("none", NONE), row("small-world", ALIKE)]


def test_the_sentences_hold_differences_intervals_seeds_and_what_is_detectable():
    text = tell_differences(ROWS, num_test=1000)
    values = {"grid": GRID, "none": NONE, "small-world": ALIKE}
    found = differences(values, resolution=0.1)
    least = detectable(values, resolution=0.1)["grid", "none"]
    sure, others, tested, detect = text.splitlines()
    assert (
        sure
        == "Significant at the 5 % level, in percentage points: "
        + "; ".join(
            f"{one.first} {one.mean:+.2f} against {one.second} "
            f"({one.low:+.2f} to {one.high:+.2f}), p = {one.p_value:.2g}"
            for one in found[:2]
        )
        + "."
    )
    assert {(one.first, one.second) for one in found[:2]} == {
        ("grid", "none"),
        ("grid", "small-world"),
    }
    assert others == (
        f"Not significant: none +0.00 against small-world "
        f"({found[2].low:+.2f} to {found[2].high:+.2f})."
    )
    assert tested == (
        "Based on 3 seeds, t-tests with a pooled spread and Bonferroni's correction for 3 pairs. "
        "Parentheses give simultaneous 95 % confidence intervals."
    )
    assert detect == (
        f"With 3 seeds and this spread, a true difference of {least:.2f} percentage points would "
        "be detected in 80 % of such comparisons."
    )


def test_chance_is_not_significant_for_want_of_a_spread():
    """Two seeds that differ by one image each, the same way."""
    rows = [row("a", [97.5, 97.22]), row("b", [97.5 - 100 / 360, 97.22 - 100 / 360])]
    for num_test in (None, 360):
        text = tell_differences(rows, num_test=num_test)
        assert text.startswith(
            "No difference in accuracy is significant at the 5 % level.\nNot significant"
        )
    assert "With 2 seeds and this spread, a true difference of" in text
    assert tell_differences(rows).endswith("so the detectable difference is unknown.")


def test_the_resolution_is_that_of_the_test_images():
    """With 20 images the accuracies say nothing; with 1000 they do."""
    rows = [row("a", [95.0, 95.0, 95.0]), row("b", [90.0, 90.0, 90.0])]
    assert tell_differences(rows, num_test=1000).startswith("Significant at the 5 % level")
    assert tell_differences(rows, num_test=20, level=0.01).startswith("No difference")


def test_rules_are_compared_with_the_first_one_on_the_same_topology():
    rows = [
        row("grid", GRID),
        row("none", NONE),
        row("grid", NONE, rule="local-errors"),
        row("none", ALIKE, rule="local-errors"),
        row("c-elegans", ALIKE, rule="local-errors"),
    ]
    text = tell_rule_differences(rows, num_test=1000)
    assert "percentage points: local-errors -2.00 against backprop on grid (" in text
    assert "Not significant: local-errors +0.00 against backprop on none (" in text
    assert "correction for 2 pairs" in text
    assert "c-elegans" not in text
    assert re.search(r"of \d\.\d\d to \d\.\d\d percentage points, depending on the topology,", text)


def test_many_pairs_that_are_not_significant_are_counted():
    rows = [row(str(number), [97.0, 97.5 + number / 100, 97.2]) for number in range(6)]
    told = tell_differences(rows, num_test=10_000).splitlines()
    assert told[0] == "No difference in accuracy is significant at the 5 % level."
    assert told[1].startswith("Not significant: 15 pairs, the largest 0 -0.02 against 5 (")


def test_only_seeds_that_all_rows_have_are_compared():
    rows = [row("grid", GRID), row("none", [95.6, 95.1, 95.4], seeds=[1, 2, 3])]
    text = tell_differences(rows, num_test=1000)
    assert text.startswith("Compared over the common seeds: 1, 2.\n")
    assert "grid +2.00 against none" in text
    assert "on 2 seeds" in text
    rows = [row("grid", GRID), row("none", NONE, seeds=[2, 3, 4])]
    assert tell_differences(rows) == "Nothing to compare: a test needs two seeds in common."


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_runs_that_are_not_finite_do_not_count(lost):
    rows = [row("grid", GRID), row("none", [95.0, lost, 95.1])]
    text = tell_differences(rows, num_test=1000)
    assert text.startswith("Compared over the common seeds: 0, 2.\n")
    rows = [*ROWS[:2], row("file:mine.npz", [lost, 90.0, lost])]
    lines = tell_differences(rows, num_test=1000).splitlines()
    assert lines[0] == "Not compared, because fewer than two seeds finished: file:mine.npz."
    assert lines[1:] == tell_differences(ROWS[:2], num_test=1000).splitlines()


@pytest.mark.parametrize("rows", [[], ROWS[:1], [row("grid", [97.0])]])
def test_one_row_or_seed_is_nothing_to_compare(rows):
    for tell in (tell_differences, tell_rule_differences):
        told = tell(rows).splitlines()
        assert told[-1].startswith("Nothing to compare: a test needs two ")
    assert tell_differences([]).endswith("two topologies with two seeds each.")
