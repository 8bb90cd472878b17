"""CartPole: a cart keeps a pole upright by pushes to the left and to the right."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from graphs import arguments
from sparsebrain.reward.task import Task

_GRAVITY, _CART, _POLE, _HALF, _FORCE, _TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
_FARTHEST, _STEEPEST = 2.4, 12 * math.pi / 180
_START = 0.05
_STEPS_AT_MOST = 10_000
# Typical sizes of position, velocity, angle and angular velocity, which bring features near 1.
_SCALE = np.array([2.4, 2.0, 0.21, 2.0])


class CartPole(Task):
    r"""A pole of 1 m and 0.1 kg on a cart of 1 kg that is pushed by 10 N.

    With the force F, -10 for action 0 and 10 for action 1, the angle :math:`\theta` from the
    vertical, m the mass of the pole, M of both, and l half of the length,

    .. math::
        h = \frac{F + m l \dot\theta^2 \sin\theta}{M}, \qquad
        \ddot\theta = \frac{g \sin\theta - h \cos\theta}{l (4/3 - m \cos^2\theta / M)}, \qquad
        \ddot x = h - \frac{m l \ddot\theta \cos\theta}{M}

    in Euler steps of 20 ms, which move positions by the velocities before the step. Every step
    gives the reward 1. An episode ends if \|x\| > 2.4 m or the angle exceeds 12 degrees, and is cut
    off after ``max_steps``. An agent sees the positive and the negative part of each of the four
    variables, divided by 2.4 m, 2 m/s, 0.21 and 2/s. The score is the mean number of steps divided
    by ``max_steps``.

    Args:
        episodes: The number of episodes B, at most 100,000.
        max_steps: The number of steps after which an episode is cut off, at most 10,000.
        seed: An integer, a ``numpy.random.Generator``, or None for a random one, which draws the
            starts, uniformly from -0.05 to 0.05.

    Attributes:
        state: x, its velocity, the angle and its velocity, [B, 4] float64, in SI units.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument is out of range.

    Source: A. G. Barto, R. S. Sutton, C. W. Anderson, "Neuronlike adaptive elements that can solve
    difficult learning control problems", IEEE Transactions on Systems, Man, and Cybernetics 13
    (1983) 834-846, without friction, with the constants of CartPole-v0 in Gymnasium.

    Example:
        >>> import numpy as np
        >>> from sparsebrain.reward import CartPole
        >>> cart = CartPole(seed=0)
        >>> cart.state[:] = 0
        >>> _ = cart.step(np.array([1]))
        >>> cart.state.round(6)
        array([[ 0.      ,  0.195122,  0.      , -0.292683]])
    """

    num_features = 8
    num_actions = 2

    def __init__(
        self,
        episodes: int = 1,
        *,
        max_steps: int = 200,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.max_steps = arguments.count("max_steps", max_steps, at_least=1, at_most=_STEPS_AT_MOST)
        self.return_range = 0.0, float(self.max_steps)
        super().__init__(episodes, seed=seed)

    def observe(self) -> NDArray[np.float32]:
        """Return the positive and the negative parts of the scaled variables, [B, 8]."""
        scaled = self.state / _SCALE
        return np.maximum(np.concatenate([scaled, -scaled], 1), 0).astype(np.float32)

    def _begin(self, which: NDArray[np.bool_]) -> None:
        drawn = self.generator.uniform(-_START, _START, (self.episodes, 4))
        if bool(which.all()):
            self.state = drawn
        else:
            self.state[which] = drawn[which]

    def _advance(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        _, speed, angle, turning = self.state.T
        sine, cosine = np.sin(angle), np.cos(angle)
        mass, force = _CART + _POLE, np.where(actions == 1, _FORCE, -_FORCE)
        pushed = (force + _POLE * _HALF * turning**2 * sine) / mass
        inertia = _HALF * (4 / 3 - _POLE * cosine**2 / mass)
        turned = (_GRAVITY * sine - pushed * cosine) / inertia
        moved = pushed - _POLE * _HALF * turned * cosine / mass
        change = np.stack([speed, moved, turning, turned], 1)
        self.state = self.state + _TAU * change
        ended = (np.abs(self.state[:, 0]) > _FARTHEST) | (np.abs(self.state[:, 2]) > _STEEPEST)
        return np.ones(self.episodes), ended
