"""Training on images: the digits 4 and 9 of MNIST, or all ten."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch_geometric.data import Data

import graphs
from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork
from sparsebrain.experiments.error_diffusion_study.samples import (
    Samples,
    load_samples,
    order_of,
)
from sparsebrain.experiments.error_diffusion_study.settings import BASE, Setting
from sparsebrain.experiments.threads import one_thread
from sparsebrain.learning import Backprop, Rule
from sparsebrain.nn import Ternary


@dataclass(frozen=True)
class Score:
    """Result of a training.

    Attributes:
        test_accuracy: Share of correctly classified test images after the last epoch; NaN if the
            training diverged.
        loss: Mean training loss of the last epoch.
        seconds_per_epoch: Mean training time per epoch in seconds.
        diverged: The epoch in which the training diverged and was stopped, as defined by
            :class:`sparsebrain.experiments.training.Outcome`; 0 if it did not.
        recall_of_4: Share of correctly classified test images of a 4; NaN for other tasks, as the
            next two.
        recall_of_9: The same of a 9.
        ranking: Area under the ROC curve: the probability that a 9 has a higher score than a 4,
            which does not depend on a threshold.
    """

    test_accuracy: float
    loss: float
    seconds_per_epoch: float
    diverged: int = 0
    recall_of_4: float = math.nan
    recall_of_9: float = math.nan
    ranking: float = math.nan


def train(setting: Setting, data_dir: Path | None) -> Score:
    """Train on the training images of a setting's task, and test on the test images.

    A training that diverges is stopped at once. Everything runs on one thread.

    Args:
        setting: Everything that determines the result.
        data_dir: Folder of the files of MNIST.
    """
    samples = load_samples(setting, data_dir)
    generator = torch.Generator().manual_seed(setting.seed)
    seconds = loss = 0.0
    diverged = 0
    with one_thread():
        rule = make_rule(setting, samples.x.size(1), generator, samples.num_classes)
        weighs = setting.remedy == "loss weights"
        step = weighted(rule, samples.class_weights) if weighs else rule
        after = _after_step(setting, rule)
        per_sample = setting.rate
        if _is_summed(setting):
            per_sample /= setting.units + setting.layers
        optimizer = torch.optim.SGD(rule.parameters(), lr=per_sample)
        for epoch in range(1, setting.epochs + 1):
            start = time.perf_counter()
            order = order_of(samples, setting.remedy, generator)
            batches = order.split(setting.batch_size)
            loss = _train_epoch(step, optimizer, samples, batches, after)
            seconds += time.perf_counter() - start
            finite = all(bool(each.isfinite().all()) for each in rule.parameters())
            if not (math.isfinite(loss) and finite):
                diverged = epoch
                break
        with torch.no_grad():
            scores = rule.predict(samples.test_x)
    if not diverged and not bool(scores.isfinite().all()):
        diverged = setting.epochs
    per_epoch = seconds / (diverged or setting.epochs)
    if diverged:
        return Score(math.nan, loss, per_epoch, diverged)
    return _score(setting, samples, scores, loss, per_epoch)


def _score(
    setting: Setting, samples: Samples, scores: Tensor, loss: float, per_epoch: float
) -> Score:
    y, found = samples.test_y, scores.argmax(1)
    if setting.remedy == "threshold":
        found = (scores[:, 1] > samples.share).long()
    right = found == y
    accuracy = float(right.float().mean())
    if samples.num_classes != 2:
        return Score(accuracy, loss, per_epoch)
    of_4, of_9 = (float(right[y == number].float().mean()) for number in (0, 1))
    ranking = float(roc_auc_score(y, scores[:, 1]))
    return Score(accuracy, loss, per_epoch, recall_of_4=of_4, recall_of_9=of_9, ranking=ranking)


def _is_summed(setting: Setting) -> bool:
    """Return whether the step is the article's, a sum over the batch."""
    return setting.rule == "error-diffusion" and setting.task == BASE.task


def _after_step(setting: Setting, rule: Rule) -> Callable[[], None]:
    """Return what follows each step of the optimizer."""
    if setting.weights == "ternary, pairs cancelled" and isinstance(rule, ErrorDiffusion):
        return rule.model.cancel_pairs
    return lambda: None


def weighted(rule: Rule, class_weights: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the step of a rule with two classes, whose quadratic loss weighs them differently."""

    def step(x: Tensor, y: Tensor) -> Tensor:
        weight = class_weights[y].unsqueeze(1)
        if isinstance(rule, ErrorDiffusion):
            with torch.no_grad():
                states, scores = rule.model.run(x, rule.model.fold())
            error = y.unsqueeze(1) - scores
            rule.diffuse(states, weight * error)
            return 0.5 * (weight * error.square()).mean()
        error = rule.model(x) - functional.one_hot(y, 2)
        loss = 0.5 * (weight * error.square()).sum(1).mean()
        loss.backward()
        return loss.detach()

    return step


def _train_epoch(
    step: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    samples: Samples,
    batches: Iterable[Tensor],
    after: Callable[[], None],
) -> float:
    """Train for an epoch, or until the loss is not finite; return the mean loss."""
    loss = 0.0
    for batch in batches:
        optimizer.zero_grad()
        loss += float(step(samples.x[batch], samples.y[batch])) * len(batch) / len(samples.x)
        if not math.isfinite(loss):
            break
        optimizer.step()
        after()
    return loss


def make_rule(
    setting: Setting, in_features: int, generator: torch.Generator, num_classes: int = 2
) -> Rule:
    """Make the rule of a setting around its untrained network."""
    binary, units, layers = setting.task == BASE.task, setting.units, setting.layers
    loss = "quadratic" if binary else "cross-entropy"
    if setting.rule == "backprop":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            return Backprop(_perceptron(setting, in_features, num_classes), loss=loss)
    network = ErrorDiffusionNetwork.around(
        _layers(units, layers, setting.density, generator),
        in_features,
        inputs=range(units),
        outputs=range(units * (layers - 1), units * layers),
        types=setting.types,
        paired=setting.inputs == "paired",
        density=setting.density,
        generator=generator,
        networks=1 if binary else num_classes,
        linear=not binary,
        # The plain sigmoid for two classes; else what ErrorDiffusion.build makes.
        u0=2.0 if binary else 0.4,
        init=setting.largest or 1 / units if binary else "degree",
        keep_signs=setting.initial == "signed",
        weights=setting.weights.split(",")[0],
    )
    return ErrorDiffusion(network, loss=loss, reduction="sum" if _is_summed(setting) else "mean")


def _layers(units: int, layers: int, density: float, generator: torch.Generator) -> Data:
    """Make hidden layers; each cell has inputs from a share of the previous layer, at least one."""
    full = graphs.layered([units] * layers)
    if density == 1:
        return full
    kept = max(1, round(density * units))
    draws = torch.rand(full.num_edges, generator=generator).view(-1, units)
    first = torch.arange(0, full.num_edges, units).unsqueeze(1)
    chosen = (draws.argsort(1)[:, :kept].sort(1).values + first).flatten()
    return Data(edge_index=full.edge_index[:, chosen], num_nodes=full.num_nodes)


def _perceptron(setting: Setting, in_features: int, num_classes: int) -> nn.Sequential:
    """Make the same layers for backpropagation; the scores of two classes add up to 1."""
    activation = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}[setting.activation]
    binary = setting.task == BASE.task
    widths = [in_features, *[setting.units] * setting.layers]
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), activation()]
    parts.append(nn.Linear(widths[-1], 1 if binary else num_classes))
    if setting.weights != "full":
        for part in parts:
            if isinstance(part, nn.Linear):
                parametrize.register_parametrization(part, "weight", Ternary())
    return nn.Sequential(*parts, *([nn.Sigmoid(), _BothClasses()] if binary else []))


class _BothClasses(nn.Module):
    def forward(self, score: Tensor) -> Tensor:
        return torch.cat([1 - score, score], 1)
