"""Local rules and pipelined backpropagation on the same model, micro-batches and processes."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from graphs.io.atomic import write_atomically
from sparsebrain.experiments import options
from sparsebrain.experiments.figures import pipeline as figure
from sparsebrain.experiments.machine import processor
from sparsebrain.experiments.pipeline_study.methods import METHODS, Size
from sparsebrain.experiments.pipeline_study.processes import STAGES, Job, Measured, train
from sparsebrain.experiments.pipeline_study.schedules import most_kept
from sparsebrain.experiments.pipeline_study.simulator import simulate
from sparsebrain.experiments.tables import columns_of, make_folder, write_csv

SIZE = Size()
"""The size of the model."""
SIMULATED_STAGES = (2, 4, 8, 16, 32, 64)
_MIB = 2**20


@dataclass(frozen=True)
class Trained:
    """A training on two processes.

    Attributes:
        method: A name in :data:`~.methods.METHODS`.
        seed: The seed of connectome, parameters and batches.
        samples_per_second: The measured throughput.
        predicted: That of the simulator, from the processor times of single tasks.
        idle_first: The share of the time that the process of the first layers waited.
        idle_last: The same for the process of the last layers.
        predicted_idle: The mean of both in the simulator.
        kept_first: MiB that the first process keeps for backward passes, at most.
        kept_last: The same for the last process.
        computing: The processor time of both processes, as a share of twice the duration. It is
            below 1 - idle where other programs used the machine.
        transfer: Milliseconds of a message between the processes.
        load: The load of the machine before all trainings.
        processor: The processor.
    """

    method: str
    seed: int
    samples_per_second: float
    predicted: float
    idle_first: float
    idle_last: float
    predicted_idle: float
    kept_first: float
    kept_last: float
    computing: float
    transfer: float
    load: float
    processor: str


@dataclass(frozen=True)
class Epoch:
    """The test accuracy after an epoch, and the time since the start of the training."""

    method: str
    seed: int
    epoch: int
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Cost:
    """The median processor time of one task of a stage, in milliseconds."""

    method: str
    seed: int
    stage: int
    task: str
    milliseconds: float


@dataclass(frozen=True)
class Simulation:
    """A pipeline of more stages, all with as many layers as a measured one.

    Attributes:
        method: A name in :data:`~.methods.METHODS`.
        stages: The number of stages.
        micro_batches: The number of micro-batches per batch.
        samples_per_second: The throughput of the filled pipeline.
        idle: The mean share of the time without a task.
        kept: Micro-batches that the first stage keeps for backward passes, at most.
    """

    method: str
    stages: int
    micro_batches: int
    samples_per_second: float
    idle: float
    kept: int


def pipeline(
    *,
    epochs: int = 6,
    seeds: int = 3,
    out: str | os.PathLike[str] = "pipeline",
    console: Console | None = None,
) -> list[Trained]:
    """Ask whether local rules wait: the layers of one model on two processes, with several rules.

    Each process has half of the layers of a model for scikit-learn's digits. Local errors,
    Forward-Forward and Hebb's rule change the parameters of a process as soon as its own input has
    been computed. In direct feedback alignment and error diffusion all processes wait for the error
    of the output, but not for one another. Backpropagation waits for the error of the next process;
    its micro-batches are scheduled as in GPipe, all forward passes first, and as 1F1B, one forward
    and one backward pass in turn.

    All methods make one step per batch, with the mean gradient of its micro-batches. No gradient
    belongs to older parameters, so that each training has the result of the same rule in one
    process.

    The processor times of single tasks are then put into a simulator, whose prediction for two
    processes is compared with the measurement, and which is asked about up to 64 stages.

    Args:
        epochs: Epochs per training, at most 1,000,000.
        seeds: The number of trainings per method, at most 10,000; the seeds are 0 to ``seeds`` - 1.
        out: The folder for results.csv, curves.csv, costs.csv, simulated.csv and figure.png; it is
            made if necessary.
        console: Where progress and the table are printed; None prints nothing.

    Returns:
        One row per method and seed.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
        OSError: ``out`` cannot be written.

    Sources: Y. Huang et al., "GPipe: efficient training of giant neural networks using pipeline
    parallelism", NeurIPS 2019; D. Narayanan et al., "PipeDream: generalized pipeline parallelism
    for DNN training", SOSP 2019.
    """
    epochs, seeds = options.epochs("epochs", epochs), options.seeds("seeds", seeds)
    out = options.out_folder("out", out)
    make_folder(out)
    load = os.getloadavg()[0]
    # A drift of the machine affects all methods alike.
    jobs = [Job(method, SIZE, epochs, seed) for seed in range(seeds) for method in METHODS]

    def tell(number: int) -> None:
        if console is not None:
            job = jobs[number]
            console.print(f"{number + 1} of {len(jobs)}: {job.method}, seed {job.seed}")

    measured = train(jobs, tell)
    trained = [_trained(*each, load) for each in zip(jobs, measured, strict=True)]
    curves = [row for each in zip(jobs, measured, strict=True) for row in _curve(*each)]
    costs = [row for each in zip(jobs, measured, strict=True) for row in _costs(*each)]
    simulated = list(_simulate(jobs, measured))
    for name, cls, rows in (
        ("results.csv", Trained, trained),
        ("curves.csv", Epoch, curves),
        ("costs.csv", Cost, costs),
        ("simulated.csv", Simulation, simulated),
    ):
        write_csv(out / name, columns_of(cls), map(astuple, rows))
    drawn = figure.draw(trained, curves, simulated)
    write_atomically(out / "figure.png", lambda aside: drawn.savefig(aside, dpi=150))
    if console is not None:
        console.print(_tabulate(trained, curves))
        console.print(
            f"Wrote results.csv, curves.csv, costs.csv, simulated.csv and figure.png into {out}."
        )
    return trained


def _trained(job: Job, found: Sequence[Measured], load: float) -> Trained:
    seconds = max(each.seconds for each in found)
    size = job.size
    parts = len(found[0].costs["forward"])
    predicted = simulate(
        METHODS[job.method].schedule,
        [_medians(each) for each in found],
        batches=parts // size.parts,
        parts=size.parts,
        transfer=statistics.median(each.transfer for each in found),
    )
    samples = parts * size.samples
    return Trained(
        method=job.method,
        seed=job.seed,
        samples_per_second=samples / seconds,
        predicted=samples / predicted.seconds,
        idle_first=found[0].waiting / found[0].seconds,
        idle_last=found[-1].waiting / found[-1].seconds,
        predicted_idle=statistics.mean(predicted.idle),
        kept_first=found[0].kept / _MIB,
        kept_last=found[-1].kept / _MIB,
        computing=sum(each.computing for each in found) / (STAGES * seconds),
        transfer=1000 * statistics.median(each.transfer for each in found),
        load=load,
        processor=processor(),
    )


def _medians(found: Measured) -> dict[str, float]:
    return {kind: statistics.median(times) for kind, times in found.costs.items()}


def _curve(job: Job, found: Sequence[Measured]) -> Iterable[Epoch]:
    for epoch, accuracy in enumerate(found[0].accuracies):
        seconds = max(each.epochs[epoch] for each in found)
        yield Epoch(job.method, job.seed, epoch + 1, seconds, accuracy)


def _costs(job: Job, found: Sequence[Measured]) -> Iterable[Cost]:
    for stage, each in enumerate(found):
        for kind, seconds in _medians(each).items():
            yield Cost(job.method, job.seed, stage, kind, 1000 * seconds)


def _simulate(jobs: Sequence[Job], measured: Sequence[Sequence[Measured]]) -> Iterable[Simulation]:
    """Simulate more stages, from the medians of all seeds."""
    for method, (_, schedule) in METHODS.items():
        own = [
            (job.size, found)
            for job, found in zip(jobs, measured, strict=True)
            if job.method == method
        ]
        size = own[0][0]
        first, last = (
            _over_seeds([_medians(found[stage]) for _, found in own]) for stage in (0, -1)
        )
        between = {kind: (first[kind] + last[kind]) / 2 for kind in first}
        transfer = statistics.median(each.transfer for _, found in own for each in found)
        for parts in (size.parts, 8 * size.parts):
            for stages in SIMULATED_STAGES:
                found = simulate(
                    schedule,
                    [first, *[between] * (stages - 2), last],
                    batches=max(10, -(-8 * stages // parts)),
                    parts=parts,
                    transfer=transfer,
                )
                yield Simulation(
                    method,
                    stages,
                    parts,
                    found.steady_parts * size.samples,
                    found.steady_idle,
                    most_kept(schedule, 0, stages, parts),
                )


def _over_seeds(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {kind: statistics.median(each[kind] for each in found) for kind in found[0]}


def accuracy_at(curves: Sequence[Epoch], method: str, seconds: float) -> float:
    """Return the mean accuracy over the seeds of the last epoch that ended by a time.

    A training that has not finished an epoch by then counts as chance, 0.1.
    """
    own = [each for each in curves if each.method == method]
    found = []
    for seed in {each.seed for each in own}:
        ended = [each for each in own if each.seed == seed and each.seconds <= seconds]
        found.append(ended[-1].accuracy if ended else 0.1)
    return statistics.mean(found)


def shortest(curves: Sequence[Epoch]) -> float:
    """Return the duration of the fastest method: by then each has its accuracy after equal time."""
    last = max(each.epoch for each in curves)
    durations: dict[str, list[float]] = {}
    for each in curves:
        if each.epoch == last:
            durations.setdefault(each.method, []).append(each.seconds)
    return min(statistics.median(each) for each in durations.values())


def _tabulate(trained: Sequence[Trained], curves: Sequence[Epoch]) -> Table:
    equal = shortest(curves)
    table = Table(
        title=f"Medians of {len({each.seed for each in trained})} seeds, {STAGES} processes",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    columns = ("method", "samples/s", "predicted", "idle, %", "predicted", "kept, MiB")
    for column in (*columns, f"accuracy after {equal:.1f} s, %", "in the end, %"):
        table.add_column(column)
    end = max(each.seconds for each in curves)
    for method in METHODS:
        own = [each for each in trained if each.method == method]

        def median(*names: str, own: Sequence[Trained] = own) -> float:
            values = [statistics.mean(getattr(each, name) for name in names) for each in own]
            return statistics.median(values)

        table.add_row(
            method,
            f"{median('samples_per_second'):.0f}",
            f"{median('predicted'):.0f}",
            f"{100 * median('idle_first', 'idle_last'):.1f}",
            f"{100 * median('predicted_idle'):.1f}",
            f"{median('kept_first'):.2f}, {median('kept_last'):.2f}",
            f"{100 * accuracy_at(curves, method, equal):.1f}",
            f"{100 * accuracy_at(curves, method, end):.1f}",
        )
    return table
