"""Agents follow the errors of their definitions."""

import numpy as np
import pytest
import torch

from sparsebrain.experiments.reward_study.agents import Critic, PolicyAgent, ValueAgent
from sparsebrain.experiments.reward_study.episodes import play
from sparsebrain.experiments.reward_study.methods import METHODS
from sparsebrain.experiments.reward_study.networks import make_connectome
from sparsebrain.experiments.reward_study.training import Setting, train
from sparsebrain.reward import CartPole, Catch


def agent(kind, method, topology="layered"):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    return kind(METHODS[method], 25, 3, make_connectome(topology, 0), generator)


def test_returns_are_discounted_sums_until_the_end():
    games = Catch(2, rows=3, columns=3, seed=0)
    games.column = np.array([1, 0])
    played = play(games, lambda x: torch.ones(len(x), dtype=torch.long), 0.5)
    assert played.rewards.tolist() == [0, 0, 1, -1]
    assert played.returns.tolist() == [0.5, -0.5, 1, -1]
    assert played.continues.tolist() == [1, 1, 0, 0]
    assert played.index.tolist() == [0, 1, 2, 3]


def test_steps_after_the_end_of_an_episode_are_left_out():
    carts = CartPole(2, max_steps=4, seed=0)
    carts.state = np.zeros((2, 4))
    carts.state[0, 2:] = 0.2, 1.0
    played = play(carts, lambda x: torch.zeros(len(x), dtype=torch.long), 1.0)
    # The first pole falls at once; the second is cut off, and so continues.
    assert played.index.tolist() == [0, 1, 3, 5, 7]
    assert played.continues.tolist() == [0, 1, 1, 1, 1]
    assert played.returns.tolist() == [1, 4, 3, 2, 1]
    assert not carts.steps.any()


def test_errors_of_a_policy_are_the_gradient_of_its_objective():
    learner = agent(PolicyAgent, "backprop, policy")
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    actions = torch.tensor([0, 1, 2, 1, 0])
    advantage = torch.randn(5, generator=generator, dtype=torch.float64)
    logs = scores.log_softmax(1)
    entropy = -(logs * logs.exp()).sum(1)
    chosen = logs[torch.arange(5), actions] * advantage
    (chosen + METHODS["backprop, policy"].entropy * entropy).sum().backward()
    found = learner._errors(scores.detach(), actions, advantage)
    assert torch.allclose(found, scores.grad)


def test_the_critic_moves_by_the_delta_rule():
    critic = Critic(rate=0.5)
    x = torch.tensor([[1.0], [3.0]])
    assert critic(x, torch.tensor([2.0, 4.0])).tolist() == [2, 4]
    # 0.5 * mean of error * (x, 1).
    assert critic.weight.tolist() == [3.5, 1.5]
    assert critic(x, torch.zeros(2)).tolist() == [-5, -12]


@pytest.mark.parametrize("topology", ["layered", "loopy"])
def test_error_diffusion_of_values_only_grows_magnitudes_of_the_chosen_action(topology):
    learner = agent(ValueAgent, "ED, values", topology)
    network = learner.network
    before = network.weight.detach().clone()
    x = torch.rand(8, 25, generator=torch.Generator().manual_seed(2))
    actions = torch.ones(8, dtype=torch.long)
    learner._update(x, actions, torch.ones(8), x, torch.zeros(8))
    after = network.weight.detach()
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert (after[1].abs() >= before[1].abs()).all()
    assert (after[1] != before[1]).any()
    assert torch.equal(after.sign(), before.sign())


def test_normalized_errors_are_divided_by_the_squares_of_the_cells():
    plain, normalized = (
        agent(ValueAgent, each) for each in ("ED, values", "ED, values, normalized")
    )
    x = torch.rand(1, 25, generator=torch.Generator().manual_seed(2))
    states, _ = plain.network.run(x)
    changes = []
    for learner in (plain, normalized):
        before = learner.network.weight.detach().clone()
        learner._update(x, torch.tensor([2]), torch.ones(1), x, torch.zeros(1))
        changes.append((learner.network.weight.detach() - before)[2] / learner.method.rate)
    squares = states[-2][2].square().sum()
    assert torch.allclose(changes[0], changes[1] * squares, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", ["ED, values", "backprop, values"])
def test_targets_come_from_the_last_copy(method):
    learner = agent(ValueAgent, method)
    x = torch.rand(4, 25, generator=torch.Generator().manual_seed(3))
    actions = torch.zeros(4, dtype=torch.long)
    for _ in range(2):
        learner._update(x, actions, torch.ones(4), x, torch.ones(4))
    copied, now = learner.target.state_dict(), learner.network.state_dict()
    name = next(iter(dict(learner.network.named_parameters())))
    assert not torch.equal(copied[name], now[name])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("topology", ["layered", "loopy"])
def test_a_training_depends_on_its_seed_alone(method, topology):
    first, again, other = (
        train(Setting("bandit", method, topology, 3, seed)) for seed in (0, 0, 1)
    )
    assert first.points == again.points
    assert first.magnitude == again.magnitude != other.magnitude
    assert len(first.points) == 3


def test_backprop_solves_the_bandit():
    """The score of chance is 0.25."""
    assert train(Setting("bandit", "backprop, policy", "layered", 200, 0)).score > 0.9
