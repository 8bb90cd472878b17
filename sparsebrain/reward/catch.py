"""Catch: a ball falls down a board, and a paddle at the bottom has to be below it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphs import arguments
from sparsebrain.reward.task import Task

_SIDE_AT_MOST = 64


class Catch(Task):
    """Catch on a board of rows and columns.

    A ball starts in a random column of the first row and falls by one row at each step. The paddle
    starts in the middle of the last row, at column columns // 2. The actions move it to the left
    (0), leave it (1) or move it to the right (2); it stops at the edges. When the ball reaches the
    last row, the episode ends with the reward 1 if the paddle is in its column and -1 otherwise.
    All other rewards are 0. An agent sees the board, with 1 at ball and paddle. The score is the
    share of balls that are caught.

    Args:
        episodes: The number of episodes B, at most 100,000.
        rows: The number of rows, 2 to 64.
        columns: The number of columns, 2 to 64. The paddle reaches every ball if
            rows > columns // 2.
        seed: An integer, a ``numpy.random.Generator``, or None for a random one, which draws the
            columns of the balls.

    Attributes:
        row: The row of every ball [B].
        column: The column of every ball [B].
        paddle: The column of every paddle [B].

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument is out of range.

    Source: V. Mnih, N. Heess, A. Graves, K. Kavukcuoglu, "Recurrent models of visual attention",
    NeurIPS (2014); the rules are those of I. Osband et al., "Behaviour suite for reinforcement
    learning", ICLR (2020).

    Example:
        >>> import numpy as np
        >>> from sparsebrain.reward import Catch
        >>> game = Catch(rows=2, columns=3, seed=0)
        >>> game.observe().reshape(2, 3)
        array([[0., 0., 1.],
               [0., 1., 0.]], dtype=float32)
        >>> game.step(np.array([2])).rewards
        array([1.])
    """

    num_actions = 3
    return_range = -1.0, 1.0

    def __init__(
        self,
        episodes: int = 1,
        *,
        rows: int = 5,
        columns: int = 5,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.rows = arguments.count("rows", rows, at_least=2, at_most=_SIDE_AT_MOST)
        self.columns = arguments.count("columns", columns, at_least=2, at_most=_SIDE_AT_MOST)
        self.num_features, self.max_steps = self.rows * self.columns, self.rows - 1
        super().__init__(episodes, seed=seed)

    def observe(self) -> NDArray[np.float32]:
        """Return the boards, [B, rows * columns], with 1 at ball and paddle."""
        boards = np.zeros((self.episodes, self.num_features), np.float32)
        every = np.arange(self.episodes)
        boards[every, self.row * self.columns + self.column] = 1
        boards[every, (self.rows - 1) * self.columns + self.paddle] = 1
        return boards

    def _begin(self, which: NDArray[np.bool_]) -> None:
        drawn = self.generator.integers(self.columns, size=self.episodes)
        if bool(which.all()):
            self.column = drawn
            self.row = np.zeros(self.episodes, np.int64)
            self.paddle = np.full(self.episodes, self.columns // 2)
        else:
            self.column[which], self.row[which] = drawn[which], 0
            self.paddle[which] = self.columns // 2

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        self.row = self.row + 1
        self.paddle = np.clip(self.paddle + actions - 1, 0, self.columns - 1)
        ended = self.row >= self.rows - 1
        caught = np.where(self.paddle == self.column, 1.0, -1.0)
        return np.where(ended, caught, 0.0), ended
