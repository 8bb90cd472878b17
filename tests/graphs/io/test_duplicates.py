import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.contract import build
from graphs.io.duplicates import combine

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), max_size=12)


@given(ROWS, st.booleans())
def test_sums_are_those_of_a_dictionary(rows, typed):
    source, target, kind = np.array(rows, dtype=np.int64).reshape(-1, 3).T.copy()
    weight = np.arange(len(rows), dtype=np.float32)
    expected = {}
    for (s, t, k), each in zip(rows, weight.tolist(), strict=True):
        key = (t, s, k if typed else 0)
        expected[key] = expected.get(key, 0) + each
    data = build(
        4,
        **combine(
            4,
            source,
            target,
            edge_weight=weight,
            edge_type=kind if typed else None,
            duplicates="sum",
        ),
    )
    kinds = data.edge_type.tolist() if typed else [0] * data.num_edges
    found = zip(*data.edge_index.flip(0).tolist(), kinds, strict=True)
    assert dict(zip(found, data.edge_weight.tolist(), strict=True)) == expected
    assert data.num_edges == len(expected)
    if len(expected) < len(rows):
        with pytest.raises(ValueError, match=rf"\({len(rows) - len(expected)} of {len(rows)} rep"):
            combine(4, source, target, edge_type=kind if typed else None, duplicates="error")


def test_sums_are_taken_in_double_precision():
    many = np.zeros(10**5, dtype=np.int64)
    weight = np.full(10**5, 0.1, dtype=np.float32)
    found = combine(1, many, many, edge_weight=weight, duplicates="sum")
    assert found["edge_weight"].tolist() == [np.float32(np.float64(weight[0]) * 10**5)]


def test_signs_that_agree_are_kept():
    ends = np.array([0, 0, 1])
    found = combine(2, ends, ends, edge_sign=np.float32([-1, -1, 1]), duplicates="sum")
    assert found["edge_sign"].tolist() == [-1, 1]
    assert found["edge_weight"].tolist() == [2, 1]
    with pytest.raises(ValueError, match="must have one sign, got 0 -> 0 of type 5 with both"):
        combine(
            2,
            ends,
            ends,
            edge_type=np.array([5, 5, 5]),
            edge_sign=np.float32([-1, 1, 1]),
            duplicates="sum",
        )


@pytest.mark.parametrize(("how", "error"), [("add", ValueError), (None, TypeError)])
def test_unknown_ways(how, error):
    with pytest.raises(error, match=r"duplicates must be one of 'error', 'sum'"):
        combine(1, np.array([0]), np.array([0]), duplicates=how)
