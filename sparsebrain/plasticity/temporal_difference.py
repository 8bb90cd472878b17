"""Temporal-difference learning: predictions that move from the reward to what announces it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphs import arguments, tensors

_MOST_STATES = 2**31


class TemporalDifference(nn.Module):
    r"""TD(0): a value for each state, which learns from the value of the state that follows.

    .. math::
        \delta_t = r_t + \gamma V(s_{t+1}) - V(s_t), \qquad
        V(s_t) \leftarrow V(s_t) + \alpha \delta_t

    Reward :math:`r_t` comes when state :math:`s_t` is left. The state after the last one, and state
    -1, have the value 0 and do not learn: use -1 for a time at which nothing announces a reward.
    States are updated in order.

    The error moves from the reward to the first state that announces it, as the activity of
    dopamine neurons does: on a chain of n states with a reward of 1 at its end, V of the first
    tends to :math:`\gamma^{n-1}`, the error on entering it from state -1 to :math:`\gamma^n`, and a
    reward that does not come gives -1 at its time.

    Args:
        num_states: The number of states.
        discount: gamma, from 0 to 1.
        alpha: The learning rate, above 0 and at most 1.

    Attributes:
        value: V [num_states] float64, a buffer.

    Shape:
        ``learner(states, rewards)``: states [T] int64 and rewards [T] float64 of an episode ->
        errors [T] float64.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: An argument is out of range.

    Sources: R. S. Sutton, "Learning to predict by the methods of temporal differences", Machine
    Learning 3 (1988) 9-44; W. Schultz, P. Dayan, P. R. Montague, "A neural substrate of prediction
    and reward", Science 275 (1997) 1593-1599.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import TemporalDifference
        >>> learner = TemporalDifference(3, discount=1.0, alpha=0.5)
        >>> states = torch.tensor([0, 1, 2])
        >>> rewards = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
        >>> learner(states, rewards)
        tensor([0., 0., 1.], dtype=torch.float64)
        >>> learner(states, rewards)
        tensor([0.0000, 0.5000, 0.5000], dtype=torch.float64)
    """

    value: Tensor

    def __init__(self, num_states: int, *, discount: float = 0.98, alpha: float = 0.1) -> None:
        super().__init__()
        num_states = arguments.count("num_states", num_states, at_least=1, at_most=_MOST_STATES)
        self.discount = arguments.real("discount", discount, at_most=1)
        self.alpha = arguments.real("alpha", alpha, positive=True, at_most=1)
        tensors.room(f"num_states={num_states}", 8 * num_states, "pass fewer states")
        self.register_buffer("value", torch.zeros(num_states, dtype=torch.float64))

    @torch.no_grad()
    def forward(self, states: Tensor, rewards: Tensor) -> Tensor:
        """Learn from an episode, and return its errors [T]."""
        value = self.value
        where, number = value.device, len(value)
        tensors.tensor("states", states, ("T",), dtypes=(torch.int64,), device=where)
        like: dict[str, Any] = {"dtypes": (torch.float64,), "device": where, "finite": True}
        tensors.tensor("rewards", rewards, ("T",), **like)
        if len(states) != len(rewards):
            raise ValueError(
                f"states and rewards must have the same length, got {len(states)} and "
                f"{len(rewards)}; pass a reward for each state, which may be 0"
            )
        wrong = states[(states < -1) | (states >= number)]
        if len(wrong):
            raise ValueError(
                f"states must be from 0 to {number - 1}, or -1 for none, got {int(wrong[0])}; make "
                "TemporalDifference with a larger num_states"
            )
        errors = torch.empty_like(rewards)
        path = states.tolist()
        for time, (state, after) in enumerate(zip(path, [*path[1:], -1], strict=True)):
            now = value[state] if state >= 0 else 0.0
            ahead = value[after] if after >= 0 else 0.0
            errors[time] = rewards[time] + self.discount * ahead - now
            if state >= 0:
                value[state] += self.alpha * errors[time]
        return errors

    def extra_repr(self) -> str:
        """Return the number of states, the discount and alpha."""
        return f"{len(self.value)}, discount={self.discount:g}, alpha={self.alpha:g}"
