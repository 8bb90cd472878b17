"""Transitions, rewards and ends of the tasks are exact."""

import math

import numpy as np
import pytest

from sparsebrain.reward import TASKS, Bandit, CartPole, Catch

SMALL = {"bandit": {}, "catch": {}, "cartpole": {"max_steps": 5}}


@pytest.mark.parametrize("name", TASKS)
def test_shapes_seeds_and_new_episodes(name):
    task, twin = (TASKS[name](7, seed=3, **SMALL[name]) for _ in range(2))
    seen = task.observe()
    assert seen.shape == (7, task.num_features)
    assert seen.dtype == np.float32
    assert (seen >= 0).all()
    actions = np.zeros(7, np.int64)
    for number in range(1, task.max_steps + 1):
        step, other = task.step(actions), twin.step(actions)
        for ours, theirs in zip(step, other, strict=True):
            assert np.array_equal(ours, theirs)
        assert (step.ended | step.truncated).all() == (number == task.max_steps)
    assert not task.steps.any()
    assert not (step.ended & step.truncated).any()


def test_the_best_action_of_the_bandit_has_the_reward():
    bandit = Bandit(16, bits=4, sure=1.0, seed=0)
    bandit.context = np.arange(16)
    # Bit 0 is the first feature, and the complements follow.
    assert bandit.observe()[5].tolist() == [1, 0, 1, 0, 0, 1, 0, 1]
    step = bandit.step(bandit.best)
    assert step.rewards.tolist() == [1.0] * 16
    assert step.ended.all()
    bandit.context = np.arange(16)
    assert bandit.step((bandit.best + 1) % 4).rewards.tolist() == [0.0] * 16
    # All episodes share the best actions, whatever their seed.
    assert np.array_equal(Bandit(bits=4, seed=9).best, bandit.best)


def test_rewards_of_the_bandit_have_their_probabilities():
    """Within 5 standard errors (false alarm 6e-7 each)."""
    episodes = 20_000
    bandit = Bandit(episodes, seed=1)
    for best, chance in ((True, 0.9), (False, 0.1)):
        actions = (bandit.best[bandit.context] + (not best)) % 4
        mean = bandit.step(actions).rewards.mean()
        assert abs(mean - chance) < 5 * math.sqrt(0.09 / episodes)
    assert np.allclose(bandit.return_range, (0.1, 0.9))


def test_every_step_of_catch():
    game = Catch(3, rows=3, columns=3, seed=0)
    game.column = np.array([0, 1, 2])
    left, stay, right = 0, 1, 2
    assert game.observe()[0].reshape(3, 3).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    step = game.step(np.array([left, stay, stay]))
    assert step.rewards.tolist() == [0, 0, 0]
    assert not step.ended.any()
    assert game.observe()[0].reshape(3, 3).tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    # The paddle stops at the edge, and the third one comes one column short.
    step = game.step(np.array([left, stay, left]))
    assert step.rewards.tolist() == [1, 1, -1]
    assert step.ended.all()
    assert not step.truncated.any()
    last = step.following[2].reshape(3, 3)
    assert last.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 1]]
    assert (game.row == 0).all()
    assert (game.paddle == 1).all()
    game.column = np.array([2, 2, 2])
    game.step(np.full(3, right))
    assert game.paddle.tolist() == [2, 2, 2]
    assert game.step(np.full(3, right)).rewards.tolist() == [1, 1, 1]
    assert game.return_range == (-1, 1)


def test_catch_draws_all_columns_alike():
    """The largest deviation of five counts, within 5 standard deviations (false alarm 3e-6)."""
    games = 10_000
    counts = np.bincount(Catch(games, seed=2).column, minlength=5)
    assert len(counts) == 5
    assert np.abs(counts - games / 5).max() < 5 * math.sqrt(games * 0.2 * 0.8)


def test_the_first_step_of_the_cart_is_that_of_the_equations():
    """From rest, upright: h = F / M, angular acceleration -h / (l (4/3 - m / M))."""
    cart = CartPole(2, seed=0)
    cart.state = np.zeros((2, 4))
    cart.step(np.array([0, 1]))
    pushed = 10 / 1.1
    turned = -pushed / (0.5 * (4 / 3 - 0.1 / 1.1))
    moved = pushed - 0.05 * turned / 1.1
    expected = np.array([0, 0.02 * moved, 0, 0.02 * turned])
    assert np.allclose(cart.state, [-expected, expected], rtol=0, atol=1e-15)
    # The published first values of Gymnasium's CartPole: 0.195122 and -0.292683 from rest.
    assert cart.state[1].round(6).tolist() == [0, 0.195122, 0, -0.292683]
    # Positions move by the velocities before the step.
    cart.step(np.array([0, 1]))
    assert math.isclose(cart.state[1, 0], 0.02 * expected[1])
    assert math.isclose(cart.state[1, 2], 0.02 * expected[3])


def test_the_equations_of_motion_conserve_momentum_and_energy():
    """Without a push, total momentum is constant and energy is, up to the error of Euler steps."""
    cart = CartPole(1, seed=0)
    state = np.array([[0.1, 0.3, 0.15, -0.4]])
    cart.state = state.copy()
    _, speed, angle, turning = state[0]
    # The rates of change for a push of F and of -F: their mean is that without a push.
    rates = []
    for action in (0, 1):
        cart.state = state.copy()
        cart.step(np.array([action]))
        rates.append((cart.state - state)[0] / 0.02)
    _, moved, _, turned = np.mean(rates, 0)
    mass, pole, half, gravity = 1.1, 0.1, 0.5, 9.8
    sine, cosine = math.sin(angle), math.cos(angle)
    momentum = mass * moved + pole * half * (turned * cosine - turning**2 * sine)
    assert math.isclose(momentum, 0, abs_tol=1e-12)
    # The pole is a uniform rod of length 2 l, with 4/3 m l^2 about its end.
    energy = (
        mass * speed * moved
        + pole * half * cosine * (speed * turned + turning * moved)
        - pole * half * speed * turning**2 * sine
        + 4 / 3 * pole * half**2 * turning * turned
        - pole * gravity * half * sine * turning
    )
    assert math.isclose(energy, 0, abs_tol=1e-12)
    # A push of F does the work F v.
    push = np.subtract(rates[1], rates[0]) / 2
    work = mass * speed * push[1] + pole * half * cosine * (speed * push[3] + turning * push[1])
    work += 4 / 3 * pole * half**2 * turning * push[3]
    assert math.isclose(work, 10 * speed, rel_tol=1e-12)


def test_an_episode_of_the_cart_ends_beyond_its_bounds():
    cart = CartPole(5, max_steps=3, seed=0)
    cart.state = np.zeros((5, 4))
    cart.state[0, :2] = 2.39, 1.0
    cart.state[1, :2] = -2.39, -1.0
    cart.state[2, 2:] = 0.2, 1.0
    cart.state[3, 2:] = -0.2, -1.0
    step = cart.step(np.array([1, 0, 0, 1, 1]))
    assert step.ended.tolist() == [True] * 4 + [False]
    assert step.rewards.tolist() == [1] * 5
    assert (np.abs(cart.state[:4]) <= 0.05).all()
    assert cart.steps.tolist() == [0, 0, 0, 0, 1]
    cart.step(np.ones(5, int))
    step = cart.step(np.ones(5, int))
    assert step.truncated.tolist() == [False] * 4 + [True]
    assert not step.ended.any()


def test_the_cart_is_that_of_gymnasium():
    """States, rewards and ends of 64 episodes of random pushes, 20 to 100 steps each."""
    gymnasium = pytest.importorskip("gymnasium")
    theirs = gymnasium.make("CartPole-v1").unwrapped
    ours = CartPole(64, seed=0)
    starts, path, rewards, ends = ours.state.copy(), [], [], []
    actions = np.random.default_rng(0).integers(2, size=(100, 64))
    for each in actions:
        # The state before episodes that are over start again is in the features alone.
        step = ours.step(each)
        path.append((step.following[:, :4] - step.following[:, 4:]) * [2.4, 2.0, 0.21, 2.0])
        rewards.append(step.rewards)
        ends.append(step.ended)
    assert np.any(ends, axis=0).all()
    for number, start in enumerate(starts):
        theirs.reset()
        theirs.state = start
        for time in range(100):
            _, reward, ended, _, _ = theirs.step(int(actions[time, number]))
            assert np.allclose(path[time][number], theirs.state, rtol=0, atol=1e-6)
            assert rewards[time][number] == reward
            assert ends[time][number] == ended
            if ended:
                break


def test_the_state_of_the_cart_is_that_of_gymnasium_to_the_last_digits():
    gymnasium = pytest.importorskip("gymnasium")
    theirs, ours = gymnasium.make("CartPole-v1").unwrapped, CartPole(1, seed=0)
    theirs.reset()
    theirs.state = ours.state[0].copy()
    # Pushes to the side to which the pole falls keep it up for a while.
    for number in range(60):
        action = int(ours.state[0, 2] + 0.3 * ours.state[0, 3] > 0)
        *_, ended, _, _ = theirs.step(action)
        assert not ours.step(np.array([action])).ended[0]
        assert not ended, number
        assert np.allclose(ours.state[0], theirs.state, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", TASKS)
def test_wrong_actions_are_refused(name):
    task = TASKS[name](3, seed=0)
    for wrong, error, told in (
        ([0, 0, 0], TypeError, "actions must be a NumPy array of integers, got .* of type list"),
        (np.zeros(3), TypeError, "actions must be a NumPy array of integers"),
        (np.zeros(2, int), ValueError, r"actions must have shape \[3\], got \[2\]; pass actions="),
        (np.full(3, -1), ValueError, "actions must be from 0 to"),
        (np.full(3, task.num_actions), ValueError, "actions must be from 0 to"),
    ):
        with pytest.raises(error, match=told):
            task.step(wrong)
    assert not task.steps.any()


@pytest.mark.parametrize(
    ("make", "options", "told"),
    [
        (Bandit, {"episodes": 0}, "episodes must be an integer >= 1"),
        (Bandit, {"sure": 0.5}, "sure must be above 0.5, got 0.5; pass sure=0.9"),
        (Bandit, {"bits": 17}, "bits must be an integer >= 1 and at most 16"),
        (Bandit, {"num_actions": 1}, "num_actions must be an integer >= 2"),
        (Catch, {"rows": 1}, "rows must be an integer >= 2"),
        (Catch, {"columns": 65}, "columns must be an integer >= 2 and at most 64"),
        (CartPole, {"max_steps": 0}, "max_steps must be an integer >= 1"),
    ],
)
def test_wrong_options_are_refused(make, options, told):
    with pytest.raises(ValueError, match=told):
        make(**options)
