"""What torch allocates, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def allocations() -> Iterator[list[float]]:
    """Fill a list, at the end, with the bytes that torch allocated (+) and freed (-), in order.

    Those of tensors on the CPU, by this thread: what each of many trainings takes can be told in
    one process, and is the same on every machine, as the resident memory of a process is not. What
    libraries allocate besides tensors is not in it. With a torch that does not tell, it is [nan].

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
    # The profiler of torch.profiler takes seconds to start, and writes to the terminal. This one is
    # under it, and no public name.
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
