"""Memory of a process as the kernel counts it: everything, whoever allocated it.

Torch's profiler sees what torch allocates and not what MKL or compiled kernels do, so that peaks
are those of the resident set (VmHWM), put back to the present by ``/proc/self/clear_refs``. Peaks
of one process would hide one another's leftovers: each is taken in a fresh one.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

_M_MMAP_THRESHOLD = -3
_PAGES_OF_ITS_OWN = 1 << 16

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def obstacle() -> str | None:
    """Why peaks cannot be measured here, or None."""
    try:
        reset()
    except OSError as error:
        return f"peaks need Linux and a writable {_RESET} ({error.strerror})"
    return None


def require(parser: argparse.ArgumentParser) -> None:
    """End the command with the reason where peaks cannot be measured."""
    reason = obstacle()
    if reason is not None:
        parser.error(reason)


def reset() -> None:
    """Let the next peak start from what is resident now."""
    _RESET.write_text("5")


def peak() -> int:
    """Bytes that were resident at most since the last reset."""
    return _field("VmHWM")


def now() -> int:
    """Bytes that are resident now, when all that is free has been handed back."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    # Else what is made next would fit into what is left of before, and seem to take nothing.
    if trim is not None:
        trim(0)
    return _field("VmRSS")


def in_fresh_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of a module in a process of its own, with as many threads of torch."""
    # Each is forked from a server that has imported what takes seconds, and done nothing else.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch_geometric.data"])
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(1, context, initializer=_begin, initargs=(threads,)) as pool:
        return pool.submit(function, *args, **kwargs).result()


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    # Every array in pages of its own, which go back when it is freed: a peak is then what was in
    # use, and not what the allocator of C had put by.
    if option is not None:
        option(_M_MMAP_THRESHOLD, _PAGES_OF_ITS_OWN)


def _field(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{_STATUS} has no {name}.")
