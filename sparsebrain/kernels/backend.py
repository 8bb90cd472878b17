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


class LoopInputs(NamedTuple):
    """All that a loop computes with, but for the weights and the synapses.

    ``state`` is x(0) [N, B], ``drive`` [N, B] is added at every loop, ``bias`` is [N]. ``leak`` [N]
    is the share of the new value, x <- (1 - leak) x + leak f(W x + b + drive).
    """

    state: Tensor
    drive: Tensor | None
    bias: Tensor | None
    leak: Tensor | None

    def map(self, function: Callable[[Tensor], Tensor]) -> LoopInputs:
        """The same with ``function`` applied to all that there are."""
        state, drive, bias, leak = self
        return LoopInputs(
            function(state),
            None if drive is None else function(drive),
            None if bias is None else function(bias),
            None if leak is None else function(leak),
        )


class LoopGradients(NamedTuple):
    """Gradients of :meth:`Backend.loop`: of the weight, where asked for, and of what was given."""

    weight: Tensor | None
    inputs: LoopInputs


class Backend(ABC):
    """How the primitives are computed. Backends hold no state; weights [E] follow the synapses.

    A backend has to say how W is applied (:meth:`operator`) and how :meth:`correlate` is done;
    the loop and its backward pass follow, and a backend that can fuse them overrides them.
    """

    name: ClassVar[str]
    tape_suffices: ClassVar[bool] = False
    """Whether the tape holds all that the backward pass needs of the states."""
    any_layout: ClassVar[bool] = False
    """Whether :meth:`loop` takes states transposed in memory, and returns them so."""
    checks_index: ClassVar[bool] = False
    """Whether kernels look at each index before they follow it."""

    @abstractmethod
    def obstacle(self, device: torch.device) -> str | None:
        """Why this backend cannot run on ``device``, or None when it can."""

    def suits(self, device: torch.device) -> bool:
        """Whether ``auto`` may take this backend on ``device``."""
        return self.obstacle(device) is None

    @abstractmethod
    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        """The map x [N, B] -> W x [N, B], or W^T x, with the preparations done once."""

    @abstractmethod
    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        """For each synapse s -> t the sum over the batch of post[t] * pre[s]: [E] of two [N, B]."""

    def fuses(self, activation: str) -> bool:
        """Whether :meth:`loop` computes this entry of the table, and not only its definition."""
        return True

    def loop(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        *,
        loops: int,
        activation: str,
        keep: bool,
        learns: bool,
    ) -> Looped:
        """``loops`` times x <- (1 - leak) x + leak f(W x + b + drive).

        Returns the state after every loop, or with ``keep=False`` the last one alone; and, if the
        loops are to be differentiated, a tape of the shapes that :meth:`tape_shapes` tells.
        """
        step = self.operator(structure, weight, transpose=False)
        state, states = inputs.state.contiguous(), list[Tensor]()
        for _ in range(loops):
            after = _respond(step, state, inputs, activation)
            if inputs.leak is not None:
                after = torch.lerp(state, after, inputs.leak.unsqueeze(1))
            state = after
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
        inputs: LoopInputs,
        states: list[Tensor],
        grads: list[Tensor | None],
        *,
        activation: str,
        need_weight: bool,
    ) -> LoopGradients:
        """Backpropagation through all loops.

        ``states`` are the loops + 1 states [N, B], the initial one first, or the tape alone where
        it suffices; ``grads`` holds for the state after each loop the gradient that reaches it from
        outside, or None.
        """
        step = self.operator(structure, weight, transpose=False)
        step_back = self.operator(structure, weight, transpose=True)
        chosen = ACTIVATIONS[activation]
        grad: Tensor | None = None
        grad_weight = torch.zeros_like(weight) if need_weight else None
        total = inputs.map(lambda given: given.new_zeros(given.shape))
        for number in range(len(states) - 1, 0, -1):
            outside, before, after = grads[number - 1], states[number - 1], states[number]
            if outside is not None:
                grad = outside.contiguous() if grad is None else grad + outside.contiguous()
            if grad is None:
                continue
            rest: Tensor | None = None
            known = after
            if chosen.of_argument:
                known = _argument(step, before, inputs)
            if inputs.leak is not None:
                # The state is a mixture, from which f's value cannot be told again.
                after = _respond(step, before, inputs, activation)
                known = known if chosen.of_argument else after
                leak = inputs.leak.unsqueeze(1)
                if total.leak is not None:
                    total.leak.add_((grad * (after - before)).sum(1))
                grad, rest = leak * grad, (1 - leak) * grad
            local = chosen.backward(grad, known)
            if grad_weight is not None:
                grad_weight.add_(self.correlate(structure, local, before))
            if total.drive is not None:
                total.drive.add_(local)
            if total.bias is not None:
                total.bias.add_(local.sum(1))
            grad = step_back(local)
            if rest is not None:
                grad += rest
        return LoopGradients(grad_weight, total if grad is None else total._replace(state=grad))


def _respond(
    step: Callable[[Tensor], Tensor], state: Tensor, inputs: LoopInputs, activation: str
) -> Tensor:
    """f(W x + b + drive)."""
    return ACTIVATIONS[activation].in_place(_argument(step, state, inputs))


def _argument(step: Callable[[Tensor], Tensor], state: Tensor, inputs: LoopInputs) -> Tensor:
    """W x + b + drive."""
    total = step(state)
    if inputs.bias is not None:
        total += inputs.bias.unsqueeze(1)
    if inputs.drive is not None:
        total += inputs.drive
    return total
