"""The ``native`` backend: compiled loops over synapses, one tile of the batch at a time."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sparsebrain.kernels import native_calls as calls
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import Backend, Looped, LoopGradients, LoopInputs
from sparsebrain.kernels.coloring import Colors
from sparsebrain.kernels.joins import JOINS, Join
from sparsebrain.kernels.layout import like, settled
from sparsebrain.kernels.native_plastic_spikes import NativePlasticSpikes
from sparsebrain.kernels.native_spikes import NativeSpikes
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.plastic_spikes import Changing, Plasticity
from sparsebrain.kernels.row_pairs import RowPairs
from sparsebrain.kernels.spikes import Network, Running, Span, Spiked
from sparsebrain.kernels.structure import Structure

_CONTIGUOUS = torch.contiguous_format
_CPU = torch.device("cpu")
_FEW_READS = 2**13


class NativeBackend(Backend):
    """C++ kernels for CPUs, with the widest vector instructions of the machine.

    The batch is cut into tiles of columns. The states of a tile are stored together, so that all
    loops run within a core's own cache; a state that does not fit is shared by all threads, row by
    row. If the synapses are not sorted by target, several loops read a sorted copy of the weights,
    which the structure keeps until the weights change.

    tanh and sigmoid are accurate to four units in the last place, gelu, silu and softplus to eight.
    The order of every sum depends on the graph and the batch alone, except for the gradients of
    weights and biases, which each thread first sums over its part of the batch: these are
    reproducible bit by bit for the same number of threads.

    Args:
        rows: Whether states of loops are [..., N] instead of [N, B].
    """

    name = "native"
    tape_suffices = True
    any_layout = True
    checks_index = True
    _sums = True

    def __init__(self, *, rows: bool = False) -> None:
        self._rows = rows
        self.of_rows = self if rows else NativeBackend(rows=True)

    def joined(self, kind: Join) -> Backend:
        return NativeJoined(kind)

    def obstacle(self, device: torch.device) -> str | None:
        # The type of a device is text, which torch makes slowly.
        if device != _CPU and device.type != "cpu":
            return f"the compiled kernels run on a 'cpu', not on {device.type!r}"
        return calls.extension()[1]

    def suits(self, device: torch.device) -> bool:
        obstacle = self.obstacle(device)
        if obstacle is not None and device.type == "cpu":
            # Whoever names another backend does not come here.
            calls.warn_once(obstacle)
        return obstacle is None

    def fuses(self, activation: str) -> bool:
        number = ACTIVATIONS[activation].number
        return number is not None and calls.activation_numbers().get(activation) == number

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        weight = weight.contiguous()

        def apply(x: Tensor) -> Tensor:
            x = x.contiguous()
            y = torch.empty_like(x)
            call = calls.call_of(structure, x.dtype, x.size(1), back=transpose)
            calls.module().propagate(
                call, weight.data_ptr(), False, *calls.addresses(x, y), transpose, 0, 0
            )
            return y

        return apply

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        post, pre = post.contiguous(), pre.contiguous()
        out = post.new_empty(structure.num_edges)
        call = calls.call_of(structure, post.dtype, post.size(1))
        calls.module().correlate(call, *calls.addresses(post, pre, out))
        return out

    def spike(self, network: Network) -> Callable[[Running, Span], Spiked]:
        structure, weight = network.structure, network.weight.contiguous()
        structure.check_arrays()
        call = calls.call_of(structure, weight.dtype, 1, back=True)
        kept = calls.arrange(call, structure, weight, by_source=True)
        if kept is not None:
            weight = kept.weight
        simulation = NativeSpikes(calls.module(), call, calls.instruction_set(), network, weight)
        if kept is not None:
            # Later calls may overwrite these weights, once this simulation is gone.
            weakref.finalize(simulation, structure.keep, kept, by_source=True)
        return simulation

    def plastic_spike(
        self, network: Network, plasticity: Plasticity
    ) -> Callable[[Running, Changing, Span], Spiked]:
        call = calls.call_of(network.structure, network.weight.dtype, 1, back=True)
        return NativePlasticSpikes(
            calls.module(), call, calls.instruction_set(), network, plasticity
        )

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
        weight, inputs = weight.contiguous(), inputs.map(settled)
        state = inputs.state
        states = list(out) or [self._like(state) for _ in range(loops if keep else 1)]
        # One tile after another, and within a tile one state after another.
        kept_as = self.tape_dtype(state.dtype, narrow=narrow)
        tape = [calls.empty((loops + 1) * state.numel(), kept_as)] if learns else []
        call = calls.call_of(structure, state.dtype, calls.batch_of(structure, state))
        # Bringing weights into order gains nothing if each is read once, or few are read at all.
        arranged = self._sums and loops > 1 and loops * structure.num_edges > _FEW_READS
        pairs = calls.pairs_of(call, structure, state, loops) if arranged and not narrow else None
        kept = calls.arrange(call, structure, weight, pairs=pairs) if arranged else None
        self._run(
            call,
            calls.response_of(inputs, activation, form, noise, narrow=narrow, rows=self._rows),
            (weight if kept is None else kept.weight).data_ptr(),
            kept is not None,
            calls.strided(state, rows=self._rows),
            [calls.strided(each, rows=self._rows) for each in states],
            keep,
            tape[0].data_ptr() if learns else 0,
            loops,
            pairs=pairs,
        )
        # Weights that learn change before the next call.
        if kept is not None and not learns:
            structure.keep(kept, paired=pairs is not None)
        return Looped(states, tape)

    def pre_activation(
        self, structure: Structure, weight: Tensor, inputs: LoopInputs, *, again: bool
    ) -> Tensor:
        weight, inputs = weight.contiguous(), inputs.map(Tensor.contiguous)
        state, drive, bias, _ = inputs
        call = calls.call_of(structure, weight.dtype, state.size(1))
        kept = calls.arrange(call, structure, weight) if again else None
        out = torch.empty_like(state)
        calls.module().propagate(
            call,
            (weight if kept is None else kept.weight).data_ptr(),
            kept is not None,
            *calls.addresses(state, out),
            False,
            *calls.addresses(bias, drive),
        )
        if kept is not None:
            structure.keep(kept)
        return out

    def draw(self, structure: Structure, noise: CounterNoise, number: int, state: Tensor) -> Tensor:
        out = like(state)
        call = calls.call_of(structure, state.dtype, state.size(1))
        calls.module().draw(
            call, int(noise.key), noise.first + number, noise.std, calls.strided(out)
        )
        return out

    def tape_shapes(
        self, neurons: int, batch: int, *, loops: int, keep: bool
    ) -> list[tuple[int, ...]]:
        return [((loops + 1) * neurons * batch,)]

    def tape_dtype(self, dtype: torch.dtype, *, narrow: bool) -> torch.dtype:
        return torch.bfloat16 if narrow else dtype

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
        response = partial(
            calls.response_of, activation=activation, form=form, noisy=noisy, narrow=narrow
        )
        return self._backward(
            structure, weight, inputs, response, states, grads, need_weight, paired=not narrow
        )

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
        if narrow:
            return None
        response = partial(calls.response_of, activation=activation, form=form, noise=noise)
        # The states are read at their own strides.
        kept = [settled(each) for each in starts]
        views = [calls.strided(each, rows=self._rows) for each in kept]
        return self._backward(
            structure, weight, inputs, response, [], grads, need_weight, segment, views
        )

    def _backward(
        self,
        structure: Structure,
        weight: Tensor,
        inputs: LoopInputs,
        response: Callable[..., Any],
        tape: list[Tensor],
        grads: list[Tensor | None],
        need_weight: bool,
        segment: int = 0,
        starts: Sequence[tuple[int, int, int]] = (),
        *,
        paired: bool = True,
    ) -> LoopGradients:
        weight, inputs = weight.contiguous(), inputs.map(settled)
        grad_weight = torch.empty_like(weight) if need_weight else None
        total = inputs.map(self._like)
        # Those of a sum are one value, and are read once.
        outside = [each if each is None or each.dim() < 3 else each.contiguous() for each in grads]
        call = calls.call_of(
            structure, weight.dtype, calls.batch_of(structure, inputs.state), back=True
        )
        pairs = None
        if self._sums and paired:
            pairs = calls.pairs_of(call, structure, inputs.state, len(grads), by_source=True)
        self._run_back(
            call,
            response(inputs, rows=self._rows),
            weight.data_ptr(),
            tape[0].data_ptr() if tape else 0,
            [calls.strided(grad, rows=self._rows) for grad in outside],
            *calls.addresses(grad_weight),
            calls.strided(total.state, rows=self._rows),
            calls.strided(total.drive, rows=self._rows),
            *calls.addresses(total.bias, total.leak),
            segment,
            list(starts),
            pairs=pairs,
        )
        return LoopGradients(grad_weight, total)

    def _run(self, *arguments: Any, pairs: RowPairs | None) -> None:
        calls.module().loop(*arguments, calls.of_pairs(pairs))

    def _run_back(self, *arguments: Any, pairs: RowPairs | None) -> None:
        calls.module().loop_backward(*arguments, calls.of_pairs(pairs))

    def _like(self, x: Tensor) -> Tensor:
        return torch.empty_like(x, memory_format=_CONTIGUOUS) if self._rows else like(x)

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
        weight, bias = weight.contiguous(), bias.contiguous()
        state = state.clone(memory_format=torch.contiguous_format)
        neurons, start = colors.neurons.contiguous(), colors.start.contiguous()
        clamped = None if clamped is None else clamped.contiguous()
        calls.module().gibbs(
            calls.call_of(structure, weight.dtype, state.size(1)),
            calls.addresses(weight, bias, state, neurons, start, clamped),
            start.numel() - 1,
            sweeps,
            seed & (2**64 - 1),
            offset,
        )
        return state

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
        weight, state = weight.contiguous(), inputs.state
        steps, common = len(out), _of_every_step(inputs)
        tape = [calls.empty((steps * loops + 1) * state.numel(), state.dtype)] if learns else []
        calls.module().sequence(
            calls.call_of(structure, state.dtype, state.size(1)),
            calls.response_of(common, activation, form),
            weight.data_ptr(),
            (steps, loops),
            calls.stepped(inputs.drive),
            calls.strided(state),
            calls.stepped(out),
            tape[0].data_ptr() if learns else 0,
        )
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
        weight, common = weight.contiguous(), _of_every_step(inputs)
        grad_weight = torch.empty_like(weight) if need_weight else None
        total = inputs.map(torch.empty_like)
        assert inputs.drive is not None
        calls.module().sequence_backward(
            calls.call_of(structure, weight.dtype, inputs.state.size(1), back=True),
            calls.response_of(common, activation, form),
            *calls.addresses(weight, *tape),
            (len(inputs.drive), loops),
            calls.stepped(inputs.drive),
            calls.stepped(grads),
            calls.strided(grad_last),
            *calls.addresses(grad_weight, total.bias, total.leak),
            calls.stepped(total.drive),
            calls.strided(total.state),
        )
        return LoopGradients(grad_weight, total)


class NativeJoined(NativeBackend):
    """Loops with another join than a sum; the kernels arrange the weights themselves."""

    _sums = False

    def __init__(self, kind: Join, *, rows: bool = False) -> None:
        self._rows, self._kind = rows, kind
        self.of_rows = self if rows else NativeJoined(kind, rows=True)

    def _choice(self) -> Any:
        kind = self._kind
        return calls.module().Join(JOINS[kind.name], kind.pieces)

    def _run(self, *arguments: Any, pairs: RowPairs | None) -> None:
        calls.module().join_loop(self._choice(), *arguments)

    def segments_backward(self, *arguments: Any, **options: Any) -> LoopGradients | None:
        return None

    def _run_back(self, *arguments: Any, pairs: RowPairs | None) -> None:
        calls.module().join_loop_backward(self._choice(), *arguments)


def _of_every_step(inputs: LoopInputs) -> LoopInputs:
    """Return what all steps have in common, with vectors [N] that are contiguous."""
    bias, leak = (None if each is None else each.contiguous() for each in inputs[2:])
    return LoopInputs(inputs.state, None, bias, leak)
