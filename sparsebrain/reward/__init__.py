"""Tasks with rewards instead of labels, simulated for many episodes at once.

Every task in :data:`TASKS` is a :class:`Task`: ``task.observe()`` returns what an agent sees, and
``task.step(actions)`` the rewards. The rules that learn from rewards are in
:mod:`sparsebrain.plasticity` and :mod:`sparsebrain.error_diffusion`.
"""

from __future__ import annotations

from sparsebrain.reward.bandit import Bandit
from sparsebrain.reward.cart_pole import CartPole
from sparsebrain.reward.catch import Catch
from sparsebrain.reward.task import Step, Task

#: The tasks by name.
TASKS: dict[str, type[Task]] = {"bandit": Bandit, "catch": Catch, "cartpole": CartPole}

__all__ = ["TASKS", "Bandit", "CartPole", "Catch", "Step", "Task"]
