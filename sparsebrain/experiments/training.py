"""Training of one model: one topology, rule and seed."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from sparsebrain import models
from sparsebrain.experiments.activity import count_loops, count_spikes
from sparsebrain.experiments.allocations import peak_of_steps
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.loop_options import parse_loops
from sparsebrain.experiments.neuron_options import RATE, draw_spiking, parse_neurons
from sparsebrain.experiments.threads import one_thread
from sparsebrain.experiments.topology import build, parse
from sparsebrain.learning import RULES, Backprop, Rule

if TYPE_CHECKING:
    from sparsebrain.experiments.callbacks import Callback

BACKPROP = "backprop"
CPU = "cpu"

# All threads of a process share torch's generator, and a cluster may train in several threads.
_DRAWING = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that determines the outcome of a training.

    Attributes:
        data: Name of the data set.
        topology: Text of the topology.
        checksum: Checksum of the topology's file; empty if it is generated.
        synapses_wanted: Number of synapses to match; 0 if the topology states it.
        loops: Number of loops or text, see
            :func:`~sparsebrain.experiments.loop_options.parse_loops`.
        variant: Key of :data:`~sparsebrain.models.EJIMA_VARIANTS`, used by backpropagation only.
        rule: Key of :data:`~sparsebrain.learning.RULES`.
        epochs: Number of epochs.
        batch_size: Samples per step.
        learning_rate: Learning rate of the optimizer.
        seed: Random seed.
        neurons_wanted: Number of neurons to match; 0 for that of the sheet.
        neuron_model: "rate", or spiking neurons, see
            :func:`~sparsebrain.experiments.neuron_options.parse_neurons`.
        device: Device of the training, see
            :func:`~sparsebrain.experiments.devices.check_device`.
        images_checksum: Checksum of images and labels; empty if unknown, like the next two.
        connectome_checksum: Checksum of the connectome.
        code_checksum: Checksum of the code.
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
    neuron_model: str = RATE
    device: str = CPU
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
    """Outcome of a :class:`Run`.

    A run diverges if the loss of a step is not finite, or if, at the end of an epoch, a parameter
    or buffer that was finite before is not, or a class score of a test image is NaN or plus
    infinity. A large finite loss is not divergence, because models with batch normalization learn
    with losses of 1e30.

    Attributes:
        neurons: Number of neurons; hidden units without a graph.
        synapses: Number of synapses.
        path_length: Mean path length L; NaN without a graph.
        clustering: Clustering coefficient C; NaN without a graph.
        parameters: Number of parameters.
        test_accuracy: Share of correctly classified test images after the last epoch; NaN if the
            run diverged.
        seconds_per_epoch: Mean training time per epoch in seconds, without tests.
        peak_bytes: Peak memory of tensors in a training step on the CPU: parameters, gradients,
            optimizer state, index arrays and intermediate results, without images and connectome.
            NaN if the run diverged, or for results written before this field existed.
        loops_used: Mean number of loops over the test images; 0 without a graph, NaN as above.
        converged: Share of test images that reached the equilibrium, 1 if none was requested, NaN
            as above.
        diverged: The epoch in which the run diverged and was stopped; 0 if it did not.
        spikes: Mean number of spikes of a test image; 0 for rate neurons, NaN if the run diverged.
    """

    neurons: int
    synapses: int
    path_length: float
    clustering: float
    parameters: int
    test_accuracy: float
    seconds_per_epoch: float
    # NaN for results written before these fields existed.
    peak_bytes: float = float("nan")
    loops_used: float = float("nan")
    converged: float = float("nan")
    diverged: int = 0
    # Older results are those of rate neurons.
    spikes: float = 0.0


class Trained(NamedTuple):
    """A finished training.

    Attributes:
        outcome: Its outcome.
        curve: Its epochs, in order.
        model: The trained model, on the CPU.
    """

    outcome: Outcome
    curve: list[Epoch]
    model: nn.Module


def train(run: Run, images: Images, callbacks: Sequence[Callback] = ()) -> Trained:
    """Train by the rule of a run and its optimizer, and test after every epoch.

    ``run.seed`` determines connectome, initial weights, random numbers of the rule and the order of
    samples, and the state of torch's generator is restored. Everything runs on one thread, so that
    the order of sums does not depend on the machine, and one training per core may run at a time.
    A run that diverges, see :class:`Outcome`, is stopped after that epoch. Connectome and initial
    weights are drawn on the CPU, so that they do not depend on the device.

    Args:
        run: Everything that determines the outcome.
        images: The data set of the run, on the CPU.
        callbacks: Observe the training.

    Returns:
        Outcome, epochs and model.

    Raises:
        ValueError: The topology cannot be built, or the rule refuses it.
    """
    data, placed = connectome_of(run, images.sheet), images.to(run.device)
    loops_used = converged = peak = spikes = float("nan")
    _tell(callbacks, "on_start", run)
    with one_thread(), ExitStack() as drawing:
        drawing.enter_context(_seeded(run.seed, run.device))
        rule = _draw_rule(run, data, images).to(run.device)
        if run.rule == BACKPROP:
            # Backpropagation draws no more random numbers, so that other threads may.
            drawing.close()
        curve, seconds = _train_epochs(rule, run, placed, callbacks)
        diverged = math.isnan(curve[-1].test_accuracy)
        if not diverged:
            loops_used, converged = count_loops(rule, placed.test_x)
            peak = _peak_bytes(run, data, images)
            spikes = count_spikes(rule, placed.test_x)

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
        spikes=spikes,
    )
    _tell(callbacks, "on_end", run, outcome)
    return Trained(outcome, curve, rule.model.cpu())


def _tell(callbacks: Sequence[Callback], method: str, *observed: object) -> None:
    """Call a method of all callbacks, whose random numbers do not change the training."""
    if callbacks:
        with torch.random.fork_rng(devices=[]):
            for each in callbacks:
                getattr(each, method)(*observed)


def connectome_of(run: Run, sheet: tuple[int, ...]) -> Data | None:
    """Return the connectome of a run on the sheet of a data set; None without a graph."""
    return build(
        parse(run.topology),
        sheet,
        num_edges=run.synapses_wanted,
        num_nodes=run.neurons_wanted,
        seed=run.seed,
    )


def _hidden(run: Run, images: Images) -> int:
    """Return the number of hidden units of the model without a graph."""
    return run.neurons_wanted or math.prod(images.sheet)


def _train_epochs(
    rule: Rule, run: Run, images: Images, callbacks: Sequence[Callback]
) -> tuple[list[Epoch], float]:
    """Train until the last epoch or divergence; return the epochs and the training seconds."""
    optimizer = rule.make_optimizer(run.learning_rate)
    order = torch.Generator().manual_seed(run.seed)
    # Tensors that are infinite from the start, such as a threshold, may be intended.
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
        _tell(callbacks, "on_epoch", run, curve[-1])
        if math.isnan(tested.accuracy):
            break
    return curve, seconds


def _finite_tensors(rule: Rule) -> set[str]:
    """Return the names of parameters and buffers whose elements are all finite."""
    tensors = itertools.chain(rule.named_parameters(), rule.named_buffers())
    return {name for name, tensor in tensors if bool(tensor.isfinite().all())}


def make_model(run: Run, data: Data | None, images: Images) -> nn.Sequential:
    """Make the untrained model of a run by backpropagation around its connectome."""
    with _seeded(run.seed):
        return _draw_model(run, data, images)


def make_rule(run: Run, data: Data | None, images: Images) -> Rule:
    """Make the rule of a run around its untrained model; ValueError if it refuses ``data``."""
    with _seeded(run.seed):
        return _draw_rule(run, data, images)


@contextmanager
def _seeded(seed: int, device: str = CPU) -> Iterator[None]:
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with _DRAWING, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _draw_rule(run: Run, data: Data | None, images: Images) -> Rule:
    if run.rule == BACKPROP:
        return Backprop(_draw_model(run, data, images))
    kind = RULES[run.rule]
    if run.neuron_model != RATE:
        return kind(_draw_model(run, data, images))
    width = images.train_x.size(1)
    hidden, loops = _hidden(run, images), parse_loops(run.loops).value
    if not isinstance(loops, int) and not kind.takes_equilibrium:
        raise ValueError(
            f"{run.rule} needs a number of loops, got {run.loops!r}; pass a number, or use "
            f"{BACKPROP}"
        )
    return kind(kind.build(data, width, images.num_classes, loops=loops, hidden=hidden))


def _draw_model(run: Run, data: Data | None, images: Images) -> nn.Sequential:
    in_features, options = images.train_x.size(1), models.EJIMA_VARIANTS[run.variant]
    spiking = parse_neurons(run.neuron_model).spiking
    if spiking is not None:
        hidden = _hidden(run, images)
        return draw_spiking(spiking, data, in_features, images.num_classes, hidden=hidden)
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
    """Return the peak memory of tensors in the second training step of a new rule, in bytes."""
    x, y = images.train_x[: run.batch_size], images.train_y[: run.batch_size]

    def make() -> Callable[[], None]:
        rule = _draw_rule(run, data, images)
        optimizer = rule.make_optimizer(run.learning_rate)

        def step() -> None:
            optimizer.zero_grad()
            rule(x, y)
            optimizer.step()

        return step

    with _seeded(run.seed):
        return peak_of_steps(make)


def _train_epoch(
    rule: Rule,
    optimizer: torch.optim.Optimizer,
    images: Images,
    batch_size: int,
    order: torch.Generator,
) -> float:
    """Train for an epoch; return the mean loss, or the first one that is not finite."""
    rule.train()
    total = 0.0
    batches = list(torch.randperm(len(images.train_x), generator=order).split(batch_size))
    if len(batches[-1]) == 1:
        # Batch normalization needs two samples, and no sample should be left out.
        batches[-2:] = [torch.cat(batches[-2:])]
    for batch in batches:
        optimizer.zero_grad()
        loss = rule(images.train_x[batch], images.train_y[batch]).item()
        if not math.isfinite(loss):
            return float(loss)
        if all(each.grad is None for group in optimizer.param_groups for each in group["params"]):
            raise ValueError(
                f"the rule {type(rule).__name__} must fill .grad of what it teaches, got none; "
                f"call sparsebrain.testing.check_rule({type(rule).__name__})"
            )
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
