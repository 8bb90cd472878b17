"""The ``native`` backend: compiled loops over synapses, one tile of the batch at a time."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import Backend, Looped, LoopGradients, LoopInputs
from sparsebrain.kernels.layout import like, settled
from sparsebrain.kernels.native_spikes import NativeSpikes
from sparsebrain.kernels.spikes import Network, Running, Span, Spiked
from sparsebrain.kernels.structure import Arranged, Structure

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
    """

    name = "native"
    tape_suffices = True
    any_layout = True
    checks_index = True

    def obstacle(self, device: torch.device) -> str | None:
        if device.type != "cpu":
            return f"the compiled kernels run on a 'cpu', not on {device.type!r}"
        return _extension()[1]

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
            call = _call(structure, x.dtype, x.size(1))
            _module().propagate(call, *_addresses(weight, x, y), transpose)
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
        call = _call(structure, weight.dtype, 1)
        kept = _arrange(call, structure, weight, by_source=True)
        if kept is not None:
            weight = kept.weight
        simulation = NativeSpikes(_module(), call, _instruction_set(), network, weight)
        if kept is not None:
            structure.keep(kept, by_source=True)
        return simulation

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
        weight, inputs = weight.contiguous(), inputs.map(settled)
        state = inputs.state
        states = [like(state) for _ in range(loops if keep else 1)]
        tape = [
            state.new_empty(shape)
            for shape in self.tape_shapes(*state.shape, loops=loops, keep=keep)
            if learns
        ]
        call = _call(structure, state.dtype, state.size(1))
        # One loop reads each weight once, so that bringing them into order gains nothing.
        kept = _arrange(call, structure, weight) if loops > 1 else None
        _module().loop(
            call,
            _response(inputs, activation),
            (weight if kept is None else kept.weight).data_ptr(),
            kept is not None,
            _strided(state),
            [_strided(each) for each in states],
            keep,
            tape[0].data_ptr() if learns else 0,
            loops,
        )
        if kept is not None:
            structure.keep(kept)
        return Looped(states, tape)

    def tape_shapes(
        self, neurons: int, batch: int, *, loops: int, keep: bool
    ) -> list[tuple[int, ...]]:
        # One tile after another, and within a tile one state after another.
        return [((loops + 1) * neurons * batch,)]

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
        weight, inputs = weight.contiguous(), inputs.map(settled)
        grad_weight = torch.empty_like(weight) if need_weight else None
        total = inputs.map(like)
        outside = [None if grad is None else settled(grad) for grad in grads]
        _module().loop_backward(
            _call(structure, weight.dtype, inputs.state.size(1)),
            _response(inputs, activation),
            *_addresses(weight, *states),
            [_strided(grad) for grad in outside],
            *_addresses(grad_weight),
            _strided(total.state),
            _strided(total.drive),
            *_addresses(total.bias, total.leak),
        )
        return LoopGradients(grad_weight, total)


def _response(inputs: LoopInputs, activation: str) -> Any:
    number = _activations().get(activation)
    if number is None or number != ACTIVATIONS[activation].number:
        raise ValueError(
            f"the compiled kernels have no activation {activation!r}, only "
            f"{', '.join(map(repr, _activations()))}; use sparsebrain.kernels.loop, which runs "
            "others loop by loop, or another backend"
        )
    return _module().response(number, _strided(inputs.drive), *_addresses(inputs.bias, inputs.leak))


def _arrange(
    call: Any, structure: Structure, weight: Tensor, *, by_source: bool = False
) -> Arranged | None:
    """Return the weights in the order of some rows; None where they lie in it already."""
    rows = structure.by_source if by_source else structure.by_target
    if rows.order is None:
        return None
    kept = structure.take(weight.dtype, by_source=by_source)
    if kept is None:
        chunks = -(-weight.numel() // _module().key_chunk)
        key = torch.zeros((chunks, _module().key_words), dtype=torch.int32)
        # NumPy asks for large pages, which scattered reads need.
        kind = np.float64 if weight.dtype is torch.float64 else np.float32
        kept = Arranged(torch.from_numpy(np.empty(weight.numel(), kind)), key)
    _module().arrange(call, *_addresses(weight, *kept), by_source)
    return kept


def _strided(x: Tensor | None) -> tuple[int, int, int]:
    if x is None:
        return 0, 0, 0
    neuron, sample = x.stride()
    return x.data_ptr(), neuron, sample


@functools.cache
def _extension() -> tuple[ModuleType | None, str | None]:
    """Return the compiled module, or None and the reason why it is missing."""
    try:
        module = importlib.import_module("sparsebrain.kernels._native")
    except ImportError as error:
        return None, (
            f"the compiled kernels cannot be loaded ({error}); install with a C++17 compiler, and "
            "call pip install -v . to see why a build fails"
        )
    obstacle = _disagreement(getattr(module, "activations", dict)())
    return (module, None) if obstacle is None else (None, obstacle)


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


def _call(structure: Structure, dtype: torch.dtype, batch: int) -> Any:
    """Return what the kernels need to know of a structure and a batch."""
    tile = _WIDEST[dtype]
    # A wide tile reads an index once for many columns. Threads share the rows of a single tile, but
    # two tiles of different widths would give them unequal parts.
    if tile < batch < 2 * tile:
        tile //= 2
    # The largest power of two that is not wider than the batch.
    tile = min(tile, 1 << max(batch.bit_length() - 1, 0))
    return _module().Call(
        _instruction_set(),
        dtype == torch.float64,
        _addresses(*structure.by_target, *structure.by_source),
        structure.by_target.pointer.dtype == torch.int64,
        structure.num_nodes,
        structure.num_edges,
        batch,
        tile,
        torch.get_num_threads(),
    )


@functools.cache
def _instruction_set() -> str:
    sets: Sequence[str] = _module().instruction_sets()
    return sets[-1]


def _addresses(*tensors: Tensor | None) -> list[int]:
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
