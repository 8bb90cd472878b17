import math

import numpy as np
import pytest
from scipy import stats

from sparsebrain.experiments.significance import detectable, differences

LEVEL = 0.05
GRID = {"grid": [0.9722, 0.9750], "none": [0.9722 - 1 / 360, 0.9750 - 1 / 360]}


def accuracies(draw, groups, seeds, *, images, spreads=0.25, shared=0.3, gap=0.0):
    """Percentages rounded to what so many test images allow; the first group is better by gap."""
    step = 100 / images
    values = 97.4 + np.reshape(spreads, (-1, 1)) * draw.normal(size=(groups, seeds))
    values += shared * draw.normal(size=seeds)
    values[0] += gap
    return {str(name): (np.rint(row / step) * step).tolist() for name, row in enumerate(values)}


def test_a_single_pair_is_scipys_paired_t_test():
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=8), draw.normal(size=8) + 1
    (found,) = differences({"a": a, "b": b})
    expected = stats.ttest_rel(a, b)
    assert (found.first, found.second, found.num_seeds) == ("a", "b", 8)
    assert found.mean == pytest.approx((a - b).mean())
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_three_groups_are_a_randomized_block_design():
    """By hand: c leaves (-2, 4, -2) / 6 without row and column means, a and b (1, -2, 1) / 6."""
    values = {"a": [3.0, 4.0, 5.0], "b": [1.0, 2.0, 3.0], "c": [0.0, 2.0, 1.0]}
    found = {(one.first, one.second): one for one in differences(values)}
    error = math.sqrt(2 * (1 / 3) / 3)
    one = found["a", "b"]
    assert one.mean == 2
    assert one.p_value == pytest.approx(3 * 2 * stats.t.sf(2 / error, 4))
    half = stats.t.isf(0.05 / 3 / 2, 4) * error
    assert (one.low, one.high) == pytest.approx((2 - half, 2 + half))
    # The pair's own variance, 1, is larger than 2 / 3, but not beyond the 0.9 quantile of F(2, 4).
    error = math.sqrt(1 / 3)
    assert found["a", "c"].p_value == pytest.approx(3 * 2 * stats.t.sf(3 / error, 4))


def test_a_pair_noisier_than_chance_is_tested_alone():
    draw = np.random.default_rng(1)
    values = {name: draw.normal(size=6) * 0.01 for name in "abc"} | {"d": draw.normal(size=6) * 9}
    found = {(one.first, one.second): one for one in differences(values)}
    alone = stats.ttest_rel(values["a"], values["d"]).pvalue
    assert found["a", "d"].p_value == pytest.approx(min(1, 6 * alone))


def test_only_pairs_that_are_asked_for_count_and_only_what_they_connect_is_pooled():
    draw = np.random.default_rng(3)
    groups = {name: draw.normal(size=6) for name in "abcde"}
    groups["e"] *= 100
    asked = [("c", "a"), ("b", "a")]
    found = differences(groups, asked)
    assert {(one.first, one.second) for one in found} == set(asked)
    assert found == differences({name: groups[name] for name in "abc"}, asked)
    more = {(one.first, one.second): one for one in differences(groups, [*asked, ("d", "e")])}
    for one in found:
        other = more[one.first, one.second]
        assert other.mean == one.mean
        # Three pairs now and not two, with the same spread.
        assert other.p_value == pytest.approx(min(1, 1.5 * one.p_value))


def test_equal_gaps_of_two_seeds_are_not_significant():
    """Rounding of both accuracies is a variance of resolution^2 / 6."""
    (known,) = differences(GRID, resolution=1 / 360)
    assert known.mean == pytest.approx(1 / 360)
    assert known.p_value == pytest.approx(2 * stats.t.sf(math.sqrt(12), 1))
    assert known.low < 0 < known.high
    (unknown,) = differences(GRID)
    assert (unknown.p_value, unknown.low, unknown.high) == (1, -math.inf, math.inf)
    in_percent = {name: [100 * value for value in group] for name, group in GRID.items()}
    (percent,) = differences(in_percent, resolution=100 / 360)
    assert percent.p_value == pytest.approx(known.p_value)
    assert percent.high == pytest.approx(100 * known.high)


@pytest.mark.parametrize("resolution", [None, 0.01])
def test_equal_values_do_not_differ(resolution):
    same = [0.97, 0.98, 0.99]
    found = differences({"a": same, "b": same, "c": same}, resolution=resolution)
    assert [(one.mean, one.p_value) for one in found] == [(0, 1)] * 3
    found = differences({"a": [0.97] * 4, "b": [0.97] * 4}, resolution=resolution)
    assert [one.p_value for one in found] == [1]


def test_intervals_say_what_the_test_says():
    draw = np.random.default_rng(5)
    for _ in range(300):
        groups, seeds = int(draw.integers(2, 7)), int(draw.integers(2, 8))
        gap = float(draw.uniform(0, 3))
        values = accuracies(draw, groups, seeds, images=360, gap=gap)
        for level in (0.05, 0.2):
            found = differences(values, resolution=100 / 360, level=level)
            for one in found:
                assert (one.p_value < level) == (not one.low <= 0 <= one.high)
                assert one.low + one.high == pytest.approx(2 * one.mean, abs=1e-9)
            assert [one.p_value for one in found] == sorted(one.p_value for one in found)


DRAWS = 1000


def most(rate):
    """So many of the draws are exceeded at that rate with a probability of at most 1e-5."""
    return stats.binom.isf(1e-5, DRAWS, rate)


ALIKE = [
    *((2, groups, images, True) for groups in (2, 4, 10) for images in (360, 10_000)),
    *((3, groups, 360, True) for groups in (3, 4, 8)),
    *((5, 4, 360, True), (10, 2, 360, True), (10, 10, 10_000, True)),
    *((2, 2, 360, False), (2, 4, 360, False), (3, 4, 360, False)),
]


@pytest.mark.parametrize(("seeds", "groups", "images", "known"), ALIKE)
def test_groups_that_are_alike_are_rarely_told_apart(seeds, groups, images, known):
    """Any alarm in at most 5 % of comparisons; each case fails by chance once in 100,000."""
    draw = np.random.default_rng(seeds + 100 * groups + images)
    alarms = 0
    for number in range(DRAWS):
        spread = (0.1, 0.25, 0.6)[number % 3]
        values = accuracies(draw, groups, seeds, images=images, spreads=spread)
        found = differences(values, resolution=100 / images if known else None)
        alarms += found[0].p_value < LEVEL
    assert alarms <= most(0.05)


@pytest.mark.parametrize(("seeds", "groups"), [(2, 4), (3, 4), (5, 4), (3, 10)])
def test_one_noisy_group_raises_few_alarms(seeds, groups):
    """Three times as noisy: any in at most 8 %; each case fails by chance once in 100,000."""
    draw = np.random.default_rng(seeds + 100 * groups)
    spreads = [0.75, *[0.25] * (groups - 1)]
    alarms = 0
    for _ in range(DRAWS):
        values = accuracies(draw, groups, seeds, images=360, spreads=spreads)
        alarms += differences(values, resolution=100 / 360)[0].p_value < LEVEL
    assert alarms <= most(0.08)


def test_rules_on_three_topologies_are_rarely_told_apart():
    """27 pairs, 3 seeds; spreads and the seed's effect belong to each topology."""
    draw = np.random.default_rng(9)
    alarms = 0
    for _ in range(DRAWS):
        values, pairs = {}, []
        for topology, spread in (("a", 0.1), ("b", 0.4), ("c", 2.0)):
            these = accuracies(draw, 10, 3, images=360, spreads=spread)
            values |= {f"{rule} on {topology}": row for rule, row in these.items()}
            pairs += [(f"{rule} on {topology}", f"0 on {topology}") for rule in range(1, 10)]
        alarms += differences(values, pairs, resolution=100 / 360)[0].p_value < LEVEL
    assert alarms <= most(0.05)


@pytest.mark.parametrize(
    ("gap", "spread", "seeds", "least"), [(2, 0.25, 5, 0.9), (1, 0.4, 5, 0.6), (0.5, 0.25, 10, 0.8)]
)
@pytest.mark.parametrize("images", [360, 10_000])
def test_differences_are_found(gap, spread, seeds, least, images):
    """Of four groups, in so many of 1000 draws; the rates are 100, 66 to 68 and 86 to 90 %.

    So this fails by chance once in 10,000 at most.
    """
    draw = np.random.default_rng(seeds + images)
    found = 0
    for _ in range(1000):
        values = accuracies(draw, 4, seeds, images=images, spreads=spread, gap=gap)
        told = {
            (one.first, one.second): one for one in differences(values, resolution=100 / images)
        }
        one = told["0", "1"]
        found += one.p_value < LEVEL and one.mean > 0
    assert found / 1000 > least


@pytest.mark.parametrize(("seeds", "groups"), [(2, 2), (2, 4), (3, 4), (5, 4), (5, 10)])
def test_what_is_detectable_is_found_so_often(seeds, groups):
    """In 80 % of 1000 draws, within 4.5 of their standard deviations."""
    draw = np.random.default_rng(seeds + 10 * groups)
    # Of such a table the residual mean square is known: it has the spread 1.
    table = draw.normal(size=(groups, seeds))
    rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    table = rest / math.sqrt((rest**2).sum() / ((groups - 1) * (seeds - 1)))
    least = detectable({str(name): row for name, row in enumerate(table)})
    assert len(least) == groups * (groups - 1) / 2
    assert len({round(value, 9) for value in least.values()}) == 1
    found = 0
    for _ in range(1000):
        values = accuracies(draw, groups, seeds, images=10**9, spreads=1.0, gap=least["0", "1"])
        told = {(one.first, one.second): one.p_value for one in differences(values)}
        found += told["0", "1"] < LEVEL
    assert abs(found / 1000 - 0.8) <= 4.5 * math.sqrt(0.8 * 0.2 / 1000)


def test_more_is_detectable_with_less_power_and_nothing_without_a_spread():
    values = {"a": [1.0, 2.0, 4.0], "b": [2.0, 2.5, 4.5]}
    less, more = (detectable(values, power=power)["a", "b"] for power in (0.5, 0.9))
    assert 0 < less < more
    assert detectable(GRID) == {("grid", "none"): math.inf}
    assert detectable(GRID, resolution=1 / 360)["grid", "none"] < 0.1
    with pytest.raises(ValueError, match=r"power must be between the level 0\.05 and 1, got 1"):
        detectable(values, power=1)


@pytest.mark.parametrize("values", [{"a": [1.0], "b": [2.0]}, {"a": [1.0, 2.0], "b": [1.0]}])
def test_groups_need_the_same_seeds(values):
    with pytest.raises(
        ValueError, match=r"at least 2, got .*; leave out the seeds that some group"
    ):
        differences(values)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308, 2e100])
def test_values_must_be_finite(value):
    with pytest.raises(ValueError, match=r"values\['a'\] must be finite .*; leave out the seeds"):
        differences({"a": [1.0, value], "b": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "resolution must be a finite number .* pass"),
        ({"resolution": 1e308}, "resolution must be a finite number .* pass"),
        ({"resolution": math.nan}, "resolution must be a finite number .* pass"),
        ({"resolution": 100 / 360}, "100 / test size for percent"),
        ({"level": 0}, "level must be between 0 and 1, got 0; pass"),
        ({"level": math.nan}, "level must be a finite number .* pass"),
        ({"pairs": ["grid"]}, "pairs must hold pairs of two of the groups .* pass"),
        ({"pairs": [("grid", "none", "grid")]}, "pairs must hold pairs"),
        ({"pairs": [("grid", ["none"])]}, "pairs must hold pairs"),
        ({"pairs": [("grid", "nome")]}, r"two of the groups \['grid', 'none'\], got"),
        ({"pairs": [("grid", "grid")]}, "two of the groups"),
        ({"pairs": [("grid", "none"), ("none", "grid")]}, "pairs has a pair twice; pass"),
    ],
)
def test_what_cannot_be_compared_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        differences(GRID, **options)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [[1.0, 2.0]],
        "ab",
        3,
        {"a": "12", "b": "34"},
        {"a": ["1", "2"]},
        {"a": [True, False]},
        {"a": 1.0},
        {"a": None},
        {"a": [[1.0, 2.0], [3.0, 4.0]]},
        {"a": [1.0, [2.0]]},
        {"a": [1.0, None]},
        {"a": [1j, 2j]},
        {"a": {"x": 1.0}},
        {"a": [10**30, 1]},
    ],
)
def test_values_are_sequences_of_numbers_by_name(values):
    for function in (differences, detectable):
        with pytest.raises(TypeError, match="values.* must be a .*; pass for example values={"):
            function(values)


@pytest.mark.parametrize("value", ["0.05", None, True, [0.05]])
def test_levels_are_numbers(value):
    for name in ("level", "power", "resolution"):
        if (name, value) != ("resolution", None):
            with pytest.raises(TypeError, match=f"{name} must be a finite number .* pass"):
                detectable(GRID, **{name: value})
    with pytest.raises(TypeError, match="pairs must be an iterable of pairs .* pass"):
        differences(GRID, 3)


def test_large_values_are_compared_exactly():
    """Multiples by a power of 2, up to the largest that is allowed."""
    small = {"a": [1.0, 2.0, 4.0], "b": [2.0, 3.5, 4.5]}
    large = {name: [value * 2.0**330 for value in group] for name, group in small.items()}
    (one,), (other,) = differences(small), differences(large)
    assert other.p_value == one.p_value
    assert other.mean == one.mean * 2.0**330


def test_there_may_be_nothing_to_compare():
    assert differences({}) == []
    assert differences({"a": [1.0, 2.0]}) == []
    assert differences(GRID, []) == []
    assert detectable(GRID, []) == {}
