"""The contract that every backend keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.structure import Structure


class Looped(NamedTuple):
    """States that :meth:`Backend.loop` was asked for, and what else its backward pass needs."""

    states: list[Tensor]
    tape: list[Tensor]


class LoopGradients(NamedTuple):
    """Gradients of :meth:`Backend.loop`; ``weight`` is None where it was not asked for."""

    weight: Tensor | None
    state: Tensor
    drive: Tensor | None
    bias: Tensor | None


class Backend(ABC):
    """How the primitives are computed. Backends hold no state; weights [E] follow the synapses.

    A backend has to say how W is applied (:meth:`operator`) and how :meth:`correlate` is done;
    the loop and its backward pass follow, and a backend that can fuse them overrides them.
    """

    name: ClassVar[str]
    tape_suffices: ClassVar[bool] = False
    """Whether the tape holds all that the backward pass needs of the states."""

    @abstractmethod
    def obstacle(self, device: torch.device) -> str | None:
        """Why this backend cannot run on ``device``, or None when it can."""

    @abstractmethod
    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        """The map x [N, B] -> W x [N, B], or W^T x, with the preparations done once."""

    @abstractmethod
    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        """For each synapse s -> t the sum over the batch of post[t] * pre[s]: [E] of two [N, B]."""

    def loop(
        self,
        structure: Structure,
        weight: Tensor,
        state: Tensor,
        drive: Tensor | None,
        bias: Tensor | None,
        *,
        loops: int,
        activation: str,
        keep: bool,
        learns: bool,
    ) -> Looped:
        """``loops`` times x <- f(W x + b + drive), starting from ``state`` [N, B].

        Returns the state after every loop, or with ``keep=False`` the last one alone; and, if the
        loops are to be differentiated, a tape of the shapes that :meth:`tape_shapes` tells.
        """
        step = self.operator(structure, weight, transpose=False)
        function = ACTIVATIONS[activation].in_place
        column = None if bias is None else bias.unsqueeze(1)
        states: list[Tensor] = []
        for _ in range(loops):
            state = step(state)
            if column is not None:
                state += column
            if drive is not None:
                state += drive
            state = function(state)
            states = [*states, state] if keep or learns else [state]
        return Looped(states, []) if keep else Looped(states[-1:], states[:-1])

    def tape_shapes(
        self, neurons: int, batch: int, *, loops: int, keep: bool
    ) -> list[tuple[int, ...]]:
        """What the tape of a loop that learns is made of, all of the dtype of the weights."""
        return [] if keep else [(neurons, batch)] * (loops - 1)

    def loop_backward(
        self,
        structure: Structure,
        weight: Tensor,
        states: list[Tensor],
        grads: list[Tensor | None],
        *,
        batch: int,
        activation: str,
        need_weight: bool,
        with_drive: bool,
        with_bias: bool,
    ) -> LoopGradients:
        """Backpropagation through all loops.

        ``states`` are the loops + 1 states [N, batch], the initial one first, or the tape alone
        where it suffices; ``grads`` holds for the state after each loop the gradient that reaches
        it from outside, or None.
        """
        step_back = self.operator(structure, weight, transpose=True)
        derivative = ACTIVATIONS[activation].backward
        grad: Tensor | None = None
        grad_weight = torch.zeros_like(weight) if need_weight else None
        grad_drive = torch.zeros_like(states[0]) if with_drive else None
        grad_bias = weight.new_zeros(structure.num_nodes) if with_bias else None
        for number in range(len(states) - 1, 0, -1):
            outside = grads[number - 1]
            if outside is not None:
                grad = outside if grad is None else grad + outside
            if grad is None:
                continue
            local = derivative(grad, states[number])
            if grad_weight is not None:
                grad_weight += self.correlate(structure, local, states[number - 1])
            if grad_drive is not None:
                grad_drive += local
            if grad_bias is not None:
                grad_bias += local.sum(1)
            grad = step_back(local)
        state = torch.zeros_like(states[0]) if grad is None else grad
        return LoopGradients(grad_weight, state, grad_drive, grad_bias)
