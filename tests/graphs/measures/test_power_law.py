import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.optimize import minimize, minimize_scalar
from scipy.special import zeta
from torch_geometric.data import Data

import graphs
from graphs.measures import lognormal
from graphs.measures.power_law import _candidates

# Number of the neurons that only send, each to a neuron at most once.
SENDERS = 4000


def with_in_degrees(degree):
    """Neurons with these in-degrees, and senders without inputs."""
    target = np.repeat(np.arange(len(degree)), degree)
    before = np.repeat(np.cumsum(degree) - degree, degree)
    source = len(degree) + np.arange(len(target)) - before
    edge_index = torch.from_numpy(np.stack((source, target)))
    return Data(edge_index=edge_index, num_nodes=len(degree) + SENDERS)


def drawn(alpha, xmin, size, seed, largest=SENDERS):
    value = np.arange(xmin, largest + 1)
    share = value**-alpha
    return np.random.default_rng(seed).choice(value, size, p=share / share.sum())


def test_it_equals_a_search_over_all_tails():
    degree = np.concatenate((drawn(2.6, 4, 400, 1), [1] * 30, [2] * 70, [3] * 10))
    best = (math.inf, 0, 0.0)
    for xmin in np.unique(degree)[:-1]:
        tail = degree[degree >= xmin]
        alpha = minimize_scalar(
            lambda alpha, tail=tail, xmin=xmin: (
                np.log(zeta(alpha, xmin)) + alpha * np.log(tail).mean()
            ),
            bounds=(1.01, 19),
            method="bounded",
            options={"xatol": 1e-10},
        ).x
        every = np.arange(xmin, tail.max() + 2)
        law = 1 - zeta(alpha, every + 1) / zeta(alpha, xmin)
        share = np.searchsorted(np.sort(tail), every, side="right") / len(tail)
        best = min(best, (np.abs(law - share).max(), xmin, alpha))
    found = graphs.fit_power_law(with_in_degrees(degree))
    assert found.xmin == best[1]
    assert found.tail == (degree >= found.xmin).sum()
    assert found.alpha == pytest.approx(best[2], abs=1e-5)
    assert found.distance == pytest.approx(best[0], abs=1e-6)


def test_exponents_are_off_by_what_they_say():
    """|z| < 4.5 fails once in 150,000 draws; the ratio of spreads is from 80 samples."""
    found = [
        graphs.fit_power_law(with_in_degrees(drawn(3.2, 2, 800, seed)), xmin=2)
        for seed in range(80)
    ]
    alpha = np.array([each.alpha for each in found])
    error = np.array([each.alpha_error for each in found])
    assert abs(alpha.mean() - 3.2) / (error.mean() / math.sqrt(80)) < 4.5
    assert 0.65 < alpha.std(ddof=1) / error.mean() < 1.4


def test_p_values_of_power_laws_are_uniform():
    """Kolmogorov-Smirnov test of 40 p-values, multiples of 1 / 60, at the level 10^-4."""
    found = [
        graphs.fit_power_law(
            with_in_degrees(drawn(2.5, 1, 300, seed)), xmin=1, bootstraps=60, seed=seed
        ).p_value
        for seed in range(40)
    ]
    assert stats.kstest(found, "uniform").pvalue > 1e-4


def test_a_poisson_law_is_no_power_law():
    degree = np.random.default_rng(0).poisson(20, 3000)
    found = graphs.fit_power_law(with_in_degrees(degree), xmin=10, bootstraps=100)
    assert found.p_value == 0
    assert found.lognormal.ratio < -10
    assert found.lognormal.p_value < 1e-20


def test_ratios_by_hand():
    degree = drawn(2.2, 1, 2000, 3)
    found = graphs.fit_power_law(with_in_degrees(degree), xmin=1)
    law = stats.zipf.logpmf(degree, found.alpha)
    geometric = stats.geom.logpmf(degree, 1 / degree.mean())
    difference = law - geometric
    ratio = math.sqrt(len(degree)) * difference.mean() / difference.std()
    assert found.exponential.ratio == pytest.approx(ratio)
    assert found.exponential.p_value == pytest.approx(2 * stats.norm.sf(ratio), rel=1e-6)
    # A lognormal can approximate a power law but hardly fit better.
    assert -3 < found.lognormal.ratio < 5


def test_a_lognormal_is_found_again():
    degree = np.rint(np.random.default_rng(2).lognormal(2, 0.7, 3000)).astype(int)
    found = graphs.fit_power_law(with_in_degrees(degree), xmin=1)
    rounded = degree[degree > 0]
    low, high = (stats.norm.cdf((np.log(rounded + shift) - 2) / 0.7) for shift in (-0.5, 0.5))
    true = np.log(high - low).sum() - len(rounded) * stats.norm.logsf((math.log(0.5) - 2) / 0.7)
    law = stats.zipf.logpmf(rounded, found.alpha)
    # The best lognormal is at least as likely as the true one.
    assert found.lognormal.ratio * np.sqrt(len(rounded)) < 0
    assert law.sum() < true


def tail_of(data, xmin):
    degree, neurons = graphs.degree_distribution(data)
    return degree[degree >= xmin], neurons[degree >= xmin]


def by_quadrature(degree, xmin, slope, curvature):
    """The lognormal's probabilities by integration of exp(-slope y - curvature y^2 / 2)."""

    def density(y):
        return np.exp(-slope * y - curvature * y**2 / 2)

    points, weights = np.polynomial.legendre.leggauss(30)
    low, high = (np.log(degree + half) - math.log(xmin - 0.5) for half in (-0.5, 0.5))
    at = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * points
    inside = (density(at) * weights).sum(1) * (high - low) / 2
    everywhere = np.linspace(0, 60, 20_001)
    return inside / integrate.simpson(density(everywhere), x=everywhere)


def test_a_heavy_tail_is_nearly_a_power_law_to_a_lognormal():
    """The mean of the best lognormal diverges to minus infinity, where it is a rounded Pareto law.

    The sign of the ratio must not depend on where the search for the mean ends.
    """
    data = graphs.barabasi_albert(3000, 3, seed=2)
    found = graphs.fit_power_law(data)
    degree, neurons = tail_of(data, found.xmin)

    def pareto(slope):
        low, high = (((degree + half) / (found.xmin - 0.5)) ** -slope for half in (-0.5, 0.5))
        return np.log(low - high)

    slope = minimize_scalar(lambda slope: -(neurons @ pareto(slope)), bounds=(0.5, 9)).x
    law = stats.zipf.logpmf(degree, found.alpha) + math.log(zeta(found.alpha))
    difference = law - np.log(zeta(found.alpha, found.xmin)) - pareto(slope)
    mean = neurons @ difference / neurons.sum()
    spread = math.sqrt(neurons @ (difference - mean) ** 2 / neurons.sum())
    ratio = math.sqrt(neurons.sum()) * mean / spread
    assert ratio == pytest.approx(-0.5233, abs=1e-4)
    assert found.lognormal.ratio == pytest.approx(ratio, abs=1e-3)
    # No lognormal fits better.
    best = neurons @ pareto(slope)
    for curvature in (1e-4, 1e-2, 0.1, 1.0):
        for steep in np.linspace(0.5, 3, 11):
            assert neurons @ np.log(by_quadrature(degree, found.xmin, steep, curvature)) < best


@pytest.mark.parametrize(("mean", "deviation"), [(2.0, 0.7), (3.0, 0.3), (-1.0, 1.5), (4.0, 0.05)])
def test_the_best_lognormal_is_that_of_a_search_by_brute_force(mean, deviation):
    draw = np.random.default_rng(7)
    degree = np.rint(draw.lognormal(mean, deviation, 3000)).astype(int)
    degree, neurons = np.unique(degree[degree > 0], return_counts=True)
    xmin = int(degree[0])

    def unlikelihood(parameters):
        curvature = math.exp(parameters[1])
        slope = -curvature * (parameters[0] - math.log(xmin - 0.5))
        return -(neurons @ np.log(by_quadrature(degree, xmin, slope, curvature)))

    starts = [(mean, -2 * math.log(deviation)), (mean - 1, 0.0)]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = min(minimize(unlikelihood, each, method="Nelder-Mead").fun for each in starts)
    found = neurons @ lognormal.likelihood(degree, neurons, xmin)
    assert found == pytest.approx(-wanted, abs=2e-3)


def test_bootstraps_are_seeded():
    data = with_in_degrees(np.concatenate((drawn(2.5, 3, 200, 0), [1] * 50)))
    first, again, other = (
        graphs.fit_power_law(data, bootstraps=30, seed=seed).p_value for seed in (0, 0, 1)
    )
    assert first == again != other
    assert math.isnan(graphs.fit_power_law(data).p_value)
    error = graphs.fit_power_law(data, bootstraps=30).p_value_error
    assert error == pytest.approx(math.sqrt(first * (1 - first) / 30))


@pytest.mark.parametrize("degree", [[], [3, 3, 3], [0, 0, 2]])
def test_without_two_degrees_there_is_nothing_to_fit(degree):
    found = graphs.fit_power_law(with_in_degrees(np.array(degree, dtype=np.int64)))
    assert found.tail == found.xmin == 0
    assert math.isnan(found.alpha)
    assert str(found) == "no tail to fit"


def test_extreme_degrees():
    for degree in ([1] * 3999 + [2], [1, 4000], [1, 2]):
        found = graphs.fit_power_law(with_in_degrees(np.array(degree)), bootstraps=5)
        for value in dataclasses.astuple(found)[:7]:
            assert math.isfinite(value)


def test_bad_arguments():
    data = graphs.layered([2, 2])
    with pytest.raises(ValueError, match=r"direction must be one of 'in', 'out', 'both'"):
        graphs.fit_power_law(data, direction="inward")
    with pytest.raises(ValueError, match="xmin must be an integer >= 1, got 0"):
        graphs.fit_power_law(data, xmin=0)
    with pytest.raises(TypeError, match="bootstraps must be an integer"):
        graphs.fit_power_law(data, bootstraps=True)
    with pytest.raises(ValueError, match="bootstraps must be .* at most 1000000, got 4294967296"):
        graphs.fit_power_law(data, bootstraps=2**32)


def test_the_steepest_exponent_is_told():
    degrees = [30] * 40 + [31]
    found = graphs.fit_power_law(graphs.configuration(degrees, degrees, seed=0), xmin=30)
    assert found.alpha == 20
    assert math.isnan(found.alpha_error)
    assert str(found).startswith("alpha 20 or more from 30")


def test_few_of_many_degrees_start_a_tail():
    assert _candidates(512).tolist() == list(range(512))
    some = _candidates(10_000)
    assert some[:256].tolist() == list(range(256))
    assert 300 < len(some) <= 512
    assert some[-1] == 9999
