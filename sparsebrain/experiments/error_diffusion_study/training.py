"""Training on the digits 4 and 9 of MNIST."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork
from sparsebrain.experiments.datasets import load_once
from sparsebrain.experiments.error_diffusion_study.settings import Setting
from sparsebrain.experiments.threads import one_thread
from sparsebrain.learning import Backprop, Rule

_DIGITS = (4, 9)


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
    """

    test_accuracy: float
    loss: float
    seconds_per_epoch: float
    diverged: int = 0


def train(setting: Setting, data_dir: Path | None) -> Score:
    """Train on the training images of 4 and 9, and test on the test images of both.

    A training that diverges is stopped at once. Everything runs on one thread.

    Args:
        setting: Everything that determines the result.
        data_dir: Folder of the files of MNIST.
    """
    images = load_once("mnist", data_dir, checksum=setting.images_checksum)
    x, y = _of_digits(images.train_x, images.train_y)
    test_x, test_y = _of_digits(images.test_x, images.test_y)
    generator = torch.Generator().manual_seed(setting.seed)
    seconds = loss = 0.0
    diverged = 0
    with one_thread():
        rule = make_rule(setting, x.size(1), generator)
        per_sample = setting.rate
        if setting.rule == "error-diffusion":
            per_sample /= setting.units + setting.layers
        optimizer = torch.optim.SGD(rule.parameters(), lr=per_sample)
        for epoch in range(1, setting.epochs + 1):
            start = time.perf_counter()
            batches = torch.randperm(len(x), generator=generator).split(setting.batch_size)
            loss = _train_epoch(rule, optimizer, x, y, batches)
            seconds += time.perf_counter() - start
            finite = all(bool(each.isfinite().all()) for each in rule.parameters())
            if not (math.isfinite(loss) and finite):
                diverged = epoch
                break
        with torch.no_grad():
            scores = rule.predict(test_x)
    if not diverged and not bool(scores.isfinite().all()):
        diverged = setting.epochs
    right = math.nan if diverged else float((scores.argmax(1) == test_y).float().mean())
    return Score(right, loss, seconds / (diverged or setting.epochs), diverged)


def _train_epoch(
    rule: Rule,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    batches: Iterable[Tensor],
) -> float:
    """Train for an epoch, or until the loss is not finite; return the mean loss."""
    loss = 0.0
    for batch in batches:
        optimizer.zero_grad()
        loss += float(rule(x[batch], y[batch])) * len(batch) / len(x)
        if not math.isfinite(loss):
            break
        optimizer.step()
    return loss


def make_rule(setting: Setting, in_features: int, generator: torch.Generator) -> Rule:
    """Make the rule of a setting around its untrained network."""
    units, layers = setting.units, setting.layers
    if setting.rule == "backprop":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            return Backprop(_perceptron(setting, in_features), loss="quadratic")
    network = ErrorDiffusionNetwork.around(
        _layers(units, layers, setting.density, generator),
        in_features,
        inputs=range(units),
        outputs=range(units * (layers - 1), units * layers),
        types=setting.types,
        paired=setting.inputs == "paired",
        density=setting.density,
        generator=generator,
        # The plain sigmoid.
        u0=2.0,
        init=setting.largest or 1 / units,
        keep_signs=setting.initial == "signed",
    )
    return ErrorDiffusion(network, loss="quadratic", reduction="sum")


def _of_digits(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    first, second = _DIGITS
    chosen = (y == first) | (y == second)
    return x[chosen], (y[chosen] == second).long()


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


def _perceptron(setting: Setting, in_features: int) -> nn.Sequential:
    """Make the same layers for backpropagation; the scores of both classes add up to 1."""
    activation = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}[setting.activation]
    widths = [in_features, *[setting.units] * setting.layers]
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), activation()]
    return nn.Sequential(*parts, nn.Linear(widths[-1], 1), nn.Sigmoid(), _BothClasses())


class _BothClasses(nn.Module):
    def forward(self, score: Tensor) -> Tensor:
        return torch.cat([1 - score, score], 1)
