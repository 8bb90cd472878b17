import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.generators import drawing

# |z| >= 4.5 has a probability of 7 in a million. Seeds are fixed, so a passing test keeps passing.
Z = 4.5


def z_of_chi2(found, expected):
    """Deviation of chi^2 from its mean, in standard deviations."""
    freedom = len(found) - 1
    chi2 = ((np.asarray(found) - expected) ** 2 / expected).sum()
    return abs(chi2 - freedom) / math.sqrt(2 * freedom)


@st.composite
def rows(draw):
    widths = draw(st.lists(st.integers(0, 60), max_size=12))
    counts = [draw(st.integers(0, width)) for width in widths]
    return np.array(widths, dtype=np.int64), np.array(counts, dtype=np.int64)


@given(rows(), st.integers(0, 2**32))
def test_every_row_gets_its_number_of_distinct_places(case, seed):
    widths, counts = case
    row, place = drawing.distinct(widths, counts, np.random.default_rng(seed))
    assert np.bincount(row, minlength=len(counts)).tolist() == counts.tolist()
    assert ((place >= 0) & (place < widths[row])).all()
    assert np.array_equal(np.lexsort((place, row)), np.arange(len(row)))
    assert len(set(zip(row.tolist(), place.tolist(), strict=True))) == len(row)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_all_sets_are_equally_likely(size):
    draws = 20_000
    _, place = drawing.distinct(
        np.full(draws, 5), np.full(draws, size), np.random.default_rng(size)
    )
    found = Counter(map(tuple, place.reshape(draws, size).tolist()))
    assert set(found) == set(itertools.combinations(range(5), size))
    assert z_of_chi2(list(found.values()), draws / math.comb(5, size)) < Z


def test_rows_of_any_length_are_cut_into_blocks(monkeypatch):
    monkeypatch.setattr(drawing, "_BLOCK", 10)
    widths = np.array([100, 0, 50, 3, 1000, 9, 9])
    counts = np.array([5, 0, 20, 3, 300, 0, 1])
    row, place = drawing.distinct(widths, counts, np.random.default_rng(0))
    assert np.bincount(row, minlength=7).tolist() == counts.tolist()
    assert len(set(zip(row.tolist(), place.tolist(), strict=True))) == counts.sum()


def test_long_rows_are_drawn_piece_by_piece(monkeypatch):
    # 9 places in pieces of 2 or 3, whose shares are random, so that all sets are equally likely.
    monkeypatch.setattr(drawing, "_PIECE", 1)
    draws = 126 * 60
    _, place = drawing.distinct(np.full(draws, 9), np.full(draws, 4), np.random.default_rng(0))
    found = Counter(map(tuple, place.reshape(draws, 4).tolist()))
    assert set(found) == set(itertools.combinations(range(9), 4))
    assert z_of_chi2(list(found.values()), 60) < Z


@given(rows(), st.data())
def test_shares_add_up_and_fit(case, data):
    widths, _ = case
    total = data.draw(st.integers(0, int(widths.sum())))
    found = drawing.shares(widths, total, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert found.sum() == total
    assert ((found >= 0) & (found <= widths)).all()


def test_shares_are_hypergeometric():
    # The number of the C(7, 4) equally likely sets that have these shares of 4 + 1 + 2 places.
    rng = np.random.default_rng(0)
    widths = np.array([4, 1, 2])
    draws = 7000
    found = Counter(tuple(drawing.shares(widths, 4, rng).tolist()) for _ in range(draws))
    expected = {
        shares: draws * math.prod(map(math.comb, (4, 1, 2), shares)) / math.comb(7, 4)
        for shares in itertools.product(range(5), range(2), range(3))
        if sum(shares) == 4
    }
    assert set(found) == set(expected)
    assert z_of_chi2([found[each] for each in expected], np.array([*expected.values()])) < Z


def test_spans():
    found = drawing.spans(np.array([5, 0, 9, 2]), np.array([2, 3, 0, 1]))
    assert found.tolist() == [5, 6, 0, 1, 2, 2]
