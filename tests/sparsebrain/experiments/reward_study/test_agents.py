"""Agents follow the errors of their definitions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sparsebrain.experiments.reward_study import training
from sparsebrain.experiments.reward_study.agents import (
    Critic,
    PolicyAgent,
    ThreeFactorAgent,
    ValueAgent,
)
from sparsebrain.experiments.reward_study.episodes import play
from sparsebrain.experiments.reward_study.methods import MENDS, METHODS
from sparsebrain.experiments.reward_study.networks import make_connectome, read_topology
from sparsebrain.experiments.reward_study.spiking import SpikingAgent
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


@pytest.mark.parametrize(
    ("topology", "method"),
    [
        *(("layered", method) for method in METHODS),
        *(("loopy", method) for method in METHODS if method not in MENDS),
    ],
)
def test_a_training_depends_on_its_seed_alone(topology, method):
    first, again, other = (
        train(Setting("bandit", method, topology, 3, seed)) for seed in (0, 0, 1)
    )
    assert first.points == again.points
    assert first.magnitude == again.magnitude != other.magnitude
    assert len(first.points) == 3


def test_backprop_solves_the_bandit():
    """The score of chance is 0.25."""
    assert train(Setting("bandit", "backprop, policy", "layered", 200, 0)).score > 0.9


def test_the_rate_of_values_falls():
    learner = agent(ValueAgent, "ED, values, falling rate")
    x = torch.rand(4, 25, generator=torch.Generator().manual_seed(3))
    rates = []
    for number in (0, 200, 600):
        learner.updates = number
        learner._update(x, torch.zeros(4, dtype=torch.long), torch.ones(4), x, torch.zeros(4))
        rates.append(learner.optimizer.param_groups[0]["lr"])
    assert rates == [3.0, 1.5, 0.75]


def test_double_targets_take_the_action_that_the_trained_network_prefers():
    learner = agent(ValueAgent, "ED, values, double")
    x = torch.rand(6, 25, generator=torch.Generator().manual_seed(3))
    learner.updates = 1  # The target is not renewed.
    learner.network.reset_parameters(torch.Generator().manual_seed(5))
    values, preferred = learner.target(x), learner.choose(x)
    assert (preferred != values.argmax(1)).any()
    found = learner._target(torch.ones(6), x, torch.ones(6))
    expected = 1 + 0.99 * values[torch.arange(6), preferred]
    assert torch.allclose(found, expected)


@pytest.mark.parametrize("grows", ["weights", "scores", "not a number"])
def test_growth_beyond_all_bounds_is_reported(grows, monkeypatch):
    """The third batch multiplies the weights, which were 0.1 in the mean, or the scores."""
    monkeypatch.setattr(training, "POINTS", 10)
    calls = []

    class Growing(PolicyAgent):
        def learn(self, played):
            super().learn(played)
            calls.append(1)
            if len(calls) == 3:
                for weight in self.network.parameters():
                    weight.data *= {"weights": 1e5, "scores": 100.0}.get(grows, math.nan)

        def score(self, x):
            return super().score(x) * (1e4 if grows == "scores" and len(calls) >= 3 else 1)

    monkeypatch.setitem(training._AGENTS, "policy", Growing)
    found = train(Setting("bandit", "backprop, policy", "layered", 10, 0))
    assert found.diverged == 3 == len(calls)
    assert math.isnan(found.score)
    assert len(found.points) == 2


def test_reward_hebb_at_a_high_rate_is_reported_and_stops(monkeypatch):
    """Its weights grow by a factor per batch, and used to reach 5e22 without a word."""
    wild = replace(METHODS["reward-Hebb"], rate=5.0)
    monkeypatch.setitem(METHODS, "reward-Hebb", wild)
    found = train(Setting("bandit", "reward-Hebb", "layered", 100, 0))
    assert 0 < found.diverged < 100
    assert math.isnan(found.score)


def test_dopamine_changes_spiking_synapses_by_eligibility_times_advantage():
    learner = agent(SpikingAgent, "dopamine-STDP", "loopy")
    games = Catch(4, seed=0)
    played = play(games, learner.explore, 0.99)
    spikes = torch.cat(learner.traces)[played.index]
    before = learner.network.lif.weight.detach().clone()
    learner.learn(played)
    change = learner.network.lif.weight.detach() - before
    assert change.any()
    # Without a prediction yet, the advantage is the return. Pairs in order, or of the same step.
    keeps, past = math.exp(-1 / 10), torch.zeros_like(spikes[:, 0])
    source, target = learner.network.lif.edge_index
    eligibility = torch.zeros(len(spikes), len(source))
    for now in spikes.unbind(1):
        past = past * keeps + now
        eligibility = eligibility * math.exp(-1 / 1000) + now[:, target] * past[:, source]
    area = -math.expm1(-(1 / 1000 + 1 / 200)) / (1 / 1000 + 1 / 200)
    expected = (eligibility * played.returns.unsqueeze(1)).mean(0) * area
    assert torch.allclose(change, expected * learner.method.rate, rtol=1e-3, atol=1e-6)
    assert not learner.traces


def test_spiking_scores_count_spikes_and_ties_are_broken_by_potentials():
    learner = agent(SpikingAgent, "dopamine-STDP")
    x = torch.from_numpy(Catch(16, seed=1).observe())
    run = learner.network.run(x)
    assert run.spikes.shape == (16, 30, 26 + 64 + 12)
    counts = run.spikes[:, :, -12:].sum(1).view(16, 3, 4).sum(2)
    assert ((run.scores - counts).abs() < 1).all()
    assert torch.equal(learner.choose(x), run.scores.argmax(1))


@pytest.mark.parametrize("topology", ["c-elegans", "small-world:neighbors=8", "none"])
def test_any_topology_connects_the_hidden_neurons(topology):
    found = make_connectome(read_topology(topology), 0)
    if topology == "none":
        assert found is None
        return
    assert found.num_nodes == (64 if "small" in topology else 302)
    assert [*found.to_dict()] == ["edge_index", "num_nodes"]
    for kind, method in ((ThreeFactorAgent, "node perturbation"), (SpikingAgent, "dopamine-STDP")):
        learner = agent(kind, method, topology)
        played = play(Catch(2, seed=0), learner.explore, 0.99)
        learner.learn(played)
        assert learner.magnitude() > 0
