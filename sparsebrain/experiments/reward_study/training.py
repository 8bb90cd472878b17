"""One training on a task with rewards."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch

from sparsebrain.experiments.reward_study.agents import (
    Agent,
    PolicyAgent,
    ThreeFactorAgent,
    ValueAgent,
)
from sparsebrain.experiments.reward_study.episodes import play
from sparsebrain.experiments.reward_study.methods import METHODS, SCALES
from sparsebrain.experiments.reward_study.networks import make_connectome
from sparsebrain.experiments.reward_study.spiking import SpikingAgent
from sparsebrain.experiments.threads import one_thread
from sparsebrain.reward import TASKS, Task

EPISODES = 32
TESTED = {"bandit": 500, "catch": 500, "cartpole": 100}
"""The number of episodes of a test, by task."""

POINTS = 20
GROWTH = 1000.0
"""A training has diverged if weights have grown, or scores of actions are, beyond this factor."""

# In a test the best action of the bandit is always rewarded, so that the score is exact.
_TESTS: dict[str, dict[str, Any]] = {"bandit": {"sure": 1.0}}
_AGENTS: dict[str, type[Agent]] = {
    "values": ValueAgent,
    "policy": PolicyAgent,
    "noise": ThreeFactorAgent,
    "spikes": SpikingAgent,
}
_TEST_SEED = 10_000


@dataclass(frozen=True)
class Setting:
    """Everything that determines a training.

    Attributes:
        task: The name of the task.
        method: The name of the method.
        topology: "layered", "loopy", or any topology as text.
        batches: The number of batches of 32 episodes.
        seed: The seed.
        code_checksum: The checksum of the code; empty if unknown.
        connectome_checksum: The checksum of the connectome; empty without one or if unknown.
    """

    task: str
    method: str
    topology: str
    batches: int
    seed: int
    code_checksum: str = ""
    connectome_checksum: str = ""


@dataclass(frozen=True)
class Score:
    """The result of a training.

    Attributes:
        score: The mean score of the best actions in new episodes after the last batch, 1 for
            perfect; NaN if the training diverged.
        magnitude: The mean magnitude of all weights after the last batch.
        seconds: The CPU time in seconds.
        diverged: The batch after which the training was stopped because it diverged; 0 if it did
            not. It diverged if a weight or the score of an action was not finite, the mean
            magnitude of the weights was above 1000 times that at the start, or the score of an
            action above 1000, where rewards are scaled so that returns are near 1.
        curve: The scores at up to 20 times, equally spaced, separated by spaces.
        predicted: The mean of the largest score of an action at the start of a test after the last
            batch. For values it is the predicted return, in the scale of the rewards.
    """

    score: float
    magnitude: float
    seconds: float
    diverged: int
    curve: str
    predicted: float = math.nan

    @property
    def points(self) -> list[float]:
        """The scores over the training."""
        return [float(each) for each in self.curve.split()]


def train(setting: Setting) -> Score:
    """Train an agent, and test it on the way with its best actions."""
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        return _train(setting)


def _train(setting: Setting) -> Score:
    name = setting.task
    task = TASKS[name](EPISODES, seed=setting.seed)
    options = {"seed": _TEST_SEED + setting.seed, **_TESTS.get(name, {})}
    test = TASKS[name](TESTED[name], **options)
    method = METHODS[setting.method]
    method = replace(method, scale=method.scale * SCALES[name])
    agent = _AGENTS[method.learns](
        method,
        task.num_features,
        task.num_actions,
        make_connectome(setting.topology, setting.seed),
        torch.Generator().manual_seed(setting.seed),
    )
    every = max(1, setting.batches // POINTS)
    most = GROWTH * agent.magnitude()
    start, curve, diverged, predicted = time.process_time(), [], 0, math.nan
    for batch in range(1, setting.batches + 1):
        agent.learn(play(task, agent.explore, method.discount))
        # Not above, so that NaN has diverged too.
        diverged = 0 if agent.magnitude() <= most else batch
        if not diverged and (batch % every == 0 or batch == setting.batches):
            scores = agent.score(torch.from_numpy(test.observe()))
            predicted = float(scores.amax(1).mean())
            diverged = 0 if float(scores.abs().max()) <= GROWTH else batch
            if not diverged:
                curve.append(_test(agent, test))
        if diverged:
            break
    score = math.nan if diverged else curve[-1]
    seconds = time.process_time() - start
    told = " ".join(f"{each:.4f}" for each in curve)
    return Score(score, agent.magnitude(), seconds, diverged, told, predicted)


def _test(agent: Agent, test: Task) -> float:
    worst, best = test.return_range
    mean = float(play(test, agent.choose, 1.0).rewards.sum()) / test.episodes
    return (mean - worst) / (best - worst)
