"""A spiking network that learns from rewards by dopamine-modulated STDP."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from sparsebrain.experiments.reward_study.agents import Agent, Critic
from sparsebrain.experiments.reward_study.episodes import Transitions
from sparsebrain.experiments.reward_study.networks import count_hidden, with_one
from sparsebrain.plasticity import DopamineSTDP
from sparsebrain.spiking import LIF

STEPS = 30
"""The number of steps of 1 ms for which a network sees one observation."""

_TAU = 10.0
# Input currents of a feature just above 0 and of 1, where 1 is the threshold.
_WEAKEST, _STRONGEST = 1.0, 2.5
# Constant currents: hidden neurons need input to spike, output neurons spike by themselves.
_HIDDEN_CURRENT, _OUTPUT_CURRENT = 0.9, 1.2
_POPULATION = 4
_HIDDEN_WEIGHTS, _OUTPUT_WEIGHTS = 2.0, 0.6
_EXPLORED, _PUSH = 0.2, 1.5
_CRITIC_RATE = 0.3
_SHORTEST = 1e-3


class Run(NamedTuple):
    """The spikes [B, T, N] of a network and the scores [B, A] of the actions."""

    spikes: Tensor
    scores: Tensor


class SpikingNetwork(nn.Module):
    """LIF neurons: one per feature, hidden ones, and four per action.

    Features and a constant drive the input neurons. These send to all hidden neurons, which send to
    each other along a connectome and to all output neurons. The score of an action is the number of
    spikes of its neurons in 30 ms; their final potentials break ties.

    Args:
        in_features: The number of features.
        actions: The number of actions.
        connectome: The synapses among the hidden neurons; None for none.
        generator: Draws the weights, normal with a variance that falls with the in-degree.
    """

    def __init__(
        self, in_features: int, actions: int, connectome: Data | None, generator: torch.Generator
    ) -> None:
        super().__init__()
        inputs, hidden = in_features + 1, count_hidden(connectome)
        self.actions, self.first, self.last = actions, inputs, inputs + hidden
        size = self.last + actions * _POPULATION
        cells = torch.arange(size)
        among = torch.empty(2, 0, dtype=torch.int64)
        if connectome is not None:
            among = connectome.edge_index + inputs
        synapses = torch.cat(
            [
                torch.cartesian_prod(cells[:inputs], cells[inputs : self.last]).T,
                among,
                torch.cartesian_prod(cells[inputs : self.last], cells[self.last :]).T,
            ],
            1,
        )
        self.lif = LIF(Data(edge_index=synapses, num_nodes=size), tau=_TAU, init="variance")
        target = synapses[1]
        scale = torch.where(target < self.last, _HIDDEN_WEIGHTS, _OUTPUT_WEIGHTS)
        drawn = torch.randn(len(target), generator=generator)
        self.lif.assign_weight(drawn * scale * torch.bincount(target)[target].rsqrt())

    @torch.no_grad()
    def run(self, x: Tensor, extra: Tensor | None = None) -> Run:
        """Run from rest.

        Args:
            x: The features [B, F].
            extra: Further currents of hidden and output neurons [B, N - F - 1].

        Returns:
            All spikes, and the scores.
        """
        current = x.new_zeros(len(x), self.lif.num_nodes)
        driven = with_one(x)
        current[:, : self.first] = (driven > 0) * (_WEAKEST + (_STRONGEST - _WEAKEST) * driven)
        current[:, self.first : self.last] = _HIDDEN_CURRENT
        current[:, self.last :] = _OUTPUT_CURRENT
        if extra is not None:
            current[:, self.first :] += extra
        spikes, state = self.lif(current.unsqueeze(1).expand(-1, STEPS, -1))
        # Below 1 in sum.
        closeness = state.u[:, self.last :].tanh() / (2 * _POPULATION)
        scores = spikes[:, :, self.last :].sum(1) + closeness
        return Run(spikes, scores.view(len(x), self.actions, _POPULATION).sum(2))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores [B, A] of x [B, F]."""
        return self.run(x).scores


class SpikingAgent(Agent):
    """The dopamine of a step is the advantage of its return; all synapses are plastic.

    Every hidden and output neuron receives a current that is drawn anew in each step of the task,
    and in one step of five the neurons of a random action receive a strong one. The eligibility of
    a synapse at the end of the 30 ms is multiplied with the advantage: what follows would only
    multiply all changes by the same number.

    The critic reads the features and the spike counts of the hidden neurons, because pairs of
    spikes have a mean that is not 0: where the critic is wrong, they change the weights whatever
    the action was (N. Fremaux, H. Sprekeler, W. Gerstner, Journal of Neuroscience 30 (2010)
    13326-13337).
    """

    network: SpikingNetwork

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.optimizer = self._optimizer()
        self.critic = Critic(_CRITIC_RATE)
        self.rule = DopamineSTDP(
            self.network.lif,
            a_plus=1.0,
            a_minus=self.method.depression,
            tau_plus=_TAU,
            tau_minus=_TAU,
            coincidence="potentiation",
        )
        self.traces: list[Tensor] = []

    def _make(self, in_features: int, actions: int, connectome: Data | None) -> nn.Module:
        return SpikingNetwork(in_features, actions, connectome, self.generator)

    def explore(self, x: Tensor) -> Tensor:
        """Return the actions of the most spikes with noise, and keep the spikes."""
        network, batch = self.network, len(x)
        size = network.lif.num_nodes - network.first
        extra = self.method.sigma * torch.randn(batch, size, generator=self.generator)
        pushed = torch.randint(self.actions, (batch,), generator=self.generator)
        explored = torch.rand(batch, generator=self.generator) < _EXPLORED
        push = functional.one_hot(pushed, self.actions) * explored.unsqueeze(1) * _PUSH
        extra[:, network.last - network.first :] += push.repeat_interleave(_POPULATION, 1)
        spikes, scores = network.run(x, extra)
        self.traces.append(spikes)
        return scores.argmax(1)

    def learn(self, played: Transitions) -> None:
        """Change all synapses by their eligibility and the advantages."""
        spikes = torch.cat(self.traces)[played.index]
        self.traces.clear()
        counts = spikes[:, :, self.network.first : self.network.last].sum(1)
        seen = torch.cat([_unit(played.observed), _unit(counts)], 1)
        dopamine = spikes.new_zeros(spikes.shape[:2])
        dopamine[:, -1] = self.critic(seen, self.method.scale * played.returns)
        self.optimizer.zero_grad()
        self.rule(spikes, dopamine)
        self.optimizer.step()


def _unit(x: Tensor) -> Tensor:
    """Return x [B, F] divided by the root mean square of its lengths."""
    return x / x.square().sum(1).mean().sqrt().clamp_min(_SHORTEST)
