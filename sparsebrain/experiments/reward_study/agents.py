"""Agents that learn from rewards: values of actions, or the actions themselves."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from sparsebrain.error_diffusion import ErrorDiffusion
from sparsebrain.experiments.reward_study.episodes import Transitions
from sparsebrain.experiments.reward_study.methods import Method
from sparsebrain.experiments.reward_study.networks import (
    Network,
    Traced,
    make_cells,
    with_one,
)
from sparsebrain.plasticity import NodePerturbation, RewardHebb

_EXPLORED = 0.1
_BATCH = 64
_CAPACITY = 4000
_UPDATES_AT_MOST = 64


class Agent(ABC):
    """An agent with one network whose outputs score the actions.

    Args:
        method: How it learns.
        in_features: The number of features.
        actions: The number of actions.
        connectome: The synapses among the hidden neurons; None for none.
        generator: The source of all random numbers but those of torch's initializers.
    """

    def __init__(
        self,
        method: Method,
        in_features: int,
        actions: int,
        connectome: Data | None,
        generator: torch.Generator,
    ) -> None:
        self.method, self.actions, self.generator = method, actions, generator
        self.network = self._make(in_features, actions, connectome)

    def _make(self, in_features: int, actions: int, connectome: Data | None) -> nn.Module:
        if self.method.rule == "error-diffusion":
            return make_cells(in_features, actions, connectome, self.generator)
        return Network(in_features, actions, connectome)

    @torch.no_grad()
    def score(self, x: Tensor) -> Tensor:
        """Return the scores of the actions [B, A] for x [B, F]."""
        found: Tensor = self.network(x)
        return found

    def choose(self, x: Tensor) -> Tensor:
        """Return the best actions [B] for x [B, F]."""
        return self.score(x).argmax(1)

    @abstractmethod
    def explore(self, x: Tensor) -> Tensor:
        """Return actions [B] for x [B, F] while it learns."""

    @abstractmethod
    def learn(self, played: Transitions) -> None:
        """Learn from the episodes that :meth:`explore` has just played."""

    def magnitude(self) -> float:
        """Return the mean magnitude of all weights."""
        return float(
            torch.cat([each.detach().abs().flatten() for each in self.network.parameters()]).mean()
        )

    def _optimizer(self) -> torch.optim.Optimizer:
        method = self.method
        if method.rule == "backprop":
            return torch.optim.Adam(self.network.parameters(), lr=method.rate)
        return torch.optim.SGD(self.network.parameters(), lr=method.rate, weight_decay=method.decay)


class ValueAgent(Agent):
    """Q-learning: the outputs predict the return of each action.

    It explores by a random action in one step of ten, and replays the last 4000 transitions in
    batches of 64, at most 64 for each time that it has played. The targets are
    r + discount * max Q'(s'), from a copy of the network that is renewed every ``method.renewed``
    batches. Without bootstrapping the target is the return of the episode.

    By error diffusion, the error of an output changes it by the rate times the error times the sum
    of squares of half of the cells that send to it, which diverges if rate and sum are too large.
    As magnitudes only grow, cells saturate and the sum rises. ``method.normalized`` divides errors
    by it, and ``method.falls`` lets the rate fall.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.target = copy.deepcopy(self.network)
        self.optimizer = self._optimizer()
        self.rule = (
            ErrorDiffusion(self.network, loss="quadratic")
            if self.method.rule == "error-diffusion"
            else None
        )
        self.kept: list[Tensor] = []
        self.updates = 0

    def explore(self, x: Tensor) -> Tensor:
        """Return the best actions, or random ones in a tenth of all cases."""
        random = torch.randint(self.actions, (len(x),), generator=self.generator)
        explored = torch.rand(len(x), generator=self.generator) < _EXPLORED
        return torch.where(explored, random, self.choose(x))

    def learn(self, played: Transitions) -> None:
        """Add the transitions to those kept, and learn from batches of them."""
        new = [
            played.observed,
            played.actions,
            played.returns if not self.method.bootstrapped else played.rewards,
            played.following,
            played.continues * self.method.bootstrapped,
        ]
        self.kept = [
            torch.cat([*old, now])[-_CAPACITY:]
            for old, now in zip([[each] for each in self.kept] or [[]] * len(new), new, strict=True)
        ]
        updates = self.method.replays * len(played.actions) // _BATCH
        for _ in range(min(max(1, updates), _UPDATES_AT_MOST)):
            chosen = torch.randint(len(self.kept[0]), (_BATCH,), generator=self.generator)
            self._update(*(each[chosen] for each in self.kept))

    def _update(
        self, x: Tensor, actions: Tensor, rewards: Tensor, following: Tensor, continues: Tensor
    ) -> None:
        wanted = self._target(rewards, following, continues)
        if self.method.falls:
            fallen = self.method.rate / (1 + self.updates / self.method.falls)
            for group in self.optimizer.param_groups:
                group["lr"] = fallen
        self.updates += 1
        self.optimizer.zero_grad()
        place = actions.unsqueeze(1)
        if self.rule is None:
            found = self.network(x).gather(1, place).squeeze(1)
            (0.5 * (wanted - found).square().mean()).backward()
        else:
            with torch.no_grad():
                states, scores = self.rule.model.run(x, self.rule.model.fold())
            error = (wanted - scores.gather(1, place).squeeze(1)).unsqueeze(1)
            if self.method.normalized:
                # The squares of all cells that send to an output, [K, cells, B]. With loops the
                # last stage holds all cells, the output among them.
                sending = states[-2] if states[-2].dim() == 3 else states[-1]
                error = error / sending.square().sum(1).t().gather(1, place)
            self.rule.diffuse(states, torch.zeros_like(scores).scatter(1, place, error))
        self.optimizer.step()

    @torch.no_grad()
    def _target(self, rewards: Tensor, following: Tensor, continues: Tensor) -> Tensor:
        """Return the targets of the values of the actions taken [M]."""
        if self.updates % self.method.renewed == 0:
            self.target.load_state_dict(self.network.state_dict())
        values = self.target(following)
        if self.method.double:
            best = values.gather(1, self.choose(following).unsqueeze(1)).squeeze(1)
        else:
            best = values.amax(1)
        return self.method.scale * rewards + self.method.discount * continues * best


class PolicyAgent(Agent):
    """REINFORCE: actions are drawn from the softmax of the outputs.

    The advantage is the return minus the prediction of a linear critic on the features. By error
    diffusion the outputs receive the error (onehot - softmax) * advantage.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.optimizer = self._optimizer()
        self.critic = Critic()
        self.rule = (
            ErrorDiffusion(self.network, loss="quadratic")
            if self.method.rule == "error-diffusion"
            else None
        )

    def explore(self, x: Tensor) -> Tensor:
        """Draw actions from the softmax of the outputs."""
        with torch.no_grad():
            odds = self.network(x).softmax(1)
        return torch.multinomial(odds, 1, generator=self.generator).squeeze(1)

    def learn(self, played: Transitions) -> None:
        """Follow the advantages of the actions."""
        advantage = self.critic(played.observed, self.method.scale * played.returns)
        self.optimizer.zero_grad()
        if self.rule is None:
            scores = self.network(played.observed)
            (-(scores * self._errors(scores.detach(), played.actions, advantage))).sum(
                1
            ).mean().backward()
        else:
            with torch.no_grad():
                states, scores = self.rule.model.run(played.observed, self.rule.model.fold())
            self.rule.diffuse(states, self._errors(scores, played.actions, advantage))
        self.optimizer.step()

    def _errors(self, scores: Tensor, actions: Tensor, advantage: Tensor) -> Tensor:
        """Return the gradient [M, A] of advantage * log p + entropy with respect to the scores."""
        logs = scores.log_softmax(1)
        odds = logs.exp()
        entropy = -(odds * logs).sum(1, keepdim=True)
        followed = (functional.one_hot(actions, self.actions) - odds) * advantage.unsqueeze(1)
        return followed - self.method.entropy * odds * (logs + entropy)


class ThreeFactorAgent(Agent):
    """Noise on all neurons explores, and the advantage of the return changes their synapses.

    The action is that of the largest output, noise included. By node perturbation a synapse changes
    by the noise of its target, by the reward-modulated Hebb rule by the deviation of its target
    from the running mean, both times the presynaptic activity and the advantage.
    """

    network: Network

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.optimizer = self._optimizer()
        self.critic = Critic()
        layers = {
            name: each
            for name, each in self.network.named_children()
            if name in ("below", "among", "above")
        }
        sigma = self.method.sigma
        self.noisy = {name: NodePerturbation(each, sigma) for name, each in layers.items()}  # type: ignore[arg-type]
        self.hebb = {name: RewardHebb(each) for name, each in layers.items()}  # type: ignore[arg-type]
        self.traces: list[Traced] = []

    def explore(self, x: Tensor) -> Tensor:
        """Return the actions of the largest outputs with noise."""
        traced = self.network.perturbed(x, self.noisy)
        self.traces.append(traced)
        return traced.sums[-1].argmax(1)

    def learn(self, played: Transitions) -> None:
        """Change the synapses by the traces of the steps."""
        advantage = self.critic(played.observed, self.method.scale * played.returns)
        self.optimizer.zero_grad()
        names = {id(rule): name for name, rule in self.noisy.items()}
        for at, rule in enumerate(self.traces[0].rules):
            inputs, sums, noise = (
                torch.cat([getattr(each, field)[at] for each in self.traces])[played.index]
                for field in ("inputs", "sums", "noise")
            )
            if self.method.rule == "node-perturbation":
                rule(inputs, noise, advantage)
            else:
                self.hebb[names[id(rule)]](inputs, sums, advantage)
        self.traces.clear()
        self.optimizer.step()


class Critic:
    """A linear prediction of returns, by the delta rule."""

    def __init__(self, rate: float = 0.1) -> None:
        self.rate, self.weight = rate, torch.zeros(0)

    @torch.no_grad()
    def __call__(self, x: Tensor, returns: Tensor) -> Tensor:
        """Return the errors [M] of the predictions for x [M, F], and move them."""
        x = with_one(x)
        if not len(self.weight):
            self.weight = torch.zeros(x.size(1))
        errors = returns - x @ self.weight
        self.weight += self.rate * (x * errors.unsqueeze(1)).mean(0)
        return errors
