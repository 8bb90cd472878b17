"""Pairs within reach, compared with a search over all pairs, with and without compiled code."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphs
from graphs import compiled
from graphs.generators.profiles import PROFILES


def pairs_of(data):
    return set(zip(*data.edge_index.tolist(), strict=True))


def mixed(values):
    """The finalizer of SplitMix64 in Python integers, as a number in [0, 1)."""
    mask = 2**64 - 1
    values = ((values ^ (values >> 30)) * 0xBF58476D1CE4E5B9) & mask
    values = ((values ^ (values >> 27)) * 0x94D049BB133111EB) & mask
    return ((values ^ (values >> 31)) >> 11) / 2**53


def enumerate_all(neurons, sides, distance, law, reach, directed, period, seed):
    """The definition: compare the random number of every pair with its probability."""
    rng = np.random.default_rng(seed)
    pos = (rng.random((neurons, len(sides))) * sides).astype(np.float32).astype(np.float64)
    sends, receives = rng.integers(2**64, size=(2, neurons), dtype=np.uint64)
    gap = abs(pos[:, None] - pos)
    gap = np.where(period, np.minimum(gap, np.array(sides) - gap), gap)
    r = np.sqrt((gap**2).sum(axis=2))
    source, target = np.nonzero((r <= reach * distance) & ~np.eye(neurons, dtype=bool))
    chance = law(r[source, target] / distance)
    one, other = (
        (source, target) if directed else (np.minimum(source, target), np.maximum(source, target))
    )
    sums = sends[one].astype(object) + receives[other].astype(object)
    draws = np.array([mixed(int(each) % 2**64) for each in sums])
    exists = draws < chance
    return set(zip(source[exists].tolist(), target[exists].tolist(), strict=True))


LAWS = {
    "linear": (lambda u: 1 - u, 1.0),
    "exponential": (lambda u: np.exp(-u), math.log(1e6)),
    "gaussian": (lambda u: np.exp(-u * u / 2), math.sqrt(2 * math.log(1e6))),
    "step": (np.ones_like, 1.0),
}


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("profile", LAWS)
@pytest.mark.parametrize(
    ("neurons", "sides", "distance", "period"),
    [
        (300, (9.0, 5.0), 0.17, False),
        (300, (9.0, 5.0), 0.17, True),
        (120, (50.0,), 0.5, True),
        (200, (3.0, 3.0, 3.0), 0.1, (True, False, True)),
        (60, (1.0, 1.0), 5.0, False),
    ],
)
def test_each_pair_has_a_draw_of_its_own(neurons, sides, distance, period, profile, directed):
    data = graphs.coordinate_random(
        neurons, sides, distance, profile=profile, directed=directed, periodic=period, seed=11
    )
    law, reach = LAWS[profile]
    expected = enumerate_all(neurons, sides, distance, law, reach, directed, period, 11)
    assert pairs_of(data) == expected
    assert data.num_edges == len(expected)


@pytest.mark.parametrize("profile", [*LAWS, "mexican-hat", lambda r: np.abs(np.cos(9 * r))])
@pytest.mark.parametrize("directed", [True, False])
def test_millions_of_candidates_are_the_same_without_compiled_helpers(plain, profile, directed):
    options = {"profile": profile, "directed": directed, "p_max": 0.9, "seed": 5}
    found = graphs.coordinate_random(3000, (1.0, 1.0), 0.1, **options)
    expected = plain(graphs.coordinate_random, 3000, (1.0, 1.0), 0.1, **options)
    assert torch.equal(found.edge_index, expected.edge_index)


@st.composite
def spaces(draw):
    axes = draw(st.integers(1, 3))
    sides = draw(st.tuples(*[st.floats(0.5, 9)] * axes))
    periodic = draw(st.tuples(*[st.booleans()] * axes))
    profile = draw(st.sampled_from(sorted(PROFILES)))
    most = min(sides) * 0.499 / PROFILES[profile].reach * (1 if any(periodic) else 9)
    shares = draw(st.lists(st.floats(1e-3, 1), min_size=axes, max_size=axes))
    return {
        "num_nodes": draw(st.integers(0, 80)),
        "extent": sides,
        "distance": draw(st.sampled_from([most * shares[0], tuple(most * s for s in shares)])),
        "profile": profile,
        "p_max": draw(st.floats(0, 1)),
        "directed": draw(st.booleans()),
        "periodic": periodic,
        "self_loops": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**20)),
    }


@settings(max_examples=150, deadline=None)
@given(spaces())
def test_any_space_is_the_same_without_compiled_helpers(space):
    found = graphs.validate(graphs.coordinate_random(**space))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "module", lambda: None)
        expected = graphs.coordinate_random(**space)
    assert torch.equal(found.edge_index, expected.edge_index)
    if not space["directed"]:
        pairs = pairs_of(found)
        assert pairs == {(target, source) for source, target in pairs}
    loops = int((found.edge_index[0] == found.edge_index[1]).sum())
    assert loops == space["self_loops"] * space["num_nodes"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-3, 3), max_size=40), st.sampled_from([0.5, 1.0, 2.0]), st.integers(0, 9)
)
def test_neurons_in_one_place_and_on_the_reach(places, distance, seed):
    positions = np.array(places, float).reshape(-1, 1)
    found = graphs.coordinate_random(
        positions=positions, distance=distance, profile="step", seed=seed
    )
    near = abs(positions - positions.T) <= distance
    np.fill_diagonal(near, False)
    assert pairs_of(found) == set(zip(*np.nonzero(near), strict=True))


@pytest.mark.parametrize("distance", [1e-4, 0.3, 1e30])
def test_crowds_and_outliers(plain, distance):
    # Cells must be neither as wide as the distance of outliers nor as small as the dense cluster.
    rng = np.random.default_rng(0)
    crowd = rng.normal(size=(1500, 3)) * 1e-3
    positions = np.concatenate((crowd, rng.normal(size=(300, 3)), [[1e9, -1e9, 1e9]]))
    options = {"positions": positions, "distance": distance, "seed": 1}
    found = graphs.coordinate_random(**options)
    expected = plain(graphs.coordinate_random, **options)
    assert torch.equal(found.edge_index, expected.edge_index)
    assert found.num_edges > 0
