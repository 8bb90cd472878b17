"""What papers of learning rules report on MNIST, and how to come to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.learning import RULES, LabelInputs, Rule
from sparsebrain.models.neurons import PlaceNeurons, ReadNeurons

PIXELS, CLASSES = 784, 10


class Recipe(NamedTuple):
    """One line of the table: what is trained, how, and what was published.

    ``published`` is the test error in % after ``published_epochs``, 0 where the paper names none;
    ``epochs`` are those of the run here. ``schedule`` tells what the learning rate is multiplied by
    when a share of them is over. Images are moved by up to ``jitter`` pixels while training.
    """

    rule: str
    model: Callable[[], nn.Module]
    optimizer: Callable[[Rule], torch.optim.Optimizer]
    batch: int
    epochs: int
    published: float
    published_epochs: int
    source: str
    options: Mapping[str, Any] = MappingProxyType({})
    schedule: Callable[[float], float] = lambda over: 1.0
    jitter: int = 0

    def make(self) -> Rule:
        """Make the rule around a model, with torch's generator."""
        return RULES[self.rule](self.model(), **self.options)


def rates(*hidden: int) -> nn.Sequential:
    """Make a perceptron of logistic neurons, its outputs among them."""
    parts: list[nn.Module] = []
    for before, after in pairwise((PIXELS, *hidden, CLASSES)):
        parts += [nn.Linear(before, after), nn.Sigmoid()]
    return nn.Sequential(*parts)


def normalized() -> nn.Sequential:
    """Make the perceptron of Nøkland and Eidnes."""
    parts: list[nn.Module] = []
    for before, after in pairwise((PIXELS, 1024, 1024, 1024)):
        parts += [nn.Linear(before, after), nn.BatchNorm1d(after)]
        parts += [nn.LeakyReLU(0.01), nn.Dropout(0.1)]
    return nn.Sequential(*parts, nn.Linear(1024, CLASSES))


def dropped() -> nn.Sequential:
    """Make a perceptron of tanh with dropout, a tenth of the inputs and half of the rest."""
    parts: list[nn.Module] = [nn.Dropout(0.1)]
    for before, after in pairwise((PIXELS, 800, 800)):
        parts += [nn.Linear(before, after), nn.Tanh(), nn.Dropout(0.5)]
    return nn.Sequential(*parts, nn.Linear(800, CLASSES))


def labeled() -> nn.Sequential:
    """Make Hinton's four layers of rectifiers, drawn as in his program."""
    parts: list[nn.Module] = [LabelInputs(CLASSES)]
    for before, after in pairwise((CLASSES + PIXELS, 2000, 2000, 2000, 2000)):
        layer = nn.Linear(before, after)
        nn.init.normal_(layer.weight, std=before**-0.5)
        nn.init.zeros_(layer.bias)
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts)


def settling() -> nn.Sequential:
    """Make the network of Scellier and Bengio, whose hidden and output neurons settle together."""
    neurons = 500 + CLASSES
    graph = GraphLayer(
        graphs.symmetrize(graphs.layered([500, CLASSES])),
        Equilibrium(tol=1e-5, constraint="norm"),
        activation="tanh",
        bias=True,
        weight_sharing="pair",
    )
    hidden, outputs = torch.arange(500), torch.arange(500, neurons)
    return nn.Sequential(
        nn.Linear(PIXELS, 500), PlaceNeurons(hidden, neurons), graph, ReadNeurons(outputs)
    )


def adam(rate: float, rule: Rule) -> torch.optim.Optimizer:
    """Adam, in one pass over all parameters, which most of a step of small batches would take."""
    return torch.optim.Adam(rule.parameters(), lr=rate, fused=True)


def smoothed(rule: Rule) -> torch.optim.Optimizer:
    """Gradient descent of Hinton's program, whose gradient of goodness is half of ours.

    Rates 0.01 for layers and 0.1 for the softmax, gradients smoothed over ten batches.
    """
    head = list(rule.head.parameters()) if isinstance(rule.head, nn.Linear) else []
    layers = [{"params": list(rule.model.parameters()), "lr": 0.005, "weight_decay": 0.002}]
    groups = [*layers, {"params": head, "lr": 0.1, "weight_decay": 0.003}]
    return torch.optim.SGD(groups, momentum=0.9, dampening=0.9)


def steps(over: float) -> float:
    """A quarter less each time, as Nøkland and Eidnes do."""
    return 0.25 ** sum(over >= share for share in (0.5, 0.75, 0.89, 0.94))


def late(over: float) -> float:
    """Constant for one half, then linearly to nothing, as Hinton does."""
    return min(1.0, 2 * (1 - over))


_LOCAL = "Nøkland and Eidnes 2019, 3 x 1024, 2 pixels of jitter"
_LOCAL_ERRORS = Recipe(
    "local-errors", normalized, partial(adam, 5e-4), 128, 20, 0.62, 100, _LOCAL,
    {"kind": "both"}, steps, 2,
)  # fmt: skip

RECIPES: dict[str, Recipe] = {
    "backprop": Recipe(
        "backprop", normalized, partial(adam, 5e-4), 128, 20, 0.75, 100, _LOCAL,
        schedule=steps, jitter=2,
    ),
    "feedback-alignment": Recipe(
        "feedback-alignment", partial(rates, 1000), partial(adam, 1e-3), 64, 100, 2.1, 0,
        "Lillicrap et al. 2016, 784-1000-10, logistic", {"loss": "quadratic"}, late,
    ),
    "direct-feedback-alignment": Recipe(
        "direct-feedback-alignment", dropped, partial(adam, 5e-4), 64, 40, 1.45, 0,
        "Nøkland 2016, with dropout; its abstract tells no sizes, 784-800-800-10 here",
        schedule=steps,
    ),
    "local-errors": _LOCAL_ERRORS,
    "local-errors-prediction": _LOCAL_ERRORS._replace(
        published=0.68, options={"kind": "prediction"}
    ),
    "local-errors-similarity": _LOCAL_ERRORS._replace(
        published=0.80, options={"kind": "similarity"}
    ),
    "forward-forward": Recipe(
        "forward-forward", labeled, smoothed, 100, 10, 1.36, 60,
        "Hinton 2022, 4 x 2000, label in the image", {"negatives": "hard"}, late,
    ),
    "dendritic-microcircuit": Recipe(
        "dendritic-microcircuit", partial(rates, 500, 500), partial(adam, 1e-3), 10, 40,
        1.96, 200, "Sacramento et al. 2018, 784-500-500-10", schedule=late,
    ),
    "equilibrium-propagation": Recipe(
        "equilibrium-propagation", settling, partial(adam, 2e-3), 128, 12, 2.5, 25,
        "Scellier and Bengio 2017, 784-500-10, 2 to 3 %; tanh here", {"loss": "quadratic"}, late,
    ),
}  # fmt: skip
"""What ``python -m benchmarks.literature`` takes, by name."""
