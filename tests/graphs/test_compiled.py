"""The compiled helpers against what is done without them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphs import compiled
from graphs.contract import build, canonical_order

pytestmark = pytest.mark.skipif(
    compiled.module() is None, reason="no compiled helpers; .ci/run asserts them"
)


@pytest.fixture
def plain(monkeypatch):
    """Run a function without the compiled helpers."""

    def run(function, *args, **options):
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "module", lambda: None)
            return function(*args, **options)

    return run


@st.composite
def synapses(draw):
    neurons = draw(st.integers(1, 9))
    ends = st.integers(0, neurons - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=40))
    source, target = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return neurons, source, target


@given(synapses())
def test_the_order_is_stable_by_target_and_source(case):
    neurons, source, target = case
    assert (
        canonical_order(neurons, source, target).tolist() == np.lexsort((source, target)).tolist()
    )
    edges = build(neurons, source, target).edge_index.numpy()
    order = np.lexsort((source, target))
    assert np.array_equal(edges, np.stack((source[order], target[order])))


def test_large_graphs_are_the_same_without(plain):
    rng = np.random.default_rng(0)
    source, target = rng.integers(1000, size=(2, 100_000))
    kind = rng.integers(2**40, size=100_000)
    for options in ({}, {"edge_type": kind}):
        one = build(1000, source, target, **options)
        other = plain(build, 1000, source, target, **options)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in ("edge_index", *options))


@pytest.mark.parametrize("wrong", [-1, 3, 2**62])
@pytest.mark.parametrize("name", ["sorted_edges", "canonical_order"])
def test_no_index_is_used_unchecked(name, wrong):
    function = getattr(compiled.module(), name)
    good, bad = np.array([0, 2]), np.array([0, wrong])
    for ends in ((good, bad), (bad, good)):
        with pytest.raises(IndexError, match="no neuron"):
            function(*ends, 3)
    with pytest.raises(ValueError, match="one length"):
        function(good, good[:1], 3)
    with pytest.raises(TypeError):
        function(good.astype(np.int32), good, 3)
    with pytest.raises(TypeError):
        function(np.zeros((2, 2), np.int64), good, 3)
