"""How Python calls the compiled kernels: the module, and tensors as addresses and strides."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphs import compiled
from sparsebrain.kernels import row_pairs
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.row_pairs import RowPairs
from sparsebrain.kernels.structure import Arranged, Structure

_ABSENT = (None, None, None)
_LARGE = 2**22
_WIDEST = {torch.float32: 64, torch.float64: 32}


def response_of(
    inputs: LoopInputs,
    activation: str,
    form: str,
    noise: CounterNoise | None = None,
    *,
    noisy: bool = False,
    narrow: bool = False,
    rows: bool = False,
) -> Any:
    """Return what follows the sum over synapses, as the kernels take it."""
    number = activation_numbers().get(activation)
    if number is None or number != ACTIVATIONS[activation].number:
        raise ValueError(
            f"the compiled kernels have no activation {activation!r}, only "
            f"{', '.join(map(repr, activation_numbers()))}; use sparsebrain.kernels.loop, which "
            "runs others loop by loop, or another backend"
        )
    # The way back reads only whether there was noise.
    drawn = (0, 0, float(noisy)) if noise is None else (int(noise.key), noise.first, noise.std)
    given = (strided(inputs.drive, rows=rows), *addresses(inputs.bias, inputs.leak))
    return module().response(number, form == "voltage", *given, *drawn, narrow)


def pairs_of(
    call: Any, structure: Structure, state: Tensor, loops: int, *, by_source: bool = False
) -> RowPairs | None:
    """Return the pairs in which the rows are read, or None where each is read alone."""
    # 64-bit indices have few widths of tiles, and some of these cannot read pairs.
    if instruction_set() != "avx512" or structure.by_target.pointer.dtype == torch.int64:
        return None
    return row_pairs.find(
        module(),
        call,
        structure,
        state.dtype,
        batch_of(structure, state),
        tile=_WIDEST[state.dtype],
        loops=loops,
        by_source=by_source,
    )


def of_pairs(pairs: RowPairs | None) -> list[int]:
    """Return where the arrays of pairs begin; 0 for each without pairs."""
    return addresses(*(pairs or (None, None, None)))


def arrange(
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
        chunks = -(-weight.numel() // module().key_chunk)
        key = torch.zeros((chunks, module().key_words), dtype=torch.int32)
        kept = Arranged(empty(weight.numel(), weight.dtype), key)
    module().arrange(call, *addresses(weight, *kept), by_source, of_pairs(pairs))
    return kept


def empty(size: int, dtype: torch.dtype) -> Tensor:
    """Return an empty tensor [size], in large pages where that matters.

    NumPy asks for large pages, which scattered reads and long tapes need, but does not align its
    arrays to vectors.
    """
    length = size * dtype.itemsize
    if length < _LARGE:
        return torch.empty(size, dtype=dtype)
    found = torch.from_numpy(np.empty(length + row_pairs.VECTOR, np.uint8))
    first = -found.data_ptr() % row_pairs.VECTOR
    return found[first : first + length].view(dtype)


def strided(x: Tensor | None, *, rows: bool = False) -> tuple[int, int, int]:
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


def stepped(x: Tensor | None) -> tuple[int, int, int, int]:
    """Return address and strides of a sequence [T, N, B]: from step to step first."""
    if x is None:
        return 0, 0, 0, 0
    step, neuron, sample = x.stride()
    return x.data_ptr(), step, neuron, sample


@functools.cache
def extension() -> tuple[ModuleType | None, str | None]:
    """Return the compiled module, or None and the reason why it is missing."""
    found, obstacle = compiled.load("sparsebrain.kernels._native", "the compiled kernels")
    if found is not None:
        obstacle = _disagreement(getattr(found, "activations", dict)())
    return (found, None) if obstacle is None else (None, obstacle)


@functools.cache
def warn_once(obstacle: str) -> None:
    """Warn that the compiled kernels are missing."""
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
def activation_numbers() -> dict[str, int]:
    """Return the activations that the compiled kernels have, and their numbers."""
    numbers: dict[str, int] = module().activations()
    return numbers


def module() -> Any:
    """Return the compiled module; RuntimeError if it is missing."""
    found, obstacle = extension()
    if found is None:
        raise RuntimeError(obstacle)
    return found


def batch_of(structure: Structure, state: Tensor) -> int:
    """Return the number of columns of a state."""
    return state.numel() // max(structure.num_nodes, 1)


def call_of(structure: Structure, dtype: torch.dtype, batch: int, *, back: bool = False) -> Any:
    """Return what the kernels need to know of a structure and a batch, made once.

    Only with ``back`` may kernels read ``by_source``, which does not exist otherwise.
    """
    back = back or structure.has_by_source
    key = (instruction_set(), dtype, batch, torch.get_num_threads(), back)
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
    return module().Call(
        instruction_set,
        dtype == torch.float64,
        addresses(*structure.by_target, *(structure.by_source if back else _ABSENT)),
        structure.by_target.pointer.dtype == torch.int64,
        structure.num_nodes,
        structure.num_edges,
        batch,
        tile,
        threads,
    )


@functools.cache
def instruction_set() -> str:
    """Return the widest set of instructions that the machine and the module have."""
    sets: Sequence[str] = module().instruction_sets()
    return sets[-1]


def addresses(*tensors: Tensor | None) -> list[int]:
    """Return where the tensors begin; 0 for None."""
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
