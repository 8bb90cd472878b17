import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.integrate import dblquad, quad
from scipy.spatial.distance import cdist

import graphs
from graphs.generators.profiles import PROFILES

PAPER = {"num_nodes": 2000, "extent": (20, 10), "distance": 0.8}

# |z| >= 4.5 has a probability of 7 in a million. Seeds are fixed, so a passing test keeps passing.
Z = 4.5


def pairs_of(data):
    return set(zip(*data.edge_index.tolist(), strict=True))


def lengths(data):
    source, target = data.edge_index
    return (data.pos[source].double() - data.pos[target].double()).norm(dim=1)


def chance_in_box(a, b, d):
    """E[p] for p = max(0, 1 - r / d) and d <= min(a, b)."""
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
    # A torus has no borders: E[p^2] / E[p] = 1/2 and E[r p] / E[p] = d/2.
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


def hat(u):
    """The positive part of (k^2 exp(-u^2 / 2) - exp(-u^2 / 2 k^2)) / (k^2 - 1), k = 1.6."""
    k = 1.6
    value = (k**2 * math.exp(-(u**2) / 2) - math.exp(-(u**2) / (2 * k**2))) / (k**2 - 1)
    return max(0.0, value)


def hat_integrals(axes):
    def over_space(power):
        return quad(lambda u: axes * ball(axes) * u ** (axes - 1) * hat(u) ** power, 0, 2)[0]

    return over_space(1), over_space(2)


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
    # Integrals of Gaussians over an interval, a disc and a ball, by quadrature.
    **{("mexican-hat", axes): hat_integrals(axes) for axes in (1, 2, 3)},
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
    # Synapses to the right or left, and up or down, are equally likely.
    data = graphs.coordinate_random(**PAPER, periodic=True, seed=0)
    source, target = data.edge_index
    gap = data.pos[target] - data.pos[source]
    for axis, side in enumerate((20, 10)):
        wrapped = (gap[:, axis] + side / 2) % side - side / 2
        # A reciprocal pair counts once in each direction, which only lowers the variance.
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


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("profile", ["linear", "exponential", "gaussian", "mexican-hat"])
def test_distances_of_synapses_follow_the_profile(profile, directed):
    # On a torus the probability that a pair is in a shell is the shell's fraction of the volume.
    neurons, side, distance, p_max = 4000, 10.0, 0.3, 0.7
    data = graphs.coordinate_random(
        neurons, (side, side), distance, profile=profile, p_max=p_max, directed=directed,
        periodic=True, seed=8,
    )  # fmt: skip
    source, target = data.edge_index.numpy()
    gap = np.abs(data.pos.double().numpy()[source] - data.pos.double().numpy()[target])
    r = np.hypot(*np.minimum(gap, side - gap).T)
    shells = np.linspace(0, PROFILES[profile].reach * distance, 13)
    law = PROFILES[profile].law
    chance = np.array(
        [quad(lambda x: 2 * math.pi * x * p_max * float(law(np.array([x / distance]))[0]), *ends)[0]
         for ends in itertools.pairwise(shells)]
    ) / side**2  # fmt: skip
    pairs = neurons * (neurons - 1) / (1 if directed else 2)
    counts = np.histogram(r, shells)[0] / (1 if directed else 2)
    expected = pairs * chance
    full = expected > 20
    # Both directions have the same distance, which raises the variance by up to 1 + p_max.
    chi2 = ((counts - expected)[full] ** 2 / expected[full]).sum()
    bound = scipy.stats.chi2.isf(1e-5, full.sum()) * (1 + p_max if directed else 1)
    assert full.sum() >= 6
    assert chi2 < bound


@pytest.mark.parametrize("periodic", [False, True])
def test_a_distance_for_each_axis_is_a_stretched_space(periodic):
    neurons, sides, units = 400, (8.0, 6.0, 4.0), (1.5, 0.5, 1.0)
    data = graphs.coordinate_random(
        neurons, sides, units, profile="step", periodic=periodic, seed=2
    )
    gap = (data.pos[:, None] - data.pos).abs().double()
    if periodic:
        gap = torch.minimum(gap, torch.tensor(sides).double() - gap)
    r = (gap / torch.tensor(units).double()).square().sum(dim=2).sqrt()
    r.fill_diagonal_(torch.inf)
    assert pairs_of(data) == set(map(tuple, (r <= 1).nonzero().tolist()))


def test_the_same_distance_for_each_axis_is_that_distance():
    one = graphs.coordinate_random(500, (9, 7), 0.5, profile="gaussian", seed=0)
    other = graphs.coordinate_random(500, (9, 7), (0.5, 0.5), profile="gaussian", seed=0)
    assert torch.equal(one.edge_index, other.edge_index)


def test_the_mexican_hat_is_highest_in_the_middle_and_has_an_end():
    law, reach = PROFILES["mexican-hat"]
    u = np.linspace(0, 3, 1000)
    np.testing.assert_allclose(law(u), [hat(each) for each in u], atol=1e-15)
    assert law(np.zeros(1)) == 1
    assert (np.diff(law(u)) <= 0).all()
    assert (law(u) > 0).tolist() == (u < reach).tolist()
    assert reach == pytest.approx(1.756, abs=5e-4)
    crowd = np.zeros((60, 2))
    full = graphs.coordinate_random(positions=crowd, distance=1, profile="mexican-hat", seed=0)
    assert full.num_edges == 60 * 59
    half = graphs.coordinate_random(
        positions=crowd, distance=1, profile="mexican-hat", p_max=0.5, seed=0
    )
    assert abs(half.num_edges - 1770) / math.sqrt(3540 / 4) < Z


def test_draws_are_independent():
    # With all neurons at one position and p_max = 1/2 every draw is a fair coin. Rows, columns,
    # reciprocal pairs, and the four draws of two sources and two targets, which are hashes of the
    # same four numbers, must be independent.
    neurons = 1024
    data = graphs.coordinate_random(
        positions=np.zeros((neurons, 1)), distance=1, profile="step", p_max=0.5, seed=0
    )
    coin = -np.ones((neurons, neurons))
    coin[tuple(data.edge_index.numpy())] = 1
    np.fill_diagonal(coin, 0)
    rows = (coin.sum(axis=1) ** 2).sum() / neurons, (coin.sum(axis=0) ** 2).sum() / neurons
    for variance in rows:
        assert abs(variance / (neurons - 1) - 1) * math.sqrt(neurons / 2) < Z
    assert abs((coin * coin.T).sum() / 2) / math.sqrt(neurons * (neurons - 1) / 2) < Z
    half = neurons // 2
    corner = coin[:half, half:]
    fours = corner[::2, ::2] * corner[1::2, ::2] * corner[::2, 1::2] * corner[1::2, 1::2]
    assert abs(fours.sum()) / math.sqrt(fours.size) < Z


def test_p_max_scales_every_profile():
    for profile in (*PROFILES, lambda r: np.exp(-r)):
        full, part, none = (
            graphs.coordinate_random(600, (9, 9), 0.4, profile=profile, p_max=p, seed=1)
            for p in (1.0, 0.25, 0.0)
        )
        assert none.num_edges == 0
        # The same random numbers with lower probabilities.
        assert pairs_of(part) < pairs_of(full)


def test_a_longer_distance_only_adds_synapses():
    before = set()
    for distance in (0.2, 0.3, 0.5, 0.9):
        now = pairs_of(graphs.coordinate_random(500, (5, 5), distance, seed=4))
        assert before < now
        before = now


def test_a_lattice():
    data = graphs.coordinate_random(12, (4, 3), 1, positions="lattice", profile="step", seed=0)
    points = [[row + 0.5, column + 0.5] for row in range(4) for column in range(3)]
    assert data.pos.tolist() == points
    grid = graphs.grid_local((4, 3), 1, metric="manhattan", self_loops=False)
    assert torch.equal(data.edge_index, grid.edge_index)
    line = graphs.coordinate_random(4, 2.0, 0, positions="lattice")
    assert line.pos.flatten().tolist() == [0.25, 0.75, 1.25, 1.75]
    assert graphs.coordinate_random(0, (4, 3), 1, positions="lattice").num_nodes == 0


def test_jitter_moves_neurons_by_at_most_its_share_of_half_a_cell():
    places = graphs.coordinate_random(2000, (20, 10, 10), 0, positions="lattice").pos
    for jitter in (0.3, 1.0):
        moved = graphs.coordinate_random(
            2000, (20, 10, 10), 0, positions="lattice", jitter=jitter, seed=1
        ).pos
        away = (moved - places) / (jitter / 2)
        assert away.abs().max() <= 1 + 1e-5
        # Uniform in [-1, 1]: mean 0, and variance 1/3 with a variance of 4/45 per neuron.
        assert (away.mean(dim=0).abs() / math.sqrt(1 / 3 / 2000) < Z).all()
        assert ((away.square().mean(dim=0) - 1 / 3).abs() / math.sqrt(4 / 45 / 2000) < Z).all()


def test_given_positions_are_stored_and_connected():
    positions = np.random.default_rng(0).normal(size=(300, 2)) - 7
    data = graphs.coordinate_random(positions=positions, distance=0.4, profile="step", seed=0)
    assert torch.equal(data.pos, torch.from_numpy(positions).float())
    far = cdist(data.pos.double(), data.pos.double())
    np.fill_diagonal(far, np.inf)
    assert pairs_of(data) == set(zip(*map(np.ndarray.tolist, np.nonzero(far <= 0.4)), strict=True))
    assert data.pos.data_ptr() != torch.from_numpy(positions).data_ptr()
    single = positions.astype(np.float32)
    graphs.coordinate_random(positions=single, distance=1).pos.zero_()
    assert (single != 0).all()


def test_given_positions_on_a_torus():
    options = {"distance": 0.3, "profile": "step", "periodic": True, "seed": 0}
    ring = graphs.coordinate_random(positions=[[0.1], [0.9], [0.5]], extent=1.0, **options)
    assert ring.edge_index.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="extent must be given with positions on a periodic axis"):
        graphs.coordinate_random(positions=[[0.1], [0.9]], **options)


@pytest.mark.parametrize(
    ("positions", "error", "match"),
    [
        ([[0.0, 1.0], [np.nan, 0.0]], ValueError, r"finite .* got \[nan, 0\.0\] at position 1"),
        ([[0.0, np.inf]], ValueError, "finite .* got .*inf"),
        ([[1e30]], ValueError, "within 1e\\+18"),
        ([0.0, 1.0], ValueError, r"\[N, D\] with D = 1, 2 or 3, got the shape \(2,\)"),
        (np.zeros((3, 4)), ValueError, r"got the shape \(3, 4\)"),
        (np.zeros((3, 0)), ValueError, r"got the shape \(3, 0\)"),
        ([[0.0], [1.0, 2.0]], ValueError, "rows of different lengths"),
        ([["a"]], TypeError, r'must be "uniform", "lattice" or .* of type list; pass'),
        ([[1j]], TypeError, r"got \[\[1j\]\] of type list"),
        ([[True]], TypeError, r"got \[\[True\]\] of type list"),
        (None, TypeError, "got None of type NoneType"),
        ("random", ValueError, r"positions must be one of 'uniform', 'lattice'"),
    ],
)
def test_positions_that_cannot_be(positions, error, match):
    with pytest.raises(error, match=match):
        graphs.coordinate_random(positions=positions, distance=1.0)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"positions": [[0.0], [1.0]], "num_nodes": 3},
            "must be the number of positions, 2, got 3",
        ),
        ({"positions": [[0.0], [1.0]], "extent": 1.0}, r"lie in \[0, side\) .* got \[1.0\] at"),
        ({"positions": [[-0.5]], "extent": 1.0}, r"got \[-0.5\] at position 0"),
        ({"positions": [[0.5]], "extent": (1.0, 1.0)}, "each of the 1 axes of positions, got 2"),
        ({"positions": [[0.5]], "jitter": 0.5}, "jitter must be 0 unless positions are a lattice"),
        ({"num_nodes": 5, "extent": 1, "jitter": 0.5}, 'pass jitter=0.0, or positions="lattice"'),
        (
            {"num_nodes": 7, "extent": (2, 2), "positions": "lattice"},
            r"must fill a lattice .* got 7; pass for example num_nodes=9, which is 3 x 3",
        ),
        (
            {"num_nodes": 5, "extent": (1, 2), "distance": (1.0,)},
            "each of the 2 axes of extent, got 1",
        ),
        ({"num_nodes": 5, "extent": (1, 2), "distance": (1, 0)}, r"distance\[1\] must be .* > 0"),
    ],
)
def test_options_that_do_not_fit_together(options, match):
    with pytest.raises(ValueError, match=match):
        graphs.coordinate_random(**{"distance": 1.0, **options})


def test_what_may_be_left_out():
    with pytest.raises(TypeError, match="num_nodes must be an integer >= 0, got None"):
        graphs.coordinate_random(extent=1.0, distance=1.0)
    with pytest.raises(TypeError, match="extent must be a finite number > 0, got None"):
        graphs.coordinate_random(5, distance=1.0)
    empty = graphs.validate(graphs.coordinate_random(positions=np.zeros((0, 3)), distance=1.0))
    assert (empty.num_nodes, empty.pos.shape) == (0, (0, 3))


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
        (lambda r: 0.5, r"one probability for each of \d+ distances, got ndarray of shape \(\)"),
        (lambda r: r[:, None], r"of shape \(\d+, 1\)"),
        (
            lambda r: ["a"] * len(r),
            r"one probability for each of \d+ distances, got ndarray of shape .* dtype <U1",
        ),
        (lambda r: r + 0j, r"one probability for each of \d+ distances, got .* dtype complex128"),
    ],
)
def test_a_callable_that_returns_no_probabilities(profile, message):
    with pytest.raises(ValueError, match=message):
        graphs.coordinate_random(100, (4, 3), 0.7, profile=profile, seed=0)


@pytest.mark.parametrize(
    ("arguments", "synapses"), [((784, (28, 28), 2.4), 4446), ((500, 100, 3), 7416)]
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
    with pytest.raises(ValueError, match="extent must be at most 1e\\+18"):
        graphs.coordinate_random(5, 1e300, 1.0)
