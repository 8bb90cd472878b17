"""The contract of a backend: what it computes, and what it inherits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.spikes import Network, Running, Span, Spiked, run_steps
from sparsebrain.kernels.structure import Structure


class Looped(NamedTuple):
    """The result of :meth:`Backend.loop`.

    Attributes:
        states: The states that were asked for.
        tape: What else the backward pass needs.
    """

    states: list[Tensor]
    tape: list[Tensor]


class LoopInputs(NamedTuple):
    """The inputs of a loop, except the weights and the synapses.

    Attributes:
        state: x(0) [N, B].
        drive: [N, B], added at every loop.
        bias: [N].
        leak: [N], the share of the new value, x <- (1 - leak) x + leak f(W x + b + drive).
    """

    state: Tensor
    drive: Tensor | None
    bias: Tensor | None
    leak: Tensor | None

    def map(self, function: Callable[[Tensor], Tensor]) -> LoopInputs:
        """Apply ``function`` to every tensor that is not None."""
        state, drive, bias, leak = self
        return LoopInputs(
            function(state),
            None if drive is None else function(drive),
            None if bias is None else function(bias),
            None if leak is None else function(leak),
        )


class LoopGradients(NamedTuple):
    """The gradients of :meth:`Backend.loop`.

    Attributes:
        weight: The gradient of the weight, if asked for.
        inputs: The gradients of the inputs that were given.
    """

    weight: Tensor | None
    inputs: LoopInputs


class Backend(ABC):
    """The way in which the primitives are computed.

    Backends hold no state, and weights [E] are in the order of the synapses. A backend must define
    how W is applied (:meth:`operator`) and how :meth:`correlate` is computed. The loop and its
    backward pass follow from these; a backend that can fuse them overrides them.
    """

    name: ClassVar[str]
    tape_suffices: ClassVar[bool] = False
    """Whether the tape contains all states that the backward pass needs."""
    any_layout: ClassVar[bool] = False
    """Whether :meth:`loop` takes and returns states that are transposed in memory."""
    checks_index: ClassVar[bool] = False
    """Whether the kernels check every index before they use it."""

    @abstractmethod
    def obstacle(self, device: torch.device) -> str | None:
        """Return why this backend cannot run on ``device``, or None if it can."""

    def suits(self, device: torch.device) -> bool:
        """Return whether ``auto`` may choose this backend on ``device``."""
        return self.obstacle(device) is None

    @abstractmethod
    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        """Return the map x [N, B] -> W x [N, B], or W^T x, with all preparations done once."""

    @abstractmethod
    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        """Return the sum over the batch of post[t] * pre[s] for each synapse s -> t, [E]."""

    def spike(self, network: Network) -> Callable[[Running, Span], Spiked]:
        """Return the simulation of a network of spiking neurons, with all preparations done once.

        The result does not depend on the number of threads.
        """

        def operator(structure: Structure, weight: Tensor) -> Callable[[Tensor], Tensor]:
            return self.operator(structure, weight, transpose=False)

        return lambda running, span: run_steps(network, running, span, operator)

    def fuses(self, activation: str) -> bool:
        """Return whether :meth:`loop` computes this activation itself."""
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
        """Run ``loops`` times x <- (1 - leak) x + leak f(W x + b + drive).

        Args:
            structure: The synapses.
            weight: [E].
            inputs: The inputs of the loop.
            loops: The number of loops, at least 1.
            activation: The name of f.
            keep: Whether to return the state after every loop, and not only the last one.
            learns: Whether a backward pass will follow.

        Returns:
            The states, and with ``learns`` a tape with the shapes of :meth:`tape_shapes`.
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
        """Return the shapes of the tape of a loop with ``learns``, in the dtype of the weights."""
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
        """Backpropagate through all loops.

        Args:
            structure: The synapses.
            weight: [E].
            inputs: The inputs of the forward pass.
            states: The loops + 1 states [N, B], the initial one first, or the tape alone if
                ``tape_suffices``.
            grads: For the state after each loop the gradient that reaches it from outside, or None.
            activation: The name of f.
            need_weight: Whether the gradient of the weights is needed.
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
                # The state is a mixture, from which the value of f cannot be recovered.
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
    """Compute f(W x + b + drive)."""
    return ACTIVATIONS[activation].in_place(_argument(step, state, inputs))


def _argument(step: Callable[[Tensor], Tensor], state: Tensor, inputs: LoopInputs) -> Tensor:
    """Compute W x + b + drive."""
    total = step(state)
    if inputs.bias is not None:
        total += inputs.bias.unsqueeze(1)
    if inputs.drive is not None:
        total += inputs.drive
    return total
