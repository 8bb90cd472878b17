"""The base class of tasks with rewards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs import arguments, tensors

MOST_EPISODES = 100_000
SOLVED = 0.95
"""The score above which a task counts as solved."""


class Step(NamedTuple):
    """What follows from the actions of all episodes.

    Attributes:
        rewards: The rewards [B], float64.
        following: What an agent sees after the step [B, F], float32, before episodes that are over
            start again.
        ended: Whether the episode has ended, [B] bool, so that no reward follows.
        truncated: Whether the episode was cut off at its longest length without having ended, [B]
            bool.
    """

    rewards: NDArray[np.float64]
    following: NDArray[np.float32]
    ended: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


class Task(ABC):
    """A task with rewards, for B episodes side by side.

    An episode that is over starts again at once, with a new random start.

    Args:
        episodes: The number of episodes B, at most 100,000.
        seed: An integer, a ``numpy.random.Generator``, or None for a random one.

    Attributes:
        num_features: F, the number of features that an agent sees, none of them negative.
        num_actions: The number of actions A.
        max_steps: The number of steps after which an episode is over.
        return_range: The mean returns, sums of the rewards of an episode, of the scores 0 and 1.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument is out of range.
    """

    num_features: int
    num_actions: int
    max_steps: int
    return_range: tuple[float, float]

    def __init__(self, episodes: int = 1, *, seed: int | np.random.Generator | None = None) -> None:
        self.episodes = arguments.count("episodes", episodes, at_least=1, at_most=MOST_EPISODES)
        self.generator = arguments.generator(seed)
        told = f"episodes={self.episodes} with {self.num_features} features"
        tensors.room(told, 16 * self.episodes * self.num_features, "pass fewer episodes")
        self.restart()

    def restart(self) -> None:
        """Start all episodes again."""
        self.steps = np.zeros(self.episodes, np.int64)
        self._begin(np.ones(self.episodes, bool))

    @abstractmethod
    def observe(self) -> NDArray[np.float32]:
        """Return what an agent sees, [B, F] float32, none of it negative."""

    def step(self, actions: NDArray[Any]) -> Step:
        """Take one action in each episode.

        Args:
            actions: The numbers of the actions [B], integers from 0 to A - 1.

        Returns:
            Rewards, the features that follow, and which episodes are over.

        Raises:
            TypeError: ``actions`` is not an array of integers.
            ValueError: ``actions`` has a wrong shape, or an action does not exist.
        """
        fix = f"pass actions=numpy.zeros({self.episodes}, int)"
        if not (isinstance(actions, np.ndarray) and actions.dtype.kind in "iu"):
            raise TypeError(
                f"actions must be a NumPy array of integers, got {arguments.described(actions)}; "
                f"{fix}"
            )
        if actions.shape != (self.episodes,):
            raise ValueError(
                f"actions must have shape [{self.episodes}], got {list(actions.shape)}; {fix}"
            )
        if bool(((actions < 0) | (actions >= self.num_actions)).any()):
            raise ValueError(
                f"actions must be from 0 to {self.num_actions - 1}, got "
                f"{arguments.shortened(actions.tolist())}; {fix}"
            )
        rewards, ended = self._advance(actions.astype(np.int64))
        self.steps += 1
        truncated = (self.steps >= self.max_steps) & ~ended
        following = self.observe()
        over = ended | truncated
        if bool(over.any()):
            self.steps[over] = 0
            self._begin(over)
        return Step(rewards, following, ended, truncated)

    @abstractmethod
    def _begin(self, which: NDArray[np.bool_]) -> None:
        """Start the chosen episodes, [B] bool, again."""

    @abstractmethod
    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move all episodes by a step, and return the rewards [B] and which ended [B]."""
