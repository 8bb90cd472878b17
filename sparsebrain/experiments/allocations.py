"""Memory that torch allocates, tensor by tensor."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def allocations() -> Iterator[list[float]]:
    """Record the bytes that torch allocates (positive) and frees (negative), in order.

    Only CPU tensors of this thread are recorded. Unlike the resident memory of a process, the
    result is the same on every machine, and it separates several trainings in one process. Memory
    that libraries allocate outside of tensors is not included.

    Yields:
        A list that is filled when the context ends; [nan] if this torch has no such profiler.

    Example:
        >>> import torch
        >>> from sparsebrain.experiments.allocations import allocations
        >>> with allocations() as made:
        ...     x = torch.ones(1000)
        ...     del x
        >>> made
        [4000, -4000]
    """
    found: list[float] = []
    # torch.profiler takes seconds to start and writes to the terminal. It builds on this profiler,
    # which has no public name.
    profiler: Any = torch.autograd
    if not hasattr(profiler, "_enable_profiler_legacy"):
        yield found
        found.append(math.nan)
        return
    options = torch._C._profiler._ExperimentalConfig()
    state = profiler.ProfilerState.CPU
    profiler._enable_profiler_legacy(
        profiler.ProfilerConfig(state, False, True, False, False, False, options)
    )
    try:
        yield found
    finally:
        for of_thread in profiler._disable_profiler_legacy():
            found += [
                each.cpu_memory_usage() for each in of_thread if each.kind() == "memory_alloc"
            ]


def peak_of_steps(make: Callable[[], Callable[[], object]]) -> float:
    """Return the peak memory of tensors in the second of two training steps, in bytes.

    Args:
        make: Makes the model and its optimizer, and returns a function that makes one step.

    Returns:
        The bytes, those that ``make`` allocates and keeps included.
    """
    with _no_collection():
        with allocations() as made:
            step = make()
        with allocations() as used:
            for _ in range(2):
                step()
    return float(sum(made) + max(itertools.accumulate(used)))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Suspend Python's garbage collector, which would free older tensors at random times."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
