"""Episodes that an agent plays, as tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sparsebrain.reward import Task


@dataclass(frozen=True)
class Transitions:
    """The steps of all episodes, in the order of time and then of episodes.

    Attributes:
        observed: What the agent saw [M, F].
        actions: The actions [M].
        rewards: The rewards [M].
        following: What the agent saw after the action [M, F].
        continues: 1 where the episode went on, also where it was only cut off, and otherwise 0 [M].
        returns: The discounted sum of the rewards from the step on [M].
        index: The position [M] of every step in the steps [T * B] of the agent.
    """

    observed: Tensor
    actions: Tensor
    rewards: Tensor
    following: Tensor
    continues: Tensor
    returns: Tensor
    index: Tensor


def play(task: Task, act: Callable[[Tensor], Tensor], discount: float) -> Transitions:
    """Play one episode in each of the B places of a task.

    Args:
        task: The task, at the beginning of its episodes.
        act: Returns actions [B] for observations [B, F].
        discount: The factor of the next step's reward in a return.

    Returns:
        All steps until each episode is over.
    """
    rows, alive, alives = [], np.ones(task.episodes, bool), []
    while bool(alive.any()):
        observed = torch.from_numpy(task.observe())
        actions = act(observed)
        step = task.step(actions.numpy())
        rows.append((observed, actions, step))
        alives.append(torch.from_numpy(alive.copy()))
        alive &= ~(step.ended | step.truncated)
    task.restart()
    kept = torch.stack(alives)
    rewards = torch.stack([torch.from_numpy(step.rewards).float() for *_, step in rows]) * kept
    returns = rewards.clone()
    for time in range(len(returns) - 2, -1, -1):
        returns[time] += discount * returns[time + 1]
    going = torch.stack([torch.from_numpy(~step.ended).float() for *_, step in rows])
    chosen = kept.flatten()
    return Transitions(
        observed=torch.cat([each for each, *_ in rows])[chosen],
        actions=torch.cat([each for _, each, _ in rows])[chosen],
        rewards=rewards.flatten()[chosen],
        following=torch.cat([torch.from_numpy(step.following) for *_, step in rows])[chosen],
        continues=going.flatten()[chosen],
        returns=returns.flatten()[chosen],
        index=chosen.nonzero().flatten(),
    )
