"""One training: a topology, a seed, a number of epochs."""

from __future__ import annotations

import gc
import itertools
import math
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from sparsebrain import models
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.experiments.allocations import allocations
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.loop_options import parse_loops
from sparsebrain.experiments.threads import one_thread
from sparsebrain.experiments.topology import build, parse
from sparsebrain.learning import RULES, Backprop, Rule
from sparsebrain.nn.graph_layer import GraphLayer

BACKPROP = "backprop"

# Torch's generator is one for all threads of a process, in which a cluster may train side by side.
_DRAWING = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that decides the outcome of a training.

    ``synapses_wanted`` is 0 where the topology states its size, ``checksum`` that of the file that
    a topology is read from and else empty, ``loops`` a number or a text that
    :func:`~sparsebrain.experiments.loop_options.parse_loops` reads, ``variant`` one of
    :data:`~sparsebrain.models.EJIMA_VARIANTS`, for backpropagation alone, and ``rule`` one of
    :data:`~sparsebrain.learning.RULES`.

    The three checksums at the end are those of :func:`~sparsebrain.experiments.fingerprint.seal`:
    of images and labels, of the connectome, and of the code. They are empty where they are not
    known, as in results of older versions.
    """

    data: str
    topology: str
    checksum: str
    synapses_wanted: int
    loops: int | str
    variant: str
    rule: str = BACKPROP
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    neurons_wanted: int = 0
    images_checksum: str = ""
    connectome_checksum: str = ""
    code_checksum: str = ""


class Epoch(NamedTuple):
    """The losses and the accuracy of one epoch.

    Attributes:
        epoch: The number of the epoch, from 1.
        loss: The mean training loss over the samples of the epoch. In the epoch in which a run
            diverged, the first loss that is not finite, if there is one.
        test_accuracy: The share of test images that are classified correctly after the epoch, in
            0..1. NaN in the epoch in which a run diverged.
        test_loss: The mean loss over the test images after the epoch, in evaluation mode. NaN
            where ``test_accuracy`` is, in results written before this field existed, and for rules
            other than backpropagation, whose loss is not always one of the class scores.
    """

    epoch: int
    loss: float
    test_accuracy: float
    test_loss: float = math.nan


class Evaluation(NamedTuple):
    """What :func:`evaluate` measures.

    Attributes:
        accuracy: The share of samples that are classified correctly, in 0..1.
        loss: The mean loss over the samples; NaN for rules other than backpropagation.
    """

    accuracy: float
    loss: float


@dataclass(frozen=True)
class Outcome:
    """What came out of a :class:`Run`; L and C are nan without a graph.

    ``peak_bytes`` is what tensors took at most in a step of training: parameters, gradients, the
    optimizer's moments, index arrays and all that the step makes, without images and connectome.
    ``loops_used`` is the mean over the test images of the loops that each took, 0 without a graph,
    ``converged`` the share of them that came to the equilibrium that was asked for: 1 where none
    was.

    ``diverged`` is the epoch in which the run diverged and was stopped, 0 where it came to its end.
    A run has diverged where the loss of a step is not finite, or where at the end of an epoch a
    parameter or buffer that was finite before is not, or a class score of a test image is nan or
    infinitely high. Its accuracy, memory and loops are nan. A loss that is large but finite is
    none: behind batch normalisation models learn with losses of 1e30.
    """

    neurons: int
    synapses: int
    path_length: float
    clustering: float
    parameters: int
    test_accuracy: float
    seconds_per_epoch: float
    # Of runs that were kept before they were measured they are not known.
    peak_bytes: float = float("nan")
    loops_used: float = float("nan")
    converged: float = float("nan")
    diverged: int = 0


class Trained(NamedTuple):
    """A finished training: its outcome, its epochs in order, and the model."""

    outcome: Outcome
    curve: list[Epoch]
    model: nn.Module


def train(run: Run, images: Images) -> Trained:
    """Train by the run's rule and its optimizer, and test after every epoch; the last test counts.

    Connectome, initial weights, what the rule draws and the order of the samples follow from
    ``run.seed`` alone, and torch's own generator is left as it was. ``seconds_per_epoch`` counts
    training and no tests. Everything runs on one thread: sums are then taken in one order on every
    machine, and as many trainings as there are cores may run side by side. A run that diverges, as
    :class:`Outcome` tells, is stopped after that epoch.
    """
    data = connectome_of(run, images.sheet)
    loops_used = converged = peak = float("nan")
    with one_thread(), ExitStack() as drawing:
        drawing.enter_context(_seeded(run.seed))
        rule = _draw_rule(run, data, images)
        if run.rule == BACKPROP:
            # It draws nothing more, so that others may.
            drawing.close()
        curve, seconds = _train_epochs(rule, run, images)
        diverged = math.isnan(curve[-1].test_accuracy)
        if not diverged:
            loops_used, converged = _count_loops(rule, images.test_x)
            peak = _peak_bytes(run, data, images)

    measured = None if data is None else graphs.summary(data)
    outcome = Outcome(
        neurons=_hidden(run, images) if data is None else int(data.num_nodes),
        synapses=0 if data is None else int(data.num_edges),
        path_length=float("nan") if measured is None else measured.path_length,
        clustering=float("nan") if measured is None else measured.clustering,
        parameters=sum(parameter.numel() for parameter in rule.parameters()),
        test_accuracy=curve[-1].test_accuracy,
        seconds_per_epoch=seconds / len(curve),
        peak_bytes=peak,
        loops_used=loops_used,
        converged=converged,
        diverged=len(curve) if diverged else 0,
    )
    return Trained(outcome, curve, rule.model)


def connectome_of(run: Run, sheet: tuple[int, ...]) -> Data | None:
    """The connectome of a run on a data set's sheet; None without one."""
    return build(
        parse(run.topology),
        sheet,
        num_edges=run.synapses_wanted,
        num_nodes=run.neurons_wanted,
        seed=run.seed,
    )


def _hidden(run: Run, images: Images) -> int:
    """The hidden neurons of the model without a graph."""
    return run.neurons_wanted or math.prod(images.sheet)


def _train_epochs(rule: Rule, run: Run, images: Images) -> tuple[list[Epoch], float]:
    """All epochs, or those up to the one in which the run diverges, and the seconds of training."""
    optimizer = rule.make_optimizer(run.learning_rate)
    order = torch.Generator().manual_seed(run.seed)
    # An infinite threshold, say, may be meant.
    watched = _finite_tensors(rule)
    curve: list[Epoch] = []
    seconds = 0.0
    for number in range(1, run.epochs + 1):
        start = time.perf_counter()
        loss = _train_epoch(rule, optimizer, images, run.batch_size, order)
        seconds += time.perf_counter() - start
        alive = math.isfinite(loss) and watched <= _finite_tensors(rule)
        tested = Evaluation(math.nan, math.nan)
        if alive:
            tested = evaluate(rule, images.test_x, images.test_y)
        curve.append(Epoch(number, loss, tested.accuracy, tested.loss))
        if math.isnan(tested.accuracy):
            break
    return curve, seconds


def _finite_tensors(rule: Rule) -> set[str]:
    """The names of parameters and buffers of which every element is finite."""
    tensors = itertools.chain(rule.named_parameters(), rule.named_buffers())
    return {name for name, tensor in tensors if bool(tensor.isfinite().all())}


def make_model(run: Run, data: Data | None, images: Images) -> nn.Sequential:
    """The model of a run by backpropagation before it is trained; ``data`` is its connectome."""
    with _seeded(run.seed):
        return _draw_model(run, data, images)


def make_rule(run: Run, data: Data | None, images: Images) -> Rule:
    """The rule of a run around its model; ValueError where it can teach none for ``data``."""
    with _seeded(run.seed):
        return _draw_rule(run, data, images)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _draw_rule(run: Run, data: Data | None, images: Images) -> Rule:
    if run.rule == BACKPROP:
        return Backprop(_draw_model(run, data, images))
    kind = RULES[run.rule]
    width = images.train_x.size(1)
    hidden, loops = _hidden(run, images), parse_loops(run.loops).value
    if not isinstance(loops, int):
        raise ValueError(f"{run.rule} takes a number of loops; {BACKPROP} goes to an equilibrium.")
    return kind(kind.build(data, width, images.num_classes, loops=loops, hidden=hidden))


def _draw_model(run: Run, data: Data | None, images: Images) -> nn.Sequential:
    in_features, options = images.train_x.size(1), models.EJIMA_VARIANTS[run.variant]
    if data is None:
        return models.perceptron(
            in_features,
            _hidden(run, images),
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


def _peak_bytes(run: Run, data: Data | None, images: Images) -> float:
    """What tensors take at most in the second step of a training, of a rule made anew."""
    x, y = images.train_x[: run.batch_size], images.train_y[: run.batch_size]
    with _seeded(run.seed), _no_collection():
        with allocations() as made:
            rule = _draw_rule(run, data, images)
            optimizer = rule.make_optimizer(run.learning_rate)
        with allocations() as used:
            for _ in range(2):
                optimizer.zero_grad()
                rule(x, y)
                optimizer.step()
    return float(sum(made) + max(itertools.accumulate(used)))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let nothing that was made before be freed by Python's collector, which comes at any time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _train_epoch(
    rule: Rule,
    optimizer: torch.optim.Optimizer,
    images: Images,
    batch_size: int,
    order: torch.Generator,
) -> float:
    """The mean loss of an epoch, or the first that is not finite, at which the epoch ends."""
    rule.train()
    total = 0.0
    batches = list(torch.randperm(len(images.train_x), generator=order).split(batch_size))
    if len(batches[-1]) == 1:
        # Batch normalisation has no variance of one sample, and no sample is to be left out.
        batches[-2:] = [torch.cat(batches[-2:])]
    for batch in batches:
        optimizer.zero_grad()
        loss = rule(images.train_x[batch], images.train_y[batch]).item()
        if not math.isfinite(loss):
            return float(loss)
        optimizer.step()
        total += loss * len(batch)
    return total / len(images.train_x)


@torch.no_grad()
def evaluate(rule: Rule, x: Tensor, y: Tensor) -> Evaluation:
    """Measure the accuracy and the loss of a rule's model on samples.

    Args:
        rule: The rule; it is set to evaluation mode.
        x: Samples [n, pixels].
        y: Their labels [n], int64.

    Returns:
        Both NaN where a score is NaN or infinitely high, since no class is then the answer. A score
        of minus infinity rules a class out; the loss is infinite where that is the right one.
    """
    rule.eval()
    right, total = 0, 0.0
    for part, labels in zip(x.split(1024), y.split(1024), strict=True):
        scores = rule.predict(part)
        if not bool((scores < math.inf).all()):
            return Evaluation(math.nan, math.nan)
        right += int((scores.argmax(1) == labels).sum())
        if isinstance(rule, Backprop):
            total += float(rule.loss(scores, labels)) * len(labels)
    return Evaluation(right / len(x), total / len(x) if isinstance(rule, Backprop) else math.nan)


@torch.no_grad()
def _count_loops(rule: Rule, x: Tensor) -> tuple[float, float]:
    """The mean number of loops that samples take in evaluation, and the share that converged."""
    layers = [each for each in rule.model.modules() if isinstance(each, GraphLayer)]
    made = sum(each.loops for each in layers if isinstance(each.loops, int))
    endless = [each for each in layers if isinstance(each.loops, Equilibrium)]
    if not endless:
        return float(made), 1.0
    rule.eval()
    loops, converged = [], []
    for part in x.split(1024):
        rule.predict(part)
        reports = [each.report for each in endless if each.report is not None]
        loops.append(torch.stack([report.loops for report in reports]).sum(0))
        converged.append(torch.stack([report.converged for report in reports]).all(0))
    return made + float(torch.cat(loops).double().mean()), float(
        torch.cat(converged).double().mean()
    )
