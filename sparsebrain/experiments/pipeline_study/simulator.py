"""How long a pipeline takes, from the times of its single tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sparsebrain.experiments.pipeline_study.schedules import FORWARD, UPDATE, Task, need_of, tasks


class Simulated(NamedTuple):
    """What a pipeline did.

    Attributes:
        seconds: The time from the first task to the end of the last one.
        idle: For each stage, the share of that time without a task.
        steady_parts: Micro-batches per second between the moment when the last stage has begun
            and that when the first stage has ended, so that neither filling nor emptying the
            pipeline counts.
        steady_idle: The mean share of that time in which a stage has no task.
    """

    seconds: float
    idle: tuple[float, ...]
    steady_parts: float
    steady_idle: float


def simulate(
    schedule: str,
    seconds: Sequence[Mapping[str, float]],
    *,
    batches: int,
    parts: int,
    transfer: float = 0.0,
) -> Simulated:
    """Simulate a pipeline in which every stage does its tasks in order, as early as possible.

    Args:
        schedule: A name in :data:`~.schedules.SCHEDULES`.
        seconds: For each stage, the time of a task of each kind; missing kinds take no time.
        batches: The number of batches.
        parts: The number of micro-batches per batch.
        transfer: The time from the end of a task until its result is known to another stage.
            Transfers take no time of a stage and do not wait for one another.

    Returns:
        The times.
    """
    spans = _run(schedule, seconds, batches, parts, transfer)
    end = max(each[-1][2] for each in spans)
    busy = [sum(stop - start for _, start, stop in each) for each in spans]
    # From the first task of the last stage to the last task of the first one.
    first, last = spans[-1][0][1], spans[0][-1][2]
    window = last - first
    if window <= 0:
        return Simulated(end, tuple(1 - each / end for each in busy), math.nan, math.nan)
    within = [
        sum(max(min(stop, last) - max(start, first), 0.0) for _, start, stop in each)
        for each in spans
    ]
    done = sum(task.kind == FORWARD and stop <= last for task, _, stop in spans[-1])
    return Simulated(
        end,
        tuple(1 - each / end for each in busy),
        done / window,
        1 - sum(within) / (window * len(spans)),
    )


def _run(
    schedule: str,
    seconds: Sequence[Mapping[str, float]],
    batches: int,
    parts: int,
    transfer: float,
) -> list[list[tuple[Task, float, float]]]:
    """Return every task of each stage with its start and its end."""
    stages = len(seconds)
    waiting = [
        list(tasks(schedule, stage, stages, batches, parts))[::-1] for stage in range(stages)
    ]
    spans: list[list[tuple[Task, float, float]]] = [[] for _ in range(stages)]
    ends: dict[tuple[int, str, int], float] = {}
    free = [0.0] * stages
    while any(waiting):
        moved = False
        for stage, own in enumerate(waiting):
            while own:
                task = own[-1]
                need = None if task.kind == UPDATE else need_of(schedule, task.kind, stage, stages)
                known = 0.0
                if need is not None:
                    key = (need.stage, need.kind, task.part)
                    if key not in ends:
                        break
                    known = ends[key] + transfer
                start = max(free[stage], known)
                free[stage] = stop = start + seconds[stage].get(task.kind, 0.0)
                ends[stage, task.kind, task.part] = stop
                spans[stage].append((task, start, stop))
                own.pop()
                moved = True
        if not moved:
            raise RuntimeError(f"the stages of {schedule} wait for one another")
    return spans
