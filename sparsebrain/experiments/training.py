"""One training: a topology, a seed, a number of epochs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from sparsebrain import models
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.loops import parse_loops
from sparsebrain.experiments.topology import build, parse

# Torch's generator is one for all threads of a process, in which a cluster may train side by side.
_DRAWING = threading.Lock()


@dataclass(frozen=True)
class Run:
    """All that decides the outcome of a training.

    ``synapses_wanted`` is 0 where the topology states its size, ``checksum`` that of the file that
    a topology is read from and else empty, ``loops`` a number or a text that
    :func:`~sparsebrain.experiments.loops.parse_loops` reads, and ``reading`` one of
    :data:`~sparsebrain.models.READINGS`.
    """

    data: str
    topology: str
    checksum: str
    synapses_wanted: int
    loops: int | str
    reading: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int


class Epoch(NamedTuple):
    """Mean loss of an epoch's training, and the share of test images classified well after it."""

    epoch: int
    loss: float
    test_accuracy: float


@dataclass(frozen=True)
class Outcome:
    """What came out of a :class:`Run`; L and C are nan without a graph.

    ``loops_used`` is the mean over the test images of the loops that each took, ``converged`` the
    share of them that came to the equilibrium that was asked for: 1 where none was.
    """

    neurons: int
    synapses: int
    path_length: float
    clustering: float
    parameters: int
    test_accuracy: float
    seconds_per_epoch: float
    loops_used: float
    converged: float


class Trained(NamedTuple):
    """A finished training: its outcome, its epochs in order, and the model."""

    outcome: Outcome
    curve: list[Epoch]
    model: nn.Sequential


def train(run: Run, images: Images) -> Trained:
    """Train with Adam on cross-entropy and test after every epoch; the last test counts.

    Connectome, initial weights and the order of the samples follow from ``run.seed`` alone, and
    torch's own generator is left as it was. ``seconds_per_epoch`` counts training and no tests.
    Everything runs on one thread: sums are then taken in one order on every machine, and as many
    trainings as there are cores may run side by side.
    """
    data = build(parse(run.topology), images.sheet, synapses=run.synapses_wanted, seed=run.seed)
    with _one_thread():
        model = make_model(run, data, images)
        optimizer = torch.optim.Adam(model.parameters(), lr=run.learning_rate)
        order = torch.Generator().manual_seed(run.seed)
        curve: list[Epoch] = []
        seconds = 0.0
        for number in range(1, run.epochs + 1):
            start = time.perf_counter()
            loss = _train_epoch(model, optimizer, images, run.batch_size, order)
            seconds += time.perf_counter() - start
            curve.append(Epoch(number, loss, evaluate(model, images.test_x, images.test_y)))
        loops_used, converged = _count_loops(model, images.test_x)

    measured = None if data is None else graphs.summary(data)
    outcome = Outcome(
        neurons=math.prod(images.sheet) if data is None else int(data.num_nodes),
        synapses=0 if data is None else int(data.num_edges),
        path_length=float("nan") if measured is None else measured.path_length,
        clustering=float("nan") if measured is None else measured.clustering,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        test_accuracy=curve[-1].test_accuracy,
        seconds_per_epoch=seconds / run.epochs,
        loops_used=loops_used,
        converged=converged,
    )
    return Trained(outcome, curve, model)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def make_model(run: Run, data: Data | None, images: Images) -> nn.Sequential:
    """The model of a run before it is trained, ``data`` being its connectome, None without one."""
    in_features, options = images.train_x.size(1), models.READINGS[run.reading]
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        if data is None:
            return models.perceptron(
                in_features,
                math.prod(images.sheet),
                images.num_classes,
                activation=options.activation,
            )
        return models.classifier(
            data,
            images.num_classes,
            loops=parse_loops(run.loops).value,
            in_features=in_features,
            **options._asdict(),
        )


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Images,
    batch_size: int,
    order: torch.Generator,
) -> float:
    model.train()
    total = 0.0
    batches = list(torch.randperm(len(images.train_x), generator=order).split(batch_size))
    if len(batches[-1]) == 1:
        # Batch normalisation has no variance of one sample, and no sample is to be left out.
        batches[-2:] = [torch.cat(batches[-2:])]
    for batch in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images.train_x[batch]), images.train_y[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(images.train_x)


@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of the samples x [n, pixels] whose highest score is at y [n], in 0..1."""
    model.eval()
    right = sum(
        int((model(part).argmax(1) == labels).sum())
        for part, labels in zip(x.split(1024), y.split(1024), strict=True)
    )
    return right / len(x)


@torch.no_grad()
def _count_loops(model: nn.Sequential, x: Tensor) -> tuple[float, float]:
    """The mean number of loops that samples take in evaluation, and the share that converged."""
    graph = getattr(model, "graph", None)
    if graph is None:
        return 0.0, 1.0
    if not isinstance(graph.loops, Equilibrium):
        return float(graph.loops), 1.0
    model.eval()
    reports = []
    for part in x.split(1024):
        model(part)
        reports.append(graph.report)
    loops = torch.cat([report.loops for report in reports])
    converged = torch.cat([report.converged for report in reports])
    return float(loops.double().mean()), float(converged.double().mean())
