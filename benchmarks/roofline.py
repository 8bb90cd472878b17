"""What the machine can do at best, measured beside what it has to be compared with.

The arithmetic limit is how fast multiply-adds go: a product of two 512 x 512 matrices in single
precision, which lie in the cache and of which MKL and its like come near the peak. The limit of
memory is how fast bytes go: the faster of a triad, a = b + 3 c, and of reading, b . c, on arrays
that take as much room as the problem does (from 2 MiB, below which the call itself would be timed,
to 1 GiB). Where a problem fits into a cache this is the speed of that cache, and far beyond all
caches that of memory. As in STREAM, what a write reads first is not counted. All are the fastest of
the rounds, as a limit has to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.problem import Problem
from benchmarks.timing import Timing

_LEAST, _MOST = 1 << 21, 1 << 30
_FLOAT = _INDEX = 4
_SIDE = 512
_TILE = 16
"""Columns that all loops can run over before the next ones: as many floats as a vector holds."""


class Work(NamedTuple):
    """What a call cannot do without: operations, bytes to and fro, and bytes that have room."""

    flops: int
    traffic: int
    footprint: int


class Probe(NamedTuple):
    """A call, and how many operations or bytes it takes."""

    call: Callable[[], object]
    amount: int


def own_caches() -> int:
    """Bytes of the second-level caches of as many cores as torch has threads."""
    cores = torch.get_num_threads()
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "level").read_text().strip() == "2":
            return cores * 1024 * int((index / "size").read_text().strip().removesuffix("K"))
    # What most processors of these years have at least.
    return cores << 20


def forward(problem: Problem) -> Work:
    """Two operations a synapse and column.

    A loop reads each weight with its index and the state before, and writes the state after. Where
    all this fits into the cores' own caches for a tile of columns, the first state comes in and the
    last goes out, and nothing else.
    """
    synapses, state = problem.synapses, _FLOAT * problem.neurons * problem.batch
    weights = (_FLOAT + _INDEX) * synapses
    once = weights + 2 * state
    traffic = 2 * state if weights + 2 * _tile(problem) <= own_caches() else once * problem.loops
    return Work(2 * synapses * problem.batch * problem.loops, traffic, once)


def forward_backward(problem: Problem) -> Work:
    """Six operations a synapse and column: forward, W^T g, and the gradient of the weight.

    Going back a loop reads each weight with its index, reads and writes the gradient of each
    weight, reads the state before, and reads and writes the gradient of the state. Where all this
    fits into the cores' own caches for a tile of columns, what is left is that each state has to be
    kept and read again.
    """
    synapses, state = problem.synapses, _FLOAT * problem.neurons * problem.batch
    weights = (2 * _FLOAT + _INDEX) * synapses
    ahead = (_FLOAT + _INDEX) * synapses + 2 * state
    back = (3 * _FLOAT + _INDEX) * synapses + 3 * state
    once = 2 * state if weights + 3 * _tile(problem) <= own_caches() else ahead + back
    footprint = weights + (problem.loops + 1) * state
    return Work(6 * synapses * problem.batch * problem.loops, once * problem.loops, footprint)


def _tile(problem: Problem) -> int:
    """Bytes of a state of the columns that are done at a time."""
    return _FLOAT * problem.neurons * min(problem.batch, _TILE)


WORK: dict[str, Callable[[Problem], Work]] = {
    "forward": forward,
    "forward_backward": forward_backward,
}


def probes(footprint: int) -> dict[str, Probe]:
    """Calls to be timed in turn with those whose limits they are."""
    numbers = min(max(footprint, _LEAST), _MOST) // _FLOAT
    # Not empty: pages that were never written all lie in the same place.
    a, b, c = (torch.ones(numbers // 3) for _ in range(3))
    left, right = (torch.ones(numbers // 2) for _ in range(2))
    one, other, product = (torch.ones(_SIDE, _SIDE) for _ in range(3))
    return {
        "fma": Probe(lambda: torch.mm(one, other, out=product), 2 * _SIDE**3),
        "triad": Probe(lambda: torch.add(b, c, alpha=3.0, out=a), 3 * _FLOAT * len(a)),
        "read": Probe(lambda: torch.dot(left, right), 2 * _FLOAT * len(left)),
    }


def speeds(probes: Mapping[str, Probe], timings: Mapping[str, Timing]) -> dict[str, float]:
    """Of the probes, in 10^9 operations or bytes a second."""
    return {name: probe.amount / timings[name].minimum / 1e6 for name, probe in probes.items()}


def judge(work: Work, speeds: Mapping[str, float], measured: Timing) -> dict[str, Any]:
    """Both limits of a call in ms, which is nearer, and the share of it that was reached."""
    arithmetic = work.flops / speeds["fma"] / 1e6
    memory = work.traffic / max(speeds["triad"], speeds["read"]) / 1e6
    nearer = max(arithmetic, memory)
    return {
        "gflops": speeds["fma"],
        "triad_gbytes": speeds["triad"],
        "read_gbytes": speeds["read"],
        "arithmetic_ms": arithmetic,
        "memory_ms": memory,
        "nearer": "arithmetic" if arithmetic >= memory else "memory",
        "share": nearer / measured.median,
    }
