"""Synapses in compressed-sparse-row form, and parallel synapses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import compiled
from graphs.ordering import has_parallel, views

needs_helpers = pytest.mark.skipif(
    compiled.module() is None, reason="no compiled helpers; .ci/run asserts them"
)


def check(found, rows, columns, neurons):
    """Compare a view with NumPy's stable sort."""
    pointer, neuron, order = found
    expected = np.lexsort((columns, rows))
    identity = np.arange(len(rows))
    assert (order is None) == np.array_equal(expected, identity)
    assert np.array_equal(identity if order is None else order, expected)
    assert np.array_equal(neuron, columns[expected])
    assert np.array_equal(pointer, np.searchsorted(rows[expected], np.arange(neurons + 1)))


@st.composite
def synapses(draw):
    neurons = draw(st.integers(1, 9))
    ends = st.integers(0, neurons - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=40))
    order = draw(st.sampled_from([None, (0, 1), (1, 0)]))
    if order is not None:
        pairs = sorted(pairs, key=lambda pair: (pair[order[0]], pair[order[1]]))
    if draw(st.booleans()):
        pairs = list(dict.fromkeys(pairs))
    source, target = np.array(pairs, dtype=np.int64).reshape(-1, 2).T.copy()
    return neurons, source, target


@needs_helpers
@given(synapses(), st.booleans())
def test_views_are_stable_sorts(case, wide):
    neurons, source, target = case
    by_target, by_source = compiled.module().views(source, target, neurons, wide)
    assert by_target[1].dtype == (np.int64 if wide else np.int32)
    check(by_target, target, source, neurons)
    check(by_source, source, target, neurons)


@needs_helpers
@pytest.mark.parametrize("neurons", [3, 1000, 70_000, 2_000_000])
@pytest.mark.parametrize("order", ["any", "target", "source"])
def test_views_of_many_synapses(neurons, order):
    source, target = np.random.default_rng(0).integers(neurons, size=(2, 100_000))
    keys = {"any": None, "target": (source, target), "source": (target, source)}[order]
    if keys is not None:
        _, first = np.unique(keys[1] * neurons + keys[0], return_index=True)
        source, target = source[first], target[first]
    by_target, by_source = views(source, target, neurons)
    check(by_target, target, source, neurons)
    check(by_source, source, target, neurons)


@given(synapses())
def test_parallel_synapses_are_found(plain, case):
    neurons, source, target = case
    expected = len({*zip(source.tolist(), target.tolist(), strict=True)}) < len(source)
    assert has_parallel(source, target, neurons) == expected
    assert plain(has_parallel, source, target, neurons) == expected


@pytest.mark.parametrize("copies", [0, 1])
def test_one_parallel_synapse_among_many_is_found(copies):
    rng = np.random.default_rng(0)
    keys = rng.choice(70_000**2, 100_000, replace=False)
    keys = np.concatenate((keys, keys[77 : 77 + copies]))
    assert has_parallel(*np.divmod(keys, 70_000), 70_000) == bool(copies)


def test_there_are_no_views_without_helpers(plain):
    assert plain(views, *np.zeros((2, 0), np.int64), 3) is None
