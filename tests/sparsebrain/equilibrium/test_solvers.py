"""Fixed points of linear maps, whose every step is known."""

import math

import pytest
import torch

from sparsebrain.equilibrium.solvers import relative_residual, solve


def shrink(factors, seen=None):
    """Sample b goes half, or whatever its factor is, of its way to 1."""

    def exchange(state, given, loops):
        (factor,) = given
        for _ in range(loops):
            state = 1 + factor * (state - 1)
            if seen is not None:
                seen.append(state.size(1))
        return state

    return exchange, (torch.tensor(factors, dtype=torch.float64).expand(3, -1),)


@pytest.mark.parametrize("depth", [0, 2, 5])
@pytest.mark.parametrize("whole", [False, True])
def test_samples_stop_in_their_order_and_are_left_alone(depth, whole):
    factors, seen = [0.9, 0.1, 0.0, 0.5], []
    exchange, given = shrink(factors, seen)
    start = torch.zeros(3, 4, dtype=torch.float64)
    found = solve(exchange, start, given, tol=1e-8, max_loops=1000, depth=depth, whole=whole)
    assert bool(found.converged.all())
    assert found.state.shape == (3, 4)
    torch.testing.assert_close(found.state, torch.ones_like(start), rtol=0, atol=1e-6)
    assert bool((found.residual <= 1e-8).all())
    assert seen[0] == 4
    if whole:
        assert set(seen) == {4}
        # Whatever is computed of a sample that has stopped is dropped.
        for number in range(4):
            alone = solve(
                exchange,
                start[:, number : number + 1],
                tuple(each[:, number : number + 1] for each in given),
                tol=1e-8,
                max_loops=1000,
                depth=depth,
            )
            torch.testing.assert_close(alone.state[:, 0], found.state[:, number])
    else:
        assert seen == sorted(seen, reverse=True)
    if not depth:
        assert whole or seen[-1] == 1
        # |0.9^(t-1) - 0.9^t| <= 1e-8 |1 - 0.9^t| first at t = 154; looks come every 4th loop.
        assert found.loops[0] == (154 if whole else 157)
        assert found.loops[2] == (2 if whole else 5)


@pytest.mark.parametrize("most", [1, 2, 5, 7])
def test_no_more_loops_than_allowed(most):
    seen = []
    exchange, given = shrink([0.99, 0.98], seen)
    found = solve(exchange, torch.zeros(3, 2).double(), given, tol=1e-9, max_loops=most)
    assert len(seen) == most
    assert found.loops.tolist() == [most, most]
    assert not bool(found.converged.any())
    expected = torch.tensor([1 - 0.99 ** (most - 1), 1 - 0.98 ** (most - 1)]).double()
    torch.testing.assert_close(found.state, expected.expand(3, -1))


def test_anderson_solves_a_linear_map_of_few_directions_at_once():
    """Over m + 1 states in m directions it is GMRES, which ends: here with 4 of 50 unknowns."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(50, 4, generator=generator).double())[0]
    matrix = basis @ torch.diag(torch.tensor([0.9, -0.8, 0.7, 0.95]).double()) @ basis.t()
    drive = basis @ torch.randn(4, 3, generator=generator).double()

    def exchange(state, given, loops):
        return matrix @ state + given[0]

    options = {"tol": 1e-9, "max_loops": 500}
    fast = solve(exchange, torch.zeros_like(drive), (drive,), depth=6, **options)
    slow = solve(exchange, torch.zeros_like(drive), (drive,), **options)
    exact = torch.linalg.solve(torch.eye(50).double() - matrix, drive)
    torch.testing.assert_close(fast.state, exact, rtol=1e-6, atol=1e-7)
    assert int(fast.loops.max()) <= 10
    assert int(slow.loops.min()) >= 100


@pytest.mark.parametrize("depth", [0, 4])
def test_what_is_not_finite_stops_at_once(depth):
    exchange, given = shrink([0.5, math.nan, math.inf, -1e200])
    start = torch.zeros(3, 4, dtype=torch.float64)
    found = solve(exchange, start, given, tol=1e-6, max_loops=10_000, depth=depth)
    assert found.converged.tolist() == [True, False, False, False]
    assert int(found.loops.max()) < 100


def test_the_residual_is_relative_and_zero_has_one_too():
    before = torch.tensor([[3.0, 0.0, 0.0], [4.0, 0.0, 1e-12]])
    after = torch.tensor([[3.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    found = relative_residual(before, after)
    floor = torch.finfo(torch.float32).eps * math.sqrt(2)
    torch.testing.assert_close(found, torch.tensor([1 / math.sqrt(34), 0.0, 1e-12 / floor]))
