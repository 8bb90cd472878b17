"""The ``triton`` backend: one kernel per loop on a GPU."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import Backend, Looped, LoopGradients, LoopInputs
from sparsebrain.kernels.coloring import Colors
from sparsebrain.kernels.compressed import Compressed
from sparsebrain.kernels.counter import keys_of_steps, signed
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.structure import Structure

_TILE = 512
_MOST_COLUMNS = 128
_MOST_SYNAPSES = 32
_OLDEST = 70
_MOST_KEYS = 4096
"""How many sweeps of Gibbs sampling have their keys in memory."""


class TritonBackend(Backend):
    """Triton's kernels for CUDA: product, bias, drive, activation and leak in one pass over memory.

    In the backward pass W^T g, the derivative, the leak and the sums for drive, bias and leak are
    one kernel per loop; the weight's gradient is another one. With ``form="voltage"``, f and all of
    the backward pass but its products are PyTorch's operations. Weights are brought into the order
    of the rows once per call. Each row and block of columns is one program, so a hub with very many
    synapses takes longest; the correlation distributes hubs over programs. Results are reproducible
    bit by bit.

    Triton compiles a kernel when it is first used, which takes a second, and caches it on disk.

    Tests run the kernels without a GPU, slowly, in Triton's interpreter: with
    ``TRITON_INTERPRET=1`` in the environment before triton is imported, the backend runs on a CPU,
    and not on CUDA. ``auto`` never chooses the interpreter.
    """

    name = "triton"

    def obstacle(self, device: torch.device) -> str | None:
        interpreted = os.environ.get("TRITON_INTERPRET") == "1"
        if device.type == "cpu" and interpreted:
            return _load()[1]
        if device.type != "cuda":
            return f"triton's kernels run on 'cuda', not on {device.type!r}"
        if interpreted:
            return "TRITON_INTERPRET=1 runs triton's kernels in an interpreter on the 'cpu'"
        if not torch.cuda.is_available():
            return "torch finds no GPU"
        return _load()[1] or _obstacle_on_gpu(device.index)

    def suits(self, device: torch.device) -> bool:
        return device.type == "cuda" and super().suits(device)

    def fuses(self, activation: str) -> bool:
        return ACTIVATIONS[activation].number is not None

    def operator(
        self, structure: Structure, weight: Tensor, *, transpose: bool
    ) -> Callable[[Tensor], Tensor]:
        matrix = _Matrix.of(structure, weight, transpose=transpose)
        return lambda x: _step(matrix, LoopInputs(x.contiguous(), None, None, None), "none")

    def correlate(self, structure: Structure, post: Tensor, pre: Tensor) -> Tensor:
        out = post.new_empty(structure.num_edges)
        ends = structure.by_target.ends()
        _correlate(ends, post.contiguous(), pre.contiguous(), out, add=False)
        return out

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
        matrix = _Matrix.of(structure, weight, transpose=False)
        inputs, states = inputs.map(Tensor.contiguous), list[Tensor]()
        keys = None if noise is None else noise.keys_of_loops(loops)
        for number in range(loops):
            drawn = None if noise is None or keys is None else (keys[number], noise.std)
            if form == "voltage":
                sent = inputs._replace(state=ACTIVATIONS[activation].function(inputs.state))
                state = _step(matrix, sent, "none", drawn, inputs.state)
            else:
                state = _step(matrix, inputs, activation, drawn)
            inputs = inputs._replace(state=state)
            states = [*states, state] if keep or learns else [state]
        for to, made in zip(out, states, strict=False):
            to.copy_(made)
        return Looped(states, []) if keep else Looped(states[-1:], states[:-1])

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
        if form == "voltage":
            return super().loop_backward(
                structure,
                weight,
                inputs,
                states,
                grads,
                activation=activation,
                need_weight=need_weight,
                form=form,
                noisy=noisy,
            )
        matrix, back = (_Matrix.of(structure, weight, transpose=each) for each in (False, True))
        inputs = inputs.map(Tensor.contiguous)
        states = [state.contiguous() for state in states]
        state, drive, bias, leak = inputs
        neurons, batch = state.shape
        tile = _Tile.of(batch)
        grad_weight = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        ends = structure.by_target.ends()
        total_drive = None if drive is None else torch.zeros_like(state)
        total_bias, total_leak = (
            None if each is None else state.new_zeros(neurons, tile.blocks(batch))
            for each in (bias, leak)
        )
        local: Tensor | None = None
        rest: Tensor | None = None
        for number in range(len(states) - 1, 0, -1):
            outside, before, after = grads[number - 1], states[number - 1], states[number]
            if local is None and outside is None:
                continue
            later, local = local, torch.empty_like(state)
            rest_later, rest = rest, None if leak is None else torch.empty_like(state)
            _launch(
                "step_back",
                neurons * tile.blocks(batch),
                tile,
                later=later,
                rest_later=rest_later,
                outside=None if outside is None else outside.contiguous(),
                back_pointer=back.pointer,
                back_neuron=back.neuron,
                back_weight=back.weight,
                before=before,
                after=after,
                pointer=matrix.pointer,
                neuron=matrix.neuron,
                weight=matrix.weight,
                bias=bias,
                drive=drive,
                leak=leak,
                local=local,
                rest=rest,
                total_drive=total_drive,
                total_bias=total_bias,
                total_leak=total_leak,
                neurons=neurons,
                batch=batch,
                ACTIVATION=activation,
                OF_ARGUMENT=ACTIVATIONS[activation].of_argument,
                NOISY=noisy,
            )
            if need_weight:
                _correlate(ends, local, before, grad_weight, add=True)
        total = LoopInputs(
            torch.zeros_like(state)
            if local is None
            else _step(back, LoopInputs(local, rest, None, None), "none"),
            total_drive,
            None if total_bias is None else total_bias.sum(1),
            None if total_leak is None else total_leak.sum(1),
        )
        return LoopGradients(grad_weight if need_weight else None, total)

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
        matrix = _Matrix.of(structure, weight, transpose=False)
        x = state.to(weight.dtype).contiguous()
        classes = colors.classes()
        if clamped is not None:
            classes = [members[~clamped[members]] for members in classes]
        tile = _Tile.of(x.size(1))
        key = torch.tensor(signed(seed), device=x.device)
        for first in range(0, sweeps, _MOST_KEYS):
            for sweep_key in keys_of_steps(key, offset + first, min(_MOST_KEYS, sweeps - first)):
                for members in classes:
                    _launch(
                        "draw",
                        len(members) * tile.blocks(x.size(1)),
                        tile,
                        member_neuron=members,
                        pointer=matrix.pointer,
                        neuron=matrix.neuron,
                        weight=matrix.weight,
                        bias=bias.contiguous(),
                        noise_key=sweep_key,
                        x=x,
                        neurons=len(members),
                        batch=x.size(1),
                    )
        return x.to(torch.uint8)


class _Matrix(NamedTuple):
    """W or its transpose in compressed-sparse-row form."""

    pointer: Tensor
    neuron: Tensor
    weight: Tensor

    @classmethod
    def of(cls, structure: Structure, weight: Tensor, *, transpose: bool) -> _Matrix:
        rows: Compressed = structure.by_source if transpose else structure.by_target
        return cls(rows.pointer, rows.neuron, rows.arrange(weight).contiguous())


class _Tile(NamedTuple):
    """The number of synapses and columns per step of a program, both powers of two."""

    synapses: int
    columns: int

    @classmethod
    def of(cls, batch: int) -> _Tile:
        columns = 1
        while columns < min(batch, _MOST_COLUMNS):
            columns *= 2
        return cls(min(_MOST_SYNAPSES, _TILE // columns), columns)

    def blocks(self, batch: int) -> int:
        return -(-batch // self.columns)


def _step(
    matrix: _Matrix,
    inputs: LoopInputs,
    activation: str,
    noise: tuple[Tensor, float] | None = None,
    old: Tensor | None = None,
) -> Tensor:
    """Run one loop.

    Args:
        matrix: W.
        inputs: The inputs of the loop.
        activation: The name of f.
        noise: The key of this loop and the standard deviation, or None.
        old: The state that a leak mixes with the new value; that of ``inputs`` by default.
    """
    state, drive, bias, leak = inputs
    key, std = (None, 0.0) if noise is None else noise
    out = torch.empty_like(state)
    neurons, batch = state.shape
    tile = _Tile.of(batch)
    _launch(
        "step",
        neurons * tile.blocks(batch),
        tile,
        pointer=matrix.pointer,
        neuron=matrix.neuron,
        weight=matrix.weight,
        x=state,
        bias=bias,
        drive=drive,
        leak=leak,
        old=state if old is None else old,
        noise_key=key,
        std=std,
        out=out,
        neurons=neurons,
        batch=batch,
        ACTIVATION=activation,
    )
    return out


def _correlate(
    ends: tuple[Tensor, Tensor], post: Tensor, pre: Tensor, out: Tensor, *, add: bool
) -> None:
    """Correlate along synapses whose targets and sources are ``ends``, [E] each."""
    target, source = ends
    synapses, tile = len(target), _Tile.of(post.size(1))
    _launch(
        "correlate",
        -(-synapses // tile.synapses),
        tile,
        source=source,
        target=target,
        post=post,
        pre=pre,
        out=out,
        synapses=synapses,
        batch=post.size(1),
        ADD=add,
    )


def _launch(name: str, programs: int, tile: _Tile, **arguments: Any) -> None:
    """Run a kernel of :mod:`.triton_kernels` on the device of its arguments, given by name."""
    if not programs:
        return
    module, obstacle = _load()
    if module is None:
        raise RuntimeError(obstacle)
    where = next(each for each in arguments.values() if isinstance(each, Tensor))
    # Triton launches on the current device, not on that of the tensors.
    with torch.cuda.device_of(where):
        getattr(module, name)[(programs,)](
            **arguments,
            SYNAPSES=tile.synapses,
            COLUMNS=tile.columns,
            num_warps=max(1, min(4, tile.synapses * tile.columns // 128)),
        )


@functools.cache
def _load() -> tuple[ModuleType | None, str | None]:
    """Return the kernels, or None and the reason why they are missing."""
    try:
        return importlib.import_module("sparsebrain.kernels.triton_kernels"), None
    except ImportError as error:
        return None, (
            f"triton cannot be imported ({error}); torch's CUDA builds for Linux bring it, "
            "otherwise call pip install triton"
        )


@functools.cache
def _obstacle_on_gpu(index: int | None) -> str | None:
    """Return what triton lacks on a GPU or the machine, or None; allocates nothing on the GPU."""
    driver: Any = importlib.import_module("triton.runtime.driver").driver
    try:
        with torch.cuda.device(index):
            target = driver.active.get_current_target()
    # A missing C compiler, header or driver library raises different errors.
    except Exception as error:
        return f"triton cannot reach the GPU ({error}); it needs a C compiler and Python's headers"
    if target.backend == "cuda" and target.arch < _OLDEST:
        return f"triton needs compute capability 7.0, the GPU has {target.arch / 10}"
    return None
