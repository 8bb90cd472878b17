import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from graphs.generators import bipartite

# False-alarm rate of a statistical test; seeds are fixed, so a test that passes keeps passing.
FALSE_ALARM = 1e-5

rows_of_places = st.lists(
    st.integers(0, 30).flatmap(lambda width: st.tuples(st.just(width), st.integers(0, width))),
    max_size=12,
)


def pairs_of(ends):
    return list(zip(*(end.tolist() for end in ends), strict=True))


def uniform(counts, outcomes):
    """The counts of equally likely outcomes; chi^2."""
    expected = sum(counts.values()) / outcomes
    found = sum((count - expected) ** 2 / expected for count in counts.values())
    found += (outcomes - len(counts)) * expected
    return found < chi2.isf(FALSE_ALARM, outcomes - 1)


@given(st.sets(st.integers(0, 40)), st.lists(st.integers(0, 30)))
def test_free_places_by_rank(taken, ranks):
    taken = np.array(sorted(taken), dtype=np.int64)
    expected = np.setdiff1d(np.arange(100), taken)
    found = bipartite.free(np.array(ranks, dtype=np.int64), taken)
    assert found.tolist() == expected[ranks].tolist()


def test_places_below_the_diagonal():
    larger, smaller = bipartite.below_diagonal(np.arange(4950))
    expected = [(i, j) for i in range(100) for j in range(i)]
    assert pairs_of((larger, smaller)) == expected


@pytest.mark.parametrize("size", [10**6 + 1, 2**31, 3 * 10**9])
def test_places_below_a_long_diagonal(size):
    # The first and last places of rows, where the rounded root may be off.
    rows = np.array([size - 2, size - 1], dtype=np.int64)
    first = rows * (rows - 1) // 2
    larger, smaller = bipartite.below_diagonal(np.concatenate((first, first + rows - 1)))
    assert larger.tolist() == [*rows.tolist()] * 2
    assert smaller.tolist() == [0, 0, size - 3, size - 2]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("sources", "targets", "same"), [(4, 6, False), (5, 5, True), (0, 3, False)]
)
def test_rules_keep_their_numbers(sources, targets, same, times):
    rng = np.random.default_rng(0)
    shape = {"same": same, "times": times}
    drawn = {
        "all": bipartite.all_to_all(sources, targets, **shape),
        "chance": bipartite.fixed_probability(sources, targets, 0.5, rng, **shape),
        "total": bipartite.fixed_total(sources, targets, min(7, sources * 4), rng, **shape),
        "in": bipartite.fixed_in_degree(sources, targets, min(3, sources), rng, **shape),
        "out": bipartite.fixed_out_degree(sources, targets, 3, rng, **shape),
    }
    for source, target in drawn.values():
        found = pairs_of((source, target))
        assert len(set(found)) == len(found)
        assert all(0 <= s < times * sources and 0 <= t < targets for s, t in found)
        assert not same or all(s % sources != t for s, t in found)
    rectangle = {name: source // max(sources, 1) for name, (source, _) in drawn.items()}
    assert len(drawn["all"][0]) == times * sources * (targets - same)
    totals = np.bincount(rectangle["total"], minlength=times)
    assert set(totals.tolist()) == {min(7, sources * 4)}
    degree = np.bincount(rectangle["in"] * targets + drawn["in"][1], minlength=times * targets)
    assert set(degree.tolist()) == {min(3, sources)}
    degree = np.bincount(drawn["out"][0], minlength=times * sources)
    assert set(degree.tolist()) <= {3}


def test_one_to_one():
    assert pairs_of(bipartite.one_to_one(3, times=2)) == [
        (0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("rule", ["fixed_in_degree", "fixed_out_degree"])
def test_partners_are_equally_likely(rule):
    rng = np.random.default_rng(1)
    counts = {}
    times = 3000
    source, target = getattr(bipartite, rule)(4, 4, 2, rng, same=True, times=times)
    own, other = (target, source % 4) if rule == "fixed_in_degree" else (source % 4, target)
    key = np.sort((source // 4 * 4 + own) * 4 + other).reshape(-1, 2)
    for one, two in key.tolist():
        chosen = (one // 4 % 4, one % 4, two % 4)
        counts[chosen] = counts.get(chosen, 0) + 1
    assert sum(counts.values()) == 4 * times
    assert set(counts) == {
        (i, *pair) for i in range(4) for pair in combinations([j for j in range(4) if j != i], 2)
    }
    assert uniform(counts, 12)


def test_number_of_pairs_is_binomial():
    counts = bipartite.fixed_probability(20, 30, 0.2, np.random.default_rng(0), times=4000)[0]
    counts = np.bincount(counts // 20, minlength=4000)
    mean, variance = 600 * 0.2, 600 * 0.2 * 0.8
    # Normal approximation; a deviation of 4.5 standard errors has a probability of 7 in a million.
    assert abs(counts.mean() - mean) < 4.5 * math.sqrt(variance / 4000)
    assert abs(counts.var() - variance) < 4.5 * variance * math.sqrt(2 / 4000)


def test_a_million_of_more_pairs_than_memory_holds():
    source, target = bipartite.fixed_total(10**6, 10**6, 10**6, np.random.default_rng(0))
    assert len(source) == 10**6
    assert (np.diff(target * 10**6 + source) > 0).all()
