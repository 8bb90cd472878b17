"""The stages of a pipeline on processes of their own, and what is measured there."""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn

from sparsebrain.experiments.datasets import load_once
from sparsebrain.experiments.pipeline_study.memory import Kept
from sparsebrain.experiments.pipeline_study.methods import METHODS, Size, load_values, make_rule
from sparsebrain.experiments.pipeline_study.schedules import (
    BACKWARD,
    FORWARD,
    UPDATE,
    need_of,
    tasks,
)
from sparsebrain.experiments.pipeline_study.stages import Stage, make_stage

STAGES = 2
_ROUNDS = 15
# A message has at most this many dimensions.
_DIMENSIONS = 3
_SEND_AHEAD = 8


class Job(NamedTuple):
    """One training of a model on two processes."""

    method: str
    size: Size
    epochs: int
    seed: int


class Measured(NamedTuple):
    """What one process measured during a training.

    Attributes:
        seconds: The time of the training.
        waiting: The time in which the process waited for messages.
        computing: The processor time of all tasks.
        costs: The processor times of single tasks, by their kind.
        kept: The bytes that were kept for backward passes, at most.
        transfer: The time of one message between the processes.
        epochs: After each epoch, the time since the start.
        accuracies: After each epoch, the test accuracy; known to the first process only.
    """

    seconds: float
    waiting: float
    computing: float
    costs: dict[str, list[float]]
    kept: int
    transfer: float
    epochs: list[float]
    accuracies: list[float]


def train(jobs: Sequence[Job], tell: Callable[[int], None]) -> list[list[Measured]]:
    """Run trainings one after the other, each on two processes that are started once.

    Args:
        jobs: The trainings.
        tell: Is called with the number of each training that has finished.

    Returns:
        For each training, what its processes measured.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        context = spawn(_work, (name, jobs), nprocs=STAGES, join=False)
        assert context is not None
        told = 0
        ended = False
        try:
            while not ended:
                ended = context.join(timeout=0.2)
                while told < len(jobs) and _file(folder, told, 0).exists():
                    tell(told)
                    told += 1
        except BaseException:
            # An interrupted command would otherwise wait for the end of all trainings.
            for process in context.processes:
                process.terminate()
            raise
        return [
            [Measured(**torch.load(_file(folder, job, rank))) for rank in range(STAGES)]
            for job in range(len(jobs))
        ]


def _file(folder: Path, job: int, rank: int) -> Path:
    return folder / f"{job}-{rank}.pt"


def _work(rank: int, folder: str, jobs: Sequence[Job]) -> None:
    torch.set_num_threads(1)
    # All processes are on this machine.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=STAGES
    )
    for number, job in enumerate(jobs):
        found = _measure(job, rank, Path(folder))
        path = _file(Path(folder), number, rank)
        aside = path.with_suffix(".part")
        torch.save(found._asdict(), aside)
        aside.rename(path)
    distributed.barrier()
    distributed.destroy_process_group()


def _measure(job: Job, rank: int, folder: Path) -> Measured:
    images, size = load_once("digits"), job.size
    features = images.train_x.shape[1]

    def make() -> Stage:
        rule = make_rule(METHODS[job.method].rule, size, features, images.num_classes, job.seed)
        return make_stage(rule, rank, STAGES)

    batches = len(images.train_x) // (size.samples * size.parts)
    order = list(batch_order(job, len(images.train_x)))
    # One batch warms up caches and allocators, and shows what is kept.
    stage = make()
    with Kept(stage.module.parameters()) as kept:
        _Run(job, stage, rank, order, kept).run(1, batches)
    found = _Run(job, make(), rank, order)
    transfer = found.time_messages()
    distributed.barrier()
    seconds = found.run(batches * job.epochs, batches)
    return Measured(
        seconds,
        found.waiting,
        sum(sum(each) for each in found.costs.values()),
        found.costs,
        kept.most,
        transfer,
        [seconds for seconds, _ in found.epochs],
        _evaluate(job, rank, folder, [values for _, values in found.epochs]),
    )


def _evaluate(job: Job, rank: int, folder: Path, values: list[list[Tensor]]) -> list[float]:
    """Return the test accuracies of the whole model, in the first process."""
    if rank > 0:
        torch.save(values, folder / f"values-{rank}.pt")
    distributed.barrier()
    accuracies = []
    if rank == 0:
        every = [values, *(torch.load(folder / f"values-{other}.pt") for other in range(1, STAGES))]
        images = load_once("digits")
        name, features = METHODS[job.method].rule, images.train_x.shape[1]
        rule = make_rule(name, job.size, features, images.num_classes, job.seed)
        rule.average_over(None)
        rule.eval()
        for of_stages in zip(*every, strict=True):
            load_values(rule, of_stages)
            found = rule.predict(images.test_x).argmax(1)
            accuracies.append(float((found == images.test_y).double().mean()))
    distributed.barrier()
    return accuracies


def batch_order(job: Job, samples: int) -> Iterator[Tensor]:
    """Yield the numbers of the samples of each micro-batch, the same in every process.

    The samples of an epoch that do not fill a batch are left out.
    """
    generator = torch.Generator().manual_seed(job.seed)
    batch = job.size.samples * job.size.parts
    for _ in range(job.epochs):
        order = torch.randperm(samples, generator=generator)
        yield from order[: samples // batch * batch].split(job.size.samples)


class _Run:
    """A training of one stage."""

    def __init__(
        self, job: Job, stage: Stage, rank: int, order: list[Tensor], kept: Kept | None = None
    ) -> None:
        self.job, self.stage, self.rank, self.order, self.kept = job, stage, rank, order, kept
        self.schedule = METHODS[job.method].schedule
        self.waiting = 0.0
        self.costs: dict[str, list[float]] = {}
        self.epochs: list[tuple[float, list[Tensor]]] = []
        images = load_once("digits")
        self.x, self.y = images.train_x, images.train_y

    def run(self, batches: int, batches_per_epoch: int) -> float:
        """Do all tasks, and return the time."""
        job, rank, schedule = self.job, self.rank, self.schedule
        parts = batches * job.size.parts
        forward, backward = _Receiver(1 - rank, parts, 1), _Receiver(1 - rank, parts, 2)
        sender = {FORWARD: _Sender(1 - rank, 1), BACKWARD: _Sender(1 - rank, 2)}
        # The error of the output goes back, and it is made in the forward pass of the last stage.
        errors = schedule == "broadcast" and rank == STAGES - 1
        start = time.perf_counter()
        for task in tasks(schedule, rank, STAGES, batches, job.size.parts):
            if task.kind == UPDATE:
                self._do(UPDATE, self.stage.update, job.size.parts)
                if (task.batch + 1) % batches_per_epoch == 0:
                    self.epochs.append((time.perf_counter() - start, self.stage.values()))
                continue
            needed = need_of(schedule, task.kind, rank, STAGES)
            receiver = forward if task.kind == FORWARD else backward
            got = None if needed is None else self._wait(receiver.take)
            if task.kind == FORWARD:
                chosen = self.order[task.part]
                x = self.x[chosen] if got is None else got
                made = self._do(FORWARD, self.stage.forward, task.part, x, self.y[chosen])
                if errors:
                    self._wait(sender[BACKWARD].send, made)
                elif rank < STAGES - 1:
                    self._wait(sender[FORWARD].send, made)
            else:
                made = self._do(BACKWARD, self.stage.backward, task.part, got)
                if rank > 0 and schedule != "broadcast":
                    self._wait(sender[BACKWARD].send, made)
        for each in sender.values():
            self._wait(each.finish)
        return time.perf_counter() - start

    def time_messages(self) -> float:
        """Return the median time of a message of the size of an output, in one direction."""
        size = self.job.size
        rule = METHODS[self.job.method].rule
        copies = {"forward-forward": 2, "error-diffusion": load_once("digits").num_classes}
        message = torch.zeros(copies.get(rule, 1) * size.samples, size.neurons)
        times = []
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            for turn in range(2):
                if turn == self.rank:
                    distributed.send(message, 1 - self.rank)
                else:
                    distributed.recv(message, 1 - self.rank)
            times.append((time.perf_counter() - start) / 2)
        return sorted(times)[len(times) // 2]

    def _do(self, kind: str, function: Callable[..., Any], *arguments: Any) -> Any:
        start = time.thread_time()
        made = function(*arguments)
        self.costs.setdefault(kind, []).append(time.thread_time() - start)
        if self.kept is not None:
            self.kept.look(self.stage.kept())
        return made

    def _wait(self, function: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        made = function(*arguments)
        self.waiting += time.perf_counter() - start
        return made


class _Sender:
    """Sends tensors to another process, and waits only if many are not received yet."""

    def __init__(self, target: int, tag: int) -> None:
        self.target, self.tag = target, tag
        self._open: deque[tuple[Any, Tensor]] = deque()
        self._told = False

    def send(self, value: Tensor) -> None:
        if not self._told:
            shape = torch.zeros(_DIMENSIONS, dtype=torch.int64)
            shape[: value.dim()] = torch.tensor(value.shape)
            self._post(shape)
            self._told = True
        self._post(value.contiguous())

    def finish(self) -> None:
        """Wait until everything has been received."""
        while self._open:
            self._open.popleft()[0].wait()

    def _post(self, value: Tensor) -> None:
        self._open.append((distributed.isend(value, self.target, tag=self.tag), value))
        if len(self._open) > _SEND_AHEAD:
            self._open.popleft()[0].wait()


class _Receiver:
    """Receives tensors of one shape from another process, the next one while one is used."""

    def __init__(self, source: int, number: int, tag: int) -> None:
        self.source, self.left, self.tag = source, number, tag
        self._open: deque[tuple[Any, Tensor]] = deque()
        self._shape: list[int] | None = None

    def take(self) -> Tensor:
        """Return the next tensor, as soon as it is there."""
        if self._shape is None:
            shape = torch.zeros(_DIMENSIONS, dtype=torch.int64)
            distributed.recv(shape, self.source, tag=self.tag)
            self._shape = [size for size in shape.tolist() if size]
        while self.left and len(self._open) < 2:
            value = torch.empty(self._shape)
            work = distributed.irecv(value, self.source, tag=self.tag)
            self._open.append((work, value))
            self.left -= 1
        work, value = self._open.popleft()
        work.wait()
        return value
