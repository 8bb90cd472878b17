"""Checks that every operator makes: sizes, devices, memory and indices.

Kernels address memory directly. With a tensor whose storage was freed, or an index that was
overwritten, they would read memory that belongs to something else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from graphs import tensors
from sparsebrain.kernels.compressed import ASTRAY
from sparsebrain.kernels.structure import Structure

DTYPES = tensors.FLOATS

MOST_LOOPS = 10**6
"""The largest number of loops of a layer."""


def check_tensor(name: str, tensor: Tensor, shape: tensors.Shape, like: Tensor) -> None:
    """Raise unless a tensor has that shape, and the dtype and device of another one."""
    tensors.tensor(name, tensor, shape, dtypes=(like.dtype,), device=like.device)
    check_memory(name, tensor)


def check_memory(name: str, tensor: Tensor) -> None:
    """Raise ValueError unless the storage of a tensor is as large as its shape requires.

    Every call of a kernel comes through here, so the common case is decided by the cheapest test.
    """
    there = tensor.untyped_storage().nbytes()
    if tensor.is_contiguous() and there >= tensor.nbytes and tensor.storage_offset() == 0:
        return
    if tensor.numel() == 0 or tensor.is_meta:
        return
    last = tensor.storage_offset()
    for size, step in zip(tensor.shape, tensor.stride(), strict=True):
        last += (size - 1) * step
    needed = (last + 1) * tensor.element_size()
    if there < needed:
        raise ValueError(
            f"the storage of {name} was freed or cut: it has {there} bytes and needs {needed}; "
            "call this while the values are there, as in the forward pass of a sharded module"
        )


def check_columns(structure: Structure, **columns: Tensor) -> None:
    """Raise TypeError or ValueError unless states [N, B] fit the neurons and each other."""
    first: Tensor | None = None
    for name, each in columns.items():
        if first is None:
            first = each
            tensors.tensor(name, each, (structure.num_nodes, "B"), device=structure.device)
            check_memory(name, each)
        else:
            check_tensor(name, each, tuple(first.shape), first)


def check_structure(structure: object) -> None:
    """Raise TypeError unless ``structure`` is a Structure."""
    if not isinstance(structure, Structure):
        raise TypeError(
            f"structure must be a Structure, got {type(structure).__name__}; pass "
            "Structure(edge_index, num_nodes)"
        )


def check_matrix(structure: Structure, weight: Tensor, *, finite: bool = False) -> None:
    """Raise TypeError or ValueError unless ``weight`` [E] holds the weights of the synapses."""
    check_structure(structure)
    size, device = (structure.num_edges,), structure.device
    tensors.tensor("weight", weight, size, device=device, finite=finite)


def check_leak(leak: Tensor) -> None:
    """Raise ValueError unless all values of a leak are from 0 to 1."""
    check_memory("leak", leak)
    if not leak.numel():
        return
    leak = leak.detach()
    low, high = leak.aminmax()
    # Both are NaN if a value is, and then the comparisons are false.
    if not (float(low) >= 0 and float(high) <= 1):
        at = int((~((leak >= 0) & (leak <= 1))).nonzero()[0])
        raise ValueError(
            f"leak must be from 0 to 1, the share of the new value in the next state, got "
            f"{float(leak[at]):g} at neuron {at}; pass 1 / tau for a time constant of tau loops"
        )


def check_index(structure: Structure) -> None:
    """Raise ValueError if an index is outside the neurons or synapses of the structure.

    On a CPU all indices are checked at every call, because a write through ``.data`` leaves no
    trace. On other devices this would wait for the device, so they are checked again only after
    torch has counted a write.
    """
    nodes, edges = structure.num_nodes, structure.num_edges
    views = [structure.by_target]
    if structure.has_by_source:
        views.append(structure.by_source)
    limits = []
    for pointer, neuron, order in views:
        limits += [(pointer, edges + 1), (neuron, nodes)]
        limits += [] if order is None else [(order, edges)]
    pointers = [view.pointer for view in views]
    for array, limit in limits:
        seen = (version_of(array), limit)
        if not array.numel() or (not array.is_cpu and _seen.get(array) == seen):
            continue
        low, high = (int(bound) for bound in array.aminmax())
        rising = all(array is not each for each in pointers) or (
            low == 0 and high == edges and bool((array[1:] >= array[:-1]).all())
        )
        if low < 0 or high >= limit or not rising:
            raise ValueError(ASTRAY)
        if not array.is_cpu:
            _seen[array] = seen


_seen = WeakTensorKeyDictionary()


def version_of(array: Tensor) -> int:
    """Return the number of writes that torch has counted, or -1 if it counts none."""
    return -1 if array.is_inference() else array._version


def check_states(
    states: Sequence[Tensor],
    shapes: Sequence[tuple[int, ...]],
    like: Tensor,
    dtype: torch.dtype,
) -> None:
    """Raise TypeError or ValueError unless there are states of these shapes and that dtype."""
    if len(states) != len(shapes):
        raise ValueError(
            f"states must be the {len(shapes)} of the forward pass, got {len(states)}; pass those "
            "that sparsebrain.loop returned with learns=True"
        )
    for number, (state, shape) in enumerate(zip(states, shapes, strict=True)):
        name = f"states[{number}]"
        tensors.tensor(name, state, shape, dtypes=(dtype,), device=like.device)
        check_memory(name, state)
