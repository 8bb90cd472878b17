"""One training on a task with rewards."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

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
from sparsebrain.experiments.threads import one_thread
from sparsebrain.reward import TASKS, Task

EPISODES = 32
TESTED = 500
POINTS = 20
_AGENTS: dict[str, type[Agent]] = {
    "values": ValueAgent,
    "policy": PolicyAgent,
    "noise": ThreeFactorAgent,
}
_TEST_SEED = 10_000


@dataclass(frozen=True)
class Setting:
    """Everything that determines a training.

    Attributes:
        task: The name of the task.
        method: The name of the method.
        topology: "layered" or "loopy".
        batches: The number of batches of 32 episodes.
        seed: The seed.
        code_checksum: The checksum of the code; empty if unknown.
    """

    task: str
    method: str
    topology: str
    batches: int
    seed: int
    code_checksum: str = ""


@dataclass(frozen=True)
class Score:
    """The result of a training.

    Attributes:
        score: The mean score of the best actions in 500 new episodes after the last batch, 1 for
            perfect; NaN if the training diverged.
        magnitude: The mean magnitude of all weights after the last batch.
        seconds: The CPU time in seconds.
        diverged: The batch in which the weights or scores were no longer finite; 0 if they were.
        curve: The scores at up to 20 times, equally spaced, separated by spaces.
    """

    score: float
    magnitude: float
    seconds: float
    diverged: int
    curve: str

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
    make = TASKS[setting.task]
    task, test = make(EPISODES, seed=setting.seed), make(TESTED, seed=_TEST_SEED + setting.seed)
    method = METHODS[setting.method]
    method = replace(method, scale=method.scale * SCALES[setting.task])
    agent = _AGENTS[method.learns](
        method,
        task.num_features,
        task.num_actions,
        make_connectome(setting.topology, setting.seed),
        torch.Generator().manual_seed(setting.seed),
    )
    every = max(1, setting.batches // POINTS)
    start, curve, diverged = time.process_time(), [], 0
    for batch in range(1, setting.batches + 1):
        agent.learn(play(task, agent.explore, method.discount))
        if batch % every == 0 or batch == setting.batches:
            if not math.isfinite(agent.magnitude()):
                diverged = batch
                break
            curve.append(_test(agent, test))
    score = math.nan if diverged else curve[-1]
    seconds = time.process_time() - start
    told = " ".join(f"{each:.4f}" for each in curve)
    return Score(score, agent.magnitude(), seconds, diverged, told)


def _test(agent: Agent, test: Task) -> float:
    worst, best = test.return_range
    mean = float(play(test, agent.choose, 1.0).rewards.sum()) / test.episodes
    return (mean - worst) / (best - worst)
