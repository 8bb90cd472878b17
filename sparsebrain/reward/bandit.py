"""A contextual bandit: one action per episode, whose reward depends on the context."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphs import arguments
from sparsebrain.reward.task import Task

_BITS_AT_MOST, _ACTIONS_AT_MOST = 16, 64


class Bandit(Task):
    """A contextual bandit with noisy rewards.

    Every context of ``bits`` bits has one best action, drawn once for all contexts, so that the
    best action is in general no linear function of the bits. The best action gives the reward 1
    with a probability of ``sure``, every other one with 1 - ``sure``, and 0 otherwise. An agent
    sees every bit and its complement. The score is the share of best actions.

    Args:
        episodes: The number of episodes B, at most 100,000.
        bits: The number of bits of a context, at most 16.
        num_actions: The number of actions, 2 to 64.
        sure: The probability of a reward for the best action, above 0.5 and at most 1.
        table_seed: The seed that draws the best actions.
        seed: An integer, a ``numpy.random.Generator``, or None for a random one, which draws
            contexts and rewards.

    Attributes:
        best: The best action [2^bits] of every context.
        context: The context of every episode [B].

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument is out of range.

    Example:
        >>> import numpy as np
        >>> from sparsebrain.reward import Bandit
        >>> bandit = Bandit(2, bits=2, sure=1.0, seed=0)
        >>> bandit.observe().shape
        (2, 4)
        >>> bandit.step(bandit.best[bandit.context]).rewards
        array([1., 1.])
    """

    max_steps = 1

    def __init__(
        self,
        episodes: int = 1,
        *,
        bits: int = 3,
        num_actions: int = 4,
        sure: float = 0.9,
        table_seed: int = 0,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.bits = arguments.count("bits", bits, at_least=1, at_most=_BITS_AT_MOST)
        self.num_actions = arguments.count(
            "num_actions", num_actions, at_least=2, at_most=_ACTIONS_AT_MOST
        )
        self.sure = arguments.real("sure", sure, at_most=1)
        if self.sure <= 0.5:
            raise ValueError(
                f"sure must be above 0.5, got {self.sure:g}; pass sure=0.9, so that the best "
                "action gives the most reward"
            )
        self.return_range = 1 - self.sure, self.sure
        self.num_features = 2 * self.bits
        table = np.random.default_rng(arguments.count("table_seed", table_seed))
        self.best = table.integers(self.num_actions, size=2**self.bits)
        super().__init__(episodes, seed=seed)

    def observe(self) -> NDArray[np.float32]:
        """Return the bits of the contexts, and their complements, [B, 2 bits]."""
        ones = (self.context[:, None] >> np.arange(self.bits)) & 1
        return np.concatenate([ones, 1 - ones], 1).astype(np.float32)

    def _begin(self, which: NDArray[np.bool_]) -> None:
        drawn: NDArray[Any] = self.generator.integers(2**self.bits, size=self.episodes)
        if bool(which.all()):
            self.context = drawn
        else:
            self.context[which] = drawn[which]

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        right = actions == self.best[self.context]
        chance = np.where(right, self.sure, 1 - self.sure)
        rewards = (self.generator.random(self.episodes) < chance).astype(np.float64)
        return rewards, np.ones(self.episodes, bool)
