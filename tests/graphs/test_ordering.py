"""Synapses in compressed-sparse-row form, and parallel synapses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import compiled
from graphs.ordering import has_parallel, transposed, view

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
    by_target = compiled.module().view(source, target, neurons, wide)
    by_source = transposed(by_target)
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
    by_target = view(source, target, neurons)
    by_source = transposed(by_target)
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


@given(synapses())
def test_views_are_the_same_without_helpers(plain, case):
    neurons, source, target = case
    by_target = view(source, target, neurons)
    by_source = transposed(by_target)
    expected = plain(view, source, target, neurons)
    for one, other in ((by_target, expected), (by_source, plain(transposed, expected))):
        for array, same in zip(one, other, strict=True):
            assert (array is None) == (same is None)
            assert array is None or (array.dtype == same.dtype and np.array_equal(array, same))


@needs_helpers
@pytest.mark.parametrize(
    ("pointer", "neuron"),
    [
        ([0, 1, 3], [0, 1]),
        ([0, 3, 2], [0, 1]),
        ([1, 1, 2], [0, 1]),
        ([0, 1, 2], [0, 2]),
        ([0, 1, 2], [-1, 1]),
    ],
)
def test_no_index_of_a_view_is_used_unchecked(pointer, neuron):
    arrays = (np.array(pointer, np.int32), np.array(neuron, np.int32))
    with pytest.raises(IndexError, match="leads out of its synapses"):
        transposed((*arrays, None))
    with pytest.raises(ValueError, match="of one length"):
        transposed((*arrays, np.zeros(1, np.int32)))
    with pytest.raises(ValueError, match="pointer must not be empty"):
        transposed((arrays[0][:0], arrays[1], None))
