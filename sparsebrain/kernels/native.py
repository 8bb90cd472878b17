"""The ``native`` backend: compiled loops over synapses, one tile of the batch at a time."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphs import compiled
from sparsebrain.kernels import row_pairs
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
from sparsebrain.kernels.structure import Arranged, Structure

_ABSENT = (None, None, None)
_CONTIGUOUS = torch.contiguous_format
_CPU = torch.device("cpu")
_FEW_READS = 2**13
_LARGE = 2**22
_NO_PAIRS = [0, 0, 0]
_WIDEST = {torch.float32: 64, torch.float64: 32}


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
        return _extension()[1]

    def suits(self, device: torch.device) -> bool:
        obstacle = self.obstacle(device)
        if obstacle is not None and device.type == "cpu":
            # Whoever names another backend does not come here.
            _warn_once(obstacle)
        return obstacle is None

    def fuses(self, activation: str) -> bool:
        number = ACTIVATIONS[activation].number
        return number is not None and _activations().get(activation) == number

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        weight = weight.contiguous()

        def apply(x: Tensor) -> Tensor:
            x = x.contiguous()
            y = torch.empty_like(x)
            call = _call(structure, x.dtype, x.size(1), back=transpose)
            _module().propagate(call, weight.data_ptr(), False, *_addresses(x, y), transpose, 0, 0)
            return y

        return apply

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        post, pre = post.contiguous(), pre.contiguous()
        out = post.new_empty(structure.num_edges)
        call = _call(structure, post.dtype, post.size(1))
        _module().correlate(call, *_addresses(post, pre, out))
        return out

    def spike(self, network: Network) -> Callable[[Running, Span], Spiked]:
        structure, weight = network.structure, network.weight.contiguous()
        structure.check_arrays()
        call = _call(structure, weight.dtype, 1, back=True)
        kept = _arrange(call, structure, weight, by_source=True)
        if kept is not None:
            weight = kept.weight
        simulation = NativeSpikes(_module(), call, _instruction_set(), network, weight)
        if kept is not None:
            # Later calls may overwrite these weights, once this simulation is gone.
            weakref.finalize(simulation, structure.keep, kept, by_source=True)
        return simulation

    def plastic_spike(
        self, network: Network, plasticity: Plasticity
    ) -> Callable[[Running, Changing, Span], Spiked]:
        call = _call(network.structure, network.weight.dtype, 1, back=True)
        return NativePlasticSpikes(_module(), call, _instruction_set(), network, plasticity)

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
        tape = [_empty((loops + 1) * state.numel(), kept_as)] if learns else []
        call = _call(structure, state.dtype, _batch(structure, state))
        # Bringing weights into order gains nothing if each is read once, or few are read at all.
        arranged = self._sums and loops > 1 and loops * structure.num_edges > _FEW_READS
        pairs = _pairs(call, structure, state, loops) if arranged and not narrow else None
        kept = _arrange(call, structure, weight, pairs=pairs) if arranged else None
        self._run(
            call,
            _response(inputs, activation, form, noise, narrow=narrow, rows=self._rows),
            (weight if kept is None else kept.weight).data_ptr(),
            kept is not None,
            _strided(state, rows=self._rows),
            [_strided(each, rows=self._rows) for each in states],
            keep,
            tape[0].data_ptr() if learns else 0,
            loops,
            _addresses(*pairs) if pairs else _NO_PAIRS,
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
        call = _call(structure, weight.dtype, state.size(1))
        kept = _arrange(call, structure, weight) if again else None
        out = torch.empty_like(state)
        _module().propagate(
            call,
            (weight if kept is None else kept.weight).data_ptr(),
            kept is not None,
            *_addresses(state, out),
            False,
            *_addresses(bias, drive),
        )
        if kept is not None:
            structure.keep(kept)
        return out

    def draw(self, structure: Structure, noise: CounterNoise, number: int, state: Tensor) -> Tensor:
        out = like(state)
        call = _call(structure, state.dtype, state.size(1))
        _module().draw(call, int(noise.key), noise.first + number, noise.std, _strided(out))
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
        response = partial(_response, activation=activation, form=form, noisy=noisy, narrow=narrow)
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
        noise: CounterNoise | None = None,
    ) -> LoopGradients | None:
        response = partial(_response, activation=activation, form=form, noise=noise)
        # The states are read at their own strides.
        kept = [settled(each) for each in starts]
        views = [_strided(each, rows=self._rows) for each in kept]
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
        call = _call(structure, weight.dtype, _batch(structure, inputs.state), back=True)
        pairs = None
        if self._sums and paired:
            pairs = _pairs(call, structure, inputs.state, len(grads), by_source=True)
        self._run_back(
            call,
            response(inputs, rows=self._rows),
            weight.data_ptr(),
            tape[0].data_ptr() if tape else 0,
            [_strided(grad, rows=self._rows) for grad in outside],
            *_addresses(grad_weight),
            _strided(total.state, rows=self._rows),
            _strided(total.drive, rows=self._rows),
            *_addresses(total.bias, total.leak),
            segment,
            list(starts),
            _addresses(*pairs) if pairs else _NO_PAIRS,
        )
        return LoopGradients(grad_weight, total)

    def _run(self, *arguments: Any) -> None:
        _module().loop(*arguments)

    def _run_back(self, *arguments: Any) -> None:
        _module().loop_backward(*arguments)

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
        _module().gibbs(
            _call(structure, weight.dtype, state.size(1)),
            _addresses(weight, bias, state, neurons, start, clamped),
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
        tape = [_empty((steps * loops + 1) * state.numel(), state.dtype)] if learns else []
        _module().sequence(
            _call(structure, state.dtype, state.size(1)),
            _response(common, activation, form),
            weight.data_ptr(),
            (steps, loops),
            _stepped(inputs.drive),
            _strided(state),
            _stepped(out),
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
        _module().sequence_backward(
            _call(structure, weight.dtype, inputs.state.size(1), back=True),
            _response(common, activation, form),
            *_addresses(weight, *tape),
            (len(inputs.drive), loops),
            _stepped(inputs.drive),
            _stepped(grads),
            _strided(grad_last),
            *_addresses(grad_weight, total.bias, total.leak),
            _stepped(total.drive),
            _strided(total.state),
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
        return _module().Join(_instruction_set(), JOINS[kind.name], kind.pieces)

    def _run(self, *arguments: Any) -> None:
        *given, _no_pairs = arguments
        _module().join_loop(self._choice(), *given)

    def segments_backward(self, *arguments: Any, **options: Any) -> LoopGradients | None:
        return None

    def _run_back(self, *arguments: Any) -> None:
        *given, _no_pairs = arguments
        _module().join_loop_backward(self._choice(), *given)


def _of_every_step(inputs: LoopInputs) -> LoopInputs:
    """Return what all steps have in common, with vectors [N] that are contiguous."""
    bias, leak = (None if each is None else each.contiguous() for each in inputs[2:])
    return LoopInputs(inputs.state, None, bias, leak)


def _response(
    inputs: LoopInputs,
    activation: str,
    form: str,
    noise: CounterNoise | None = None,
    *,
    noisy: bool = False,
    narrow: bool = False,
    rows: bool = False,
) -> Any:
    number = _activations().get(activation)
    if number is None or number != ACTIVATIONS[activation].number:
        raise ValueError(
            f"the compiled kernels have no activation {activation!r}, only "
            f"{', '.join(map(repr, _activations()))}; use sparsebrain.kernels.loop, which runs "
            "others loop by loop, or another backend"
        )
    # The way back reads only whether there was noise.
    drawn = (0, 0, float(noisy)) if noise is None else (int(noise.key), noise.first, noise.std)
    given = (_strided(inputs.drive, rows=rows), *_addresses(inputs.bias, inputs.leak))
    return _module().response(number, form == "voltage", *given, *drawn, narrow)


def _pairs(
    call: Any, structure: Structure, state: Tensor, loops: int, *, by_source: bool = False
) -> RowPairs | None:
    """Return the pairs in which the rows are read, or None where each is read alone."""
    if _instruction_set() != "avx512":
        return None
    return row_pairs.find(
        _module(),
        call,
        structure,
        state.dtype,
        _batch(structure, state),
        tile=_WIDEST[state.dtype],
        loops=loops,
        by_source=by_source,
    )


def _arrange(
    call: Any,
    structure: Structure,
    weight: Tensor,
    *,
    by_source: bool = False,
    pairs: RowPairs | None = None,
) -> Arranged | None:
    """Return the weights in the order of some rows or pairs; None where they lie in it already."""
    rows = structure.by_source if by_source else structure.by_target
    if rows.order is None and pairs is None:
        return None
    paired = pairs is not None
    kept = structure.take(weight.dtype, by_source=by_source, paired=paired)
    if kept is None:
        chunks = -(-weight.numel() // _module().key_chunk)
        key = torch.zeros((chunks, _module().key_words), dtype=torch.int32)
        kept = Arranged(_empty(weight.numel(), weight.dtype), key)
    order = _addresses(*pairs) if pairs else _NO_PAIRS
    _module().arrange(call, *_addresses(weight, *kept), by_source, order)
    return kept


def _empty(size: int, dtype: torch.dtype) -> Tensor:
    """Return an empty tensor [size], in large pages where that matters.

    NumPy asks for large pages, which scattered reads and long tapes need, but does not align its
    arrays to vectors.
    """
    itemsize = dtype.itemsize
    if size * itemsize < _LARGE:
        return torch.empty(size, dtype=dtype)
    numbers = np.empty(
        size + row_pairs.VECTOR // itemsize, np.float64 if itemsize == 8 else np.float32
    )
    found = torch.from_numpy(numbers)
    first = -found.data_ptr() % row_pairs.VECTOR // itemsize
    return found[first : first + size]


def _strided(x: Tensor | None, *, rows: bool = False) -> tuple[int, int, int]:
    """Return address and strides of a state: from neuron to neuron, and from sample to sample."""
    if x is None:
        return 0, 0, 0
    if not rows:
        neuron, sample = x.stride()
    elif x.dim() == 2:
        sample, neuron = x.stride()
    else:
        neuron, sample = x.stride(-1), x.size(-1)
    return x.data_ptr(), neuron, sample


def _stepped(x: Tensor | None) -> tuple[int, int, int, int]:
    if x is None:
        return 0, 0, 0, 0
    step, neuron, sample = x.stride()
    return x.data_ptr(), step, neuron, sample


@functools.cache
def _extension() -> tuple[ModuleType | None, str | None]:
    """Return the compiled module, or None and the reason why it is missing."""
    module, obstacle = compiled.load("sparsebrain.kernels._native", "the compiled kernels")
    if module is not None:
        obstacle = _disagreement(getattr(module, "activations", dict)())
    return (module, None) if obstacle is None else (None, obstacle)


@functools.cache
def _warn_once(obstacle: str) -> None:
    compiled.warn_missing("layers run 3 to 15 times slower", obstacle)


def _disagreement(compiled: dict[str, int]) -> str | None:
    """Return how the compiled table of activations differs from Python's, or None."""
    table = {name: each.number for name, each in ACTIVATIONS.items() if each.number is not None}
    if table == compiled:
        return None
    return (
        f"the compiled kernels number activations {compiled}, and Python {table}, since they "
        "come from different versions; call pip install . to build them again"
    )


@functools.cache
def _activations() -> dict[str, int]:
    numbers: dict[str, int] = _module().activations()
    return numbers


def _module() -> Any:
    module, obstacle = _extension()
    if module is None:
        raise RuntimeError(obstacle)
    return module


def _batch(structure: Structure, state: Tensor) -> int:
    return state.numel() // max(structure.num_nodes, 1)


def _call(structure: Structure, dtype: torch.dtype, batch: int, *, back: bool = False) -> Any:
    """Return what the kernels need to know of a structure and a batch, made once.

    Only with ``back`` may kernels read ``by_source``, which does not exist otherwise.
    """
    back = back or structure.has_by_source
    key = (_instruction_set(), dtype, batch, torch.get_num_threads(), back)
    kept = structure.prepared
    if kept is None or kept[0] != key:
        structure.prepared = kept = (key, _new_call(structure, *key))
    return kept[1]


def _new_call(
    structure: Structure,
    instruction_set: str,
    dtype: torch.dtype,
    batch: int,
    threads: int,
    back: bool,
) -> Any:
    tile = _WIDEST[dtype]
    # A wide tile reads an index once for many columns. Threads share the rows of a single tile, but
    # two tiles of different widths would give them unequal parts.
    if tile < batch < 2 * tile:
        tile //= 2
    # The largest power of two that is not wider than the batch.
    tile = min(tile, 1 << max(batch.bit_length() - 1, 0))
    return _module().Call(
        instruction_set,
        dtype == torch.float64,
        _addresses(*structure.by_target, *(structure.by_source if back else _ABSENT)),
        structure.by_target.pointer.dtype == torch.int64,
        structure.num_nodes,
        structure.num_edges,
        batch,
        tile,
        threads,
    )


@functools.cache
def _instruction_set() -> str:
    sets: Sequence[str] = _module().instruction_sets()
    return sets[-1]


def _addresses(*tensors: Tensor | None) -> list[int]:
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
