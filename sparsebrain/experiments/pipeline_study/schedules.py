"""What each stage of a pipeline does, in which order, and what it waits for.

The processes run these lists, and the simulator predicts how long they take.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"

SCHEDULES = {
    "local": "a stage learns in its forward pass and waits for nothing but its input",
    "broadcast": "a stage waits for the error of the output, but not for that of other stages",
    "gpipe": "backpropagation: all forward passes of a batch, then all backward passes",
    "1f1b": "backpropagation: each stage alternates as soon as it can",
}
"""The schedules, and what the stages wait for."""


class Task(NamedTuple):
    """One task of a stage.

    Attributes:
        kind: "forward", "backward" or "update".
        batch: The number of the batch.
        part: The number of the micro-batch among all micro-batches; for an update, of the next.
    """

    kind: str
    batch: int
    part: int


class Need(NamedTuple):
    """A task of another stage, whose result a task needs."""

    stage: int
    kind: str


def tasks(schedule: str, stage: int, stages: int, batches: int, parts: int) -> Iterator[Task]:
    """Yield the tasks of a stage in order.

    Every batch ends with an update of the stage's own parameters from all of its micro-batches.
    Both schedules of backpropagation therefore wait until the last gradient of a batch is back
    before they begin the next batch, and no gradient belongs to older parameters.

    Args:
        schedule: A name in :data:`SCHEDULES`.
        stage: The number of the stage.
        stages: The number of stages.
        batches: The number of batches.
        parts: The number of micro-batches per batch.
    """
    # As many forward passes as it takes until the first error can be back.
    ahead = {"local": parts, "gpipe": parts}.get(schedule, min(stages - 1 - stage, parts))
    for batch in range(batches):
        first = batch * parts
        for part in range(first, first + parts):
            yield Task(FORWARD, batch, part)
            if schedule != "local" and part - ahead >= first:
                yield Task(BACKWARD, batch, part - ahead)
        if schedule != "local":
            for part in range(first + parts - ahead, first + parts):
                yield Task(BACKWARD, batch, part)
        yield Task(UPDATE, batch, first + parts)


def need_of(schedule: str, kind: str, stage: int, stages: int) -> Need | None:
    """Return the task of another stage, on the same micro-batch, that a task waits for, if any."""
    if kind == FORWARD and stage > 0:
        return Need(stage - 1, FORWARD)
    if kind == BACKWARD and stage < stages - 1:
        return Need(stages - 1, FORWARD) if schedule == "broadcast" else Need(stage + 1, BACKWARD)
    return None


def most_kept(schedule: str, stage: int, stages: int, parts: int) -> int:
    """Return how many micro-batches a stage keeps at most, between forward and backward pass."""
    kept = most = 0
    for task in tasks(schedule, stage, stages, 1, parts):
        kept += {FORWARD: schedule != "local", BACKWARD: -1}.get(task.kind, 0)
        most = max(most, kept)
    return most
