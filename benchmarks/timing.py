"""Times of several candidates, taken in turn."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

_SHORTEST = 0.005
"""Seconds that one measurement should last, so that neither clock nor interpreter shows in it."""


class Timing(NamedTuple):
    """Milliseconds of one call, once for each round."""

    times: tuple[float, ...]

    @property
    def median(self) -> float:
        """What to judge by."""
        return statistics.median(self.times)

    @property
    def minimum(self) -> float:
        """What the machine can do when nothing else runs."""
        return min(self.times)


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmups: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time every candidate once a round, so that a drift of the machine hits all alike.

    In each round a candidate is called once before its clock starts, for in training a step
    follows its like: what the others left in the caches, and how much memory they handed back to
    the system, is not its cost. The order rotates from round to round nevertheless, so that nobody
    always runs after the same one.
    """
    repeats = {
        name: max(1, math.ceil(_SHORTEST / min(_seconds(call, 1, clock) for _ in range(warmups))))
        for name, call in candidates.items()
    }
    names = list(candidates)
    measured: dict[str, list[float]] = {name: [] for name in names}
    # As timeit does: a collection would be charged to whoever happens to run.
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                candidates[name]()
                measured[name].append(1000 * _seconds(candidates[name], repeats[name], clock))
    finally:
        gc.enable()
    return {name: Timing(tuple(times)) for name, times in measured.items()}


def _seconds(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats
