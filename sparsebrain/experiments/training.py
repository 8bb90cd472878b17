"""One training: a topology, a seed, a number of epochs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

import graphs
from sparsebrain import models
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.topology import Topology, build


@dataclass(frozen=True)
class Run:
    """All that decides the outcome of a training; ``synapses_wanted`` is 0 where none is fitted."""

    data: str
    topology: str
    synapses_wanted: int
    loops: int
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
    """What came out of a :class:`Run`; L and C are nan without a graph."""

    neurons: int
    synapses: int
    path_length: float
    clustering: float
    parameters: int
    test_accuracy: float
    seconds_per_epoch: float


def train(
    run: Run, topology: Topology, images: Images, on_epoch: Callable[[Epoch], None]
) -> Outcome:
    """Train with Adam on cross-entropy and test after every epoch; the last test counts.

    Connectome, initial weights and the order of the samples follow from ``run.seed`` alone, and
    torch's own generator is left as it was. ``seconds_per_epoch`` counts training and no tests.
    """
    data = build(topology, images.sheet, synapses=run.synapses_wanted, seed=run.seed)
    in_features = images.train_x.size(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        if data is None:
            hidden = int(torch.tensor(images.sheet).prod())
            model = models.perceptron(in_features, hidden, images.num_classes)
        else:
            model = models.classifier(
                data, images.num_classes, loops=run.loops, in_features=in_features
            )
    optimizer = torch.optim.Adam(model.parameters(), lr=run.learning_rate)
    order = torch.Generator().manual_seed(run.seed)
    accuracy, seconds = 0.0, 0.0
    for epoch in range(1, run.epochs + 1):
        start = time.perf_counter()
        loss = _train_epoch(model, optimizer, images, run.batch_size, order)
        seconds += time.perf_counter() - start
        accuracy = evaluate(model, images.test_x, images.test_y)
        on_epoch(Epoch(epoch, loss, accuracy))

    measured = None if data is None else graphs.summary(data)
    return Outcome(
        neurons=hidden if data is None else int(data.num_nodes),
        synapses=0 if data is None else int(data.num_edges),
        path_length=float("nan") if measured is None else measured.path_length,
        clustering=float("nan") if measured is None else measured.clustering,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        test_accuracy=accuracy,
        seconds_per_epoch=seconds / run.epochs,
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
