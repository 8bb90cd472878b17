"""The contract of a backend: what it computes, and what it inherits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.coloring import Colors
from sparsebrain.kernels.correlation import Correlation, SparseCorrelation
from sparsebrain.kernels.counter import uniforms
from sparsebrain.kernels.forms import argument, respond
from sparsebrain.kernels.narrow import narrowed
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.plastic_spikes import Changing, Plasticity, run_plastic_steps
from sparsebrain.kernels.spikes import Network, Running, Span, Spiked, run_steps
from sparsebrain.kernels.structure import Structure

if TYPE_CHECKING:
    from sparsebrain.kernels.joins import Join


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
        leak: [N], the share of the new value, x <- (1 - leak) x + leak f(W x + b + drive), or of a
            voltage, x <- (1 - leak) x + leak (W f(x) + b + drive).
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

    def plus(self, earlier: LoopGradients) -> LoopGradients:
        """Add the gradients of earlier loops, whose state is the one that all loops start from."""
        pairs = zip(self.inputs[1:], earlier.inputs[1:], strict=True)
        sums = (_sum(one, other) for one, other in pairs)
        weight = _sum(self.weight, earlier.weight)
        return LoopGradients(weight, LoopInputs(earlier.inputs.state, *sums))


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
    of_rows: Backend | None = None
    """The same backend with loops on states [..., N], or None if they run on [N, B] alone."""
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

    def correlation(self, structure: Structure, weight: Tensor) -> Correlation:
        """Return what sums :meth:`correlate` over several loops, in the dtype of ``weight``."""
        return SparseCorrelation(partial(self.correlate, structure), torch.zeros_like(weight))

    def spike(self, network: Network) -> Callable[[Running, Span], Spiked]:
        """Return the simulation of a network of spiking neurons, with all preparations done once.

        The result does not depend on the number of threads.
        """

        def operator(structure: Structure, weight: Tensor) -> Callable[[Tensor], Tensor]:
            return self.operator(structure, weight, transpose=False)

        return lambda running, span: run_steps(network, running, span, operator)

    def plastic_spike(
        self, network: Network, plasticity: Plasticity
    ) -> Callable[[Running, Changing, Span], Spiked]:
        """Return the simulation of one sample of a network whose synapses change.

        The simulation changes its second argument in place, and not the weights of ``network``.
        """

        def operator(structure: Structure, weight: Tensor) -> Callable[[Tensor], Tensor]:
            return self.operator(structure, weight, transpose=False)

        return lambda running, changing, span: run_plastic_steps(
            network, plasticity, running, changing, span, operator, self.correlate
        )

    def joined(self, kind: Join) -> Backend | None:
        """Return this backend with fused loops of another join, or None if it has none.

        :func:`.joins.backend_of` then computes them by operations of torch.
        """
        return None

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
        form: str = "rate",
        narrow: bool = False,
        noise: CounterNoise | None = None,
        out: Sequence[Tensor] = (),
    ) -> Looped:
        """Run ``loops`` times x <- (1 - leak) x + leak f(W x + b + drive) + noise.

        With the form "voltage", x <- (1 - leak) x + leak (W f(x) + b + drive) + noise.

        Args:
            structure: The synapses.
            weight: [E].
            inputs: The inputs of the loop.
            loops: The number of loops, at least 1.
            activation: The name of f.
            keep: Whether to return the state after every loop, and not only the last one.
            learns: Whether a backward pass will follow.
            form: "rate" or "voltage".
            narrow: Whether states are kept as bfloat16, as :mod:`~.narrow` defines.
            noise: What is added after each loop, or None.
            out: With ``keep``, where the states are written; otherwise tensors are made for them.

        Returns:
            The states, and with ``learns`` a tape with the shapes of :meth:`tape_shapes`.
        """
        step = self.operator(structure, weight, transpose=False)
        state, states = inputs.state.contiguous(), list[Tensor]()
        state = narrowed(state) if narrow else state
        for number in range(loops):
            after = respond(step, state, inputs, activation, form)
            if inputs.leak is not None:
                after = torch.lerp(state, after, inputs.leak.unsqueeze(1))
            if noise is not None:
                after = after + self.draw(structure, noise, number, state)
            state = narrowed(after) if narrow else after
            states = [*states, state] if keep or learns else [state]
        for to, made in zip(out, states, strict=False):
            to.copy_(made)
        return Looped(states, []) if keep else Looped(states[-1:], states[:-1])

    def pre_activation(
        self, structure: Structure, weight: Tensor, inputs: LoopInputs, *, again: bool
    ) -> Tensor:
        """Return W x + b + drive [N, B]; ``again`` if more calls with this weight will follow."""
        step = self.operator(structure, weight, transpose=False)
        return argument(step, inputs.state.contiguous(), inputs)

    def draw(self, structure: Structure, noise: CounterNoise, number: int, state: Tensor) -> Tensor:
        """Return the noise after a loop for a state [N, B], in its shape and dtype."""
        return noise.values(number, state)

    def tape_shapes(
        self, neurons: int, batch: int, *, loops: int, keep: bool
    ) -> list[tuple[int, ...]]:
        """Return the shapes of the tape of a loop with ``learns``."""
        return [] if keep else [(neurons, batch)] * (loops - 1)

    def tape_dtype(self, dtype: torch.dtype, *, narrow: bool) -> torch.dtype:
        """Return the dtype of the tape, for states of that dtype."""
        return dtype

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
        form: str = "rate",
        narrow: bool = False,
        noisy: bool = False,
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
            form: "rate" or "voltage".
            narrow: Whether states were kept as bfloat16.
            noisy: Whether noise was added to the states.
        """
        step = self.operator(structure, weight, transpose=False)
        step_back = self.operator(structure, weight, transpose=True)
        chosen, voltage = ACTIVATIONS[activation], form == "voltage"
        grad: Tensor | None = None
        of_weight = self.correlation(structure, weight) if need_weight else None
        total = inputs.map(lambda given: given.new_zeros(given.shape))
        states = [narrowed(states[0]) if narrow else states[0], *states[1:]]
        for number in range(len(states) - 1, 0, -1):
            outside, before, after = grads[number - 1], states[number - 1], states[number]
            if outside is not None:
                grad = outside.contiguous() if grad is None else grad + outside.contiguous()
            if grad is None:
                continue
            sent = chosen.function(before) if voltage else before
            rest: Tensor | None = None
            if inputs.leak is not None or (noisy and not voltage):
                # The new value cannot be recovered from a mixture, nor that of f from a noisy sum.
                after = respond(step, before, inputs, activation, form)
            if inputs.leak is not None:
                leak = inputs.leak.unsqueeze(1)
                if total.leak is not None:
                    total.leak.add_((grad * (after - before)).sum(1))
                grad, rest = leak * grad, (1 - leak) * grad
            local = grad
            if not voltage:
                known = argument(step, before, inputs) if chosen.of_argument else after
                local = chosen.backward(grad, known)
            local = narrowed(local) if narrow else local
            if of_weight is not None:
                of_weight.add(local, sent)
            if total.drive is not None:
                total.drive.add_(local)
            if total.bias is not None:
                total.bias.add_(local.sum(1))
            grad = step_back(local)
            if voltage:
                grad = chosen.backward(grad, before if chosen.of_argument else sent)
            if rest is not None:
                grad += rest
        grad_weight = None if of_weight is None else of_weight.total()
        return LoopGradients(grad_weight, total if grad is None else total._replace(state=grad))

    def segments_backward(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        starts: list[Tensor],
        grads: list[Tensor | None],
        *,
        segment: int,
        activation: str,
        need_weight: bool,
        form: str = "rate",
        narrow: bool = False,
        noise: CounterNoise | None = None,
    ) -> LoopGradients | None:
        """Backpropagate through all loops from the states before each segment of loops.

        Args:
            structure: The synapses.
            weight: [E].
            inputs: The inputs of the forward pass.
            starts: The states before each segment, [N, B] each, the initial one first.
            grads: As for :meth:`loop_backward`.
            segment: The number of loops of all segments but the last one.
            activation: The name of f.
            need_weight: Whether the gradient of the weights is needed.
            form: "rate" or "voltage".
            narrow: Whether states are bfloat16, see :mod:`.narrow`.
            noise: What was added after each loop, or None.

        Returns:
            The gradients, or None if the backend has no such kernel; :mod:`.checkpointing` then
            calls :meth:`loop` and :meth:`loop_backward` for each segment.
        """
        return None

    def sequence(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        out: Tensor,
        *,
        loops: int,
        activation: str,
        learns: bool,
        form: str = "rate",
    ) -> list[Tensor]:
        """Run the loops of every time step, each with a drive of its own.

        Args:
            structure: The synapses.
            weight: [E].
            inputs: The inputs of the loops, with a drive [T, N, B] in any memory layout.
            out: Where the state after every step is written, [T, N, B] in any memory layout.
            loops: The number of loops of a step, at least 1.
            activation: The name of f.
            learns: Whether a backward pass will follow.
            form: "rate" or "voltage".

        Returns:
            With ``learns`` the tape for :meth:`sequence_backward`.
        """
        assert inputs.drive is not None
        state, tape = inputs.state, list[Tensor]()
        for drive, after in zip(inputs.drive, out, strict=True):
            states, here = self.loop(
                structure,
                weight,
                inputs._replace(state=state, drive=drive),
                loops=loops,
                activation=activation,
                keep=False,
                learns=learns,
                form=form,
            )
            if learns:
                tape += here if self.tape_suffices else [state, *here, *states]
            (state,) = states
            after.copy_(state)
        return tape

    def sequence_backward(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        tape: list[Tensor],
        grads: Tensor | None,
        grad_last: Tensor | None,
        *,
        loops: int,
        activation: str,
        need_weight: bool,
        form: str = "rate",
    ) -> LoopGradients:
        """Backpropagate through all time steps.

        Args:
            structure: The synapses.
            weight: [E].
            inputs: The inputs of the forward pass.
            tape: The tape of the forward pass.
            grads: The gradient that reaches the state after every step from outside, [T, N, B] in
                any memory layout, or None.
            grad_last: The gradient that is added to that of the last state, [N, B], or None.
            loops: The number of loops of a step.
            activation: The name of f.
            need_weight: Whether the gradient of the weights is needed.
            form: "rate" or "voltage".
        """
        assert inputs.drive is not None
        steps, each = len(inputs.drive), len(tape) // len(inputs.drive)
        total_drive = torch.empty_like(inputs.drive)
        total: LoopGradients | None = None
        grad = torch.zeros_like(inputs.state) if grad_last is None else grad_last
        for step in reversed(range(steps)):
            found = self.loop_backward(
                structure,
                weight,
                inputs._replace(drive=inputs.drive[step]),
                tape[step * each : (step + 1) * each],
                [*[None] * (loops - 1), grad if grads is None else grad + grads[step]],
                activation=activation,
                need_weight=need_weight,
                form=form,
            )
            assert found.inputs.drive is not None
            total_drive[step], grad = found.inputs.drive, found.inputs.state
            found = found._replace(inputs=found.inputs._replace(drive=None))
            total = found if total is None else total.plus(found)
        assert total is not None
        return total._replace(inputs=total.inputs._replace(state=grad, drive=total_drive))

    def gibbs(
        self,
        structure: Structure,
        weight: Tensor,
        bias: Tensor,
        state: Tensor,
        colors: Colors,
        *,
        sweeps: int,
        seed: int,
        offset: int,
        clamped: Tensor | None,
    ) -> Tensor:
        """Draw every neuron ``sweeps`` times from its law given all others, color by color.

        Args:
            structure: The synapses.
            weight: [E].
            bias: [N].
            state: [N, B] uint8, 0 or 1, the chains at the start.
            colors: A coloring of the neurons.
            sweeps: The number of updates of each neuron.
            seed: The seed of :func:`~sparsebrain.kernels.counter.uniforms`, whose step is
                ``offset`` plus the number of the sweep.
            offset: The number of sweeps before.
            clamped: [N] bool, the neurons that keep their state, or None.

        Returns:
            [N, B] uint8, the chains after the last sweep.
        """
        x = state.to(weight.dtype)
        parts = _parts_by_color(structure, colors, clamped)
        steps = [
            (members, self.operator(part, weight[chosen], transpose=False))
            for members, part, chosen in parts
        ]
        for sweep in range(offset, offset + sweeps):
            for members, step in steps:
                field = step(x).index_select(0, members) + bias[members].unsqueeze(1)
                u = uniforms(seed, sweep, members, x.size(1)).to(x.dtype)
                # u < 1 / (1 + exp(-field)), without the division; no u resolves fields beyond 80.
                x[members] = (u + u * torch.exp(-field.clamp(-80, 80)) < 1).to(x.dtype)
        return x.to(torch.uint8)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return None if one is None or other is None else one + other


def _parts_by_color(
    structure: Structure, colors: Colors, clamped: Tensor | None
) -> list[tuple[Tensor, Structure, Tensor]]:
    """Return for each color the free neurons, their incoming synapses, and the numbers of these."""
    free = torch.ones(structure.num_nodes, dtype=torch.bool, device=structure.device)
    if clamped is not None:
        free &= ~clamped
    parts, edge_index = [], structure.edge_index
    for neurons in colors.classes():
        members = neurons[free[neurons]]
        chosen = torch.zeros_like(free)
        chosen[members] = True
        synapses = chosen[edge_index[1]].nonzero().squeeze(1)
        part = Structure(edge_index[:, synapses], structure.num_nodes)
        parts.append((members, part, synapses))
    return parts
