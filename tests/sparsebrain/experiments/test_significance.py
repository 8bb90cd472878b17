import numpy as np
import pytest
from scipy import stats

from sparsebrain.experiments.significance import differences


def test_a_single_pair_is_scipys_paired_t_test():
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=8), draw.normal(size=8) + 1
    (found,) = differences({"a": a, "b": b})
    assert (found.first, found.second) == ("a", "b")
    assert found.mean == pytest.approx((a - b).mean())
    assert found.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_holms_correction_by_hand():
    draw = np.random.default_rng(1)
    groups = {name: draw.normal(size=6) + shift for name, shift in (("a", 0), ("b", 1), ("c", 4))}
    raw = sorted(
        stats.ttest_rel(groups[one], groups[other]).pvalue
        for one, other in (("a", "b"), ("a", "c"), ("b", "c"))
    )
    first = min(1, 3 * raw[0])
    second = max(first, min(1, 2 * raw[1]))
    expected = [first, second, max(second, raw[2])]
    assert [found.p_value for found in differences(groups)] == pytest.approx(expected)


def test_only_the_pairs_that_are_asked_for_count():
    draw = np.random.default_rng(3)
    groups = {name: draw.normal(size=6) for name in "abcd"}
    found = differences(groups, [("c", "a"), ("b", "a")])
    raw = sorted(stats.ttest_rel(groups[name], groups["a"]).pvalue for name in "bc")
    expected = [min(1, 2 * raw[0]), max(min(1, 2 * raw[0]), raw[1])]
    assert [each.p_value for each in found] == pytest.approx(expected)
    assert {(each.first, each.second) for each in found} == {("b", "a"), ("c", "a")}


def test_equal_gaps_have_no_spread():
    same, above = [0.97, 0.98, 0.99], [0.98, 0.99, 1.0]
    assert differences({"a": same, "b": same})[0].p_value == 1
    assert differences({"a": above, "b": same})[0].p_value == 0


def test_the_chance_of_any_false_alarm_is_what_is_claimed():
    """Four equal groups, 5 seeds, 2000 times: at 5 %, alarms within 4.5 standard deviations."""
    draw = np.random.default_rng(2)
    alarms = sum(
        differences(dict(zip("abcd", draw.normal(size=(4, 5)), strict=True)))[0].p_value < 0.05
        for _ in range(2000)
    )
    assert alarms / 2000 < 0.05 + 4.5 * (0.05 * 0.95 / 2000) ** 0.5
    assert alarms / 2000 > 0.01


@pytest.mark.parametrize("values", [{"a": [1.0], "b": [2.0]}, {"a": [1.0, 2.0], "b": [1.0]}])
def test_groups_need_the_same_seeds(values):
    with pytest.raises(ValueError, match="every group needs one value a seed, at least 2"):
        differences(values)


def test_values_must_be_finite():
    with pytest.raises(ValueError, match="every value must be finite"):
        differences({"a": [1.0, float("nan")], "b": [1.0, 2.0]})
