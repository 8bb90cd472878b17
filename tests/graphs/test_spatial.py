import math

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from scipy.spatial.distance import cdist

import graphs

PAPER = {"num_neurons": 2000, "extent": (20, 10), "distance": 0.8}

# A fair z passes |z| < 4.5 but for 7 in a million draws; seeds are fixed, so a pass stays one.
Z = 4.5


def pairs_of(data):
    return set(zip(*data.edge_index.tolist(), strict=True))


def lengths(data):
    source, target = data.edge_index
    return (data.pos[source].double() - data.pos[target].double()).norm(dim=1)


def chance_in_box(a, b, d):
    """E[p] of definitions, for p = max(0, 1 - r / d) and d <= min(a, b)."""
    area = a * b
    bulk = area * d**2 / 6 - 2 * (a + b) * d**3 / (12 * math.pi) + d**4 / (20 * math.pi)
    return 2 * math.pi / area**2 * bulk


@pytest.mark.parametrize(("a", "b", "d"), [(20, 10, 0.8), (3, 2, 2), (28, 28, 2.4), (1, 5, 0.9)])
def test_closed_form_of_the_expected_chance(a, b, d):
    # Differences of two uniform coordinates have a triangular density.
    def integrand(v, u):
        density = 4 * (a - u) * (b - v) / (a * b) ** 2
        return density * (1 - math.hypot(u, v) / d)

    expected, _ = dblquad(integrand, 0, d, 0, lambda u: math.sqrt(max(0.0, d * d - u * u)))
    assert chance_in_box(a, b, d) == pytest.approx(expected, rel=1e-6)


def test_synapses_of_the_paper():
    assert chance_in_box(20, 10, 0.8) == pytest.approx(3.22406e-3, abs=5e-9)
    expected = 2000 * 1999 * chance_in_box(20, 10, 0.8)
    assert expected == pytest.approx(12889.8, abs=0.05)
    counts = [graphs.coordinate_random(**PAPER, seed=seed).num_edges for seed in range(100)]
    error = np.std(counts, ddof=1) / math.sqrt(len(counts))
    assert abs(np.mean(counts) - expected) / error < Z
    assert error / expected < 0.002  # the test would see half a percent


def test_pairs_of_the_paper_without_direction():
    counts = [
        graphs.coordinate_random(**PAPER, directed=False, seed=seed).num_edges / 2
        for seed in range(100)
    ]
    error = np.std(counts, ddof=1) / math.sqrt(len(counts))
    assert abs(np.mean(counts) - 6444.9) / error < Z


@pytest.mark.parametrize("extent", [(6, 3), (3, 2)])
def test_expected_synapses_where_the_border_matters(extent):
    counts = [graphs.coordinate_random(300, extent, 1.9, seed=seed).num_edges for seed in range(60)]
    error = np.std(counts, ddof=1) / math.sqrt(len(counts))
    assert abs(np.mean(counts) - 300 * 299 * chance_in_box(*extent, 1.9)) / error < Z


def test_reciprocity_and_mean_length_in_the_bulk():
    # On a torus all is bulk: E[p^2] / E[p] = 1/2 and E[r p] / E[p] = d/2.
    shares, means = [], []
    for seed in range(30):
        data = graphs.coordinate_random(**PAPER, periodic=True, seed=seed)
        pairs = pairs_of(data)
        shares.append(np.mean([(target, source) in pairs for source, target in pairs]))
        source, target = data.edge_index
        gap = (data.pos[source].double() - data.pos[target].double()).abs()
        gap = torch.minimum(gap, torch.tensor([20.0, 10.0]) - gap)
        means.append(float(gap.norm(dim=1).mean()))
    for values, expected in ((shares, 0.5), (means, 0.4)):
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        assert abs(np.mean(values) - expected) / error < Z
        assert error < 0.005 * expected


def ball(axes):
    return (2, math.pi, 4 * math.pi / 3)[axes - 1]


# Integrals of p and of p^2 over space, in units of d^axes.
INTEGRALS = {
    ("linear", 1): (1.0, 2 / 3),
    ("linear", 2): (math.pi / 3, math.pi / 6),
    ("linear", 3): (math.pi / 3, 4 * math.pi / 30),
    ("exponential", 1): (2.0, 1.0),
    ("exponential", 2): (2 * math.pi, math.pi / 2),
    ("exponential", 3): (8 * math.pi, math.pi),
    ("gaussian", 1): (math.sqrt(2 * math.pi), math.sqrt(math.pi)),
    ("gaussian", 2): (2 * math.pi, math.pi),
    ("gaussian", 3): (math.sqrt(2 * math.pi) ** 3, math.sqrt(math.pi) ** 3),
    ("step", 1): (ball(1), ball(1)),
    ("step", 2): (ball(2), ball(2)),
    ("step", 3): (ball(3), ball(3)),
}


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize(("profile", "axes"), INTEGRALS)
def test_expected_synapses_on_a_torus(profile, axes, directed):
    neurons, side, distance = 1200, 10.0, 0.3
    data = graphs.coordinate_random(
        neurons, (side,) * axes, distance, profile=profile, directed=directed, periodic=True, seed=3
    )
    once, twice = (each * (distance / side) ** axes for each in INTEGRALS[profile, axes])
    # Distances of different pairs are pairwise independent on a torus, so variances add.
    pairs = neurons * (neurons - 1) / 2
    per_pair = 2 * once + 2 * twice - 4 * once**2 if directed else 4 * (once - once**2)
    assert abs(data.num_edges - 2 * pairs * once) / math.sqrt(pairs * per_pair) < Z


def test_directions_are_drawn_alike():
    # Synapses to the right and to the left, up and down: a fair coin each.
    data = graphs.coordinate_random(**PAPER, periodic=True, seed=0)
    source, target = data.edge_index
    gap = data.pos[target] - data.pos[source]
    for axis, side in enumerate((20, 10)):
        wrapped = (gap[:, axis] + side / 2) % side - side / 2
        # A pair connected both ways counts once each way, which only lowers the variance.
        z = (2 * (wrapped > 0).double().mean() - 1) * math.sqrt(data.num_edges)
        assert abs(z) < Z
    forward = (target > source).double().mean()
    assert abs(2 * forward - 1) * math.sqrt(data.num_edges) < Z


def test_positions_are_uniform():
    pos = graphs.coordinate_random(20_000, (20, 10, 5), 0, seed=0).pos.double()
    sides = torch.tensor([20.0, 10.0, 5.0])
    assert (pos >= 0).all()
    assert (pos < sides).all()
    cells = ((pos / sides) * 4).long() @ torch.tensor([16, 4, 1])
    counts = cells.bincount(minlength=64)
    chi2 = float(((counts - 312.5) ** 2 / 312.5).sum())
    assert abs(chi2 - 63) / math.sqrt(2 * 63) < Z


def enumerate_all(neurons, sides, distance, law, reach, directed, period, seed):
    """The same draws over all pairs i < j in their natural order, without a tree."""
    rng = np.random.default_rng(seed)
    pos = (rng.random((neurons, len(sides))) * sides).astype(np.float32).astype(np.float64)
    first, second = np.triu_indices(neurons, 1)
    gap = abs(pos[first] - pos[second])
    gap = np.where(period, np.minimum(gap, np.array(sides) - gap), gap)
    r = np.sqrt((gap**2).sum(axis=1))
    near = r <= reach * distance
    first, second, chance = first[near], second[near], law(r[near] / distance)
    draws = rng.random((len(chance), 2 if directed else 1))
    there, back = draws[:, 0] < chance, draws[:, -1] < chance
    forth = zip(first[there].tolist(), second[there].tolist(), strict=True)
    return set(forth) | set(zip(second[back].tolist(), first[back].tolist(), strict=True))


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
def test_the_order_of_drawing_is_that_of_the_pairs(
    neurons, sides, distance, period, profile, directed
):
    data = graphs.coordinate_random(
        neurons, sides, distance, profile=profile, directed=directed, periodic=period, seed=11
    )
    law, reach = LAWS[profile]
    expected = enumerate_all(neurons, sides, distance, law, reach, directed, period, 11)
    assert pairs_of(data) == expected
    assert data.num_edges == len(expected)


def test_millions_of_candidates_are_drawn_in_the_same_order():
    law, reach = LAWS["exponential"]
    data = graphs.coordinate_random(2400, (1.0, 1.0), 0.1, profile="exponential", seed=5)
    expected = enumerate_all(2400, (1.0, 1.0), 0.1, law, reach, True, False, 5)
    assert pairs_of(data) == expected


def test_a_step_connects_all_pairs_in_reach():
    data = graphs.coordinate_random(150, (4, 3), 0.7, profile="step", seed=0)
    far = cdist(data.pos.double(), data.pos.double())
    np.fill_diagonal(far, np.inf)
    assert pairs_of(data) == set(zip(*map(np.ndarray.tolist, np.nonzero(far <= 0.7)), strict=True))


def test_a_callable_is_a_profile():
    named = graphs.coordinate_random(200, (4, 3), 0.7, seed=0)
    called = graphs.coordinate_random(
        200, (4, 3), 0.7, profile=lambda r: np.maximum(0, 1 - r / 0.7), seed=0
    )
    assert torch.equal(named.edge_index, called.edge_index)
    ring = graphs.coordinate_random(
        200, (4, 3), 0.7, profile=lambda r: ((r > 0.4) & (r < 0.6)).astype(float), seed=0
    )
    assert ring.num_edges > 0
    step = graphs.coordinate_random(200, (4, 3), 0.7, profile="step", seed=0)
    always = graphs.coordinate_random(200, (4, 3), 0.7, profile=lambda r: r < 9, seed=0)
    assert torch.equal(step.edge_index, always.edge_index)
    assert ((lengths(ring) > 0.4) & (lengths(ring) < 0.6)).all()


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (lambda r: 1.5 - r, r"in \[0, 1\], got 1\.\d+ at r = .*np\.clip"),
        (lambda r: r - 1, r"in \[0, 1\], got -0"),
        (lambda r: np.full_like(r, np.nan), r"in \[0, 1\], got nan"),
        (lambda r: 0.5, r"one probability for each of \d+ distances, got float64 of shape \(\)"),
        (lambda r: r[:, None], r"of shape \(\d+, 1\)"),
        (lambda r: ["a"] * len(r), r"one probability for each of \d+ distances, got <U1"),
        (lambda r: r + 0j, r"one probability for each of \d+ distances, got complex128"),
    ],
)
def test_a_callable_that_returns_no_probabilities(profile, message):
    with pytest.raises(ValueError, match=message):
        graphs.coordinate_random(100, (4, 3), 0.7, profile=profile, seed=0)


@pytest.mark.parametrize(
    ("arguments", "synapses"), [((784, (28, 28), 2.4), 4499), ((500, 100, 3), 7426)]
)
def test_pinned_number_of_synapses(arguments, synapses):
    assert graphs.coordinate_random(*arguments, seed=0).num_edges == synapses


@pytest.mark.parametrize("neurons", [0, 1])
def test_hardly_any_neurons(neurons):
    data = graphs.coordinate_random(neurons, (20, 10), 0.8, seed=0)
    assert graphs.validate(data).num_nodes == neurons
    assert data.num_edges == 0
    assert data.pos.shape == (neurons, 2)


def test_distance_zero_and_distance_beyond_the_box():
    assert graphs.coordinate_random(50, (2, 1), 0, seed=0).num_edges == 0
    everything = graphs.coordinate_random(50, (2, 1), 1e200, seed=0)
    assert everything.num_edges == 50 * 49


@pytest.mark.parametrize(("profile", "distance"), [("linear", 2.0), ("exponential", 0.2)])
def test_reach_beyond_half_of_a_periodic_side(profile, distance):
    with pytest.raises(ValueError, match=r"below half of the side, 2, got .* along axis 1"):
        graphs.coordinate_random(50, (9, 4), distance, profile=profile, periodic=True)
    loose = graphs.coordinate_random(50, (9, 4), distance, profile=profile, periodic=(True, False))
    assert loose.num_nodes == 50


def test_a_box_beyond_float32_is_refused():
    with pytest.raises(ValueError, match="extent must stay below 1e\\+18"):
        graphs.coordinate_random(5, 1e300, 1.0)
