"""One training of a brain or of a null model."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch_geometric.data import Data

import graphs
from graphs.selection import find_neurons
from sparsebrain import GraphLayer
from sparsebrain.experiments.threads import one_thread
from sparsebrain.experiments.wiring_study.nulls import NULLS
from sparsebrain.experiments.wiring_study.tasks import TASKS, Samples
from sparsebrain.models.neurons import PlaceNeurons, ReadNeurons

BRAIN = "brain"
LEARNS = ("readout", "synapses")
LOOPS = 4
_BATCH, _RATE = 40, 0.01


@dataclass(frozen=True)
class Setting:
    """Everything that determines a training.

    Attributes:
        brain: The name of the brain.
        task: The name of the task.
        learns: "readout" or "synapses", see :func:`~.study.wiring`.
        wiring: "brain" or the name of a null model.
        inputs: The population that receives the samples; empty for all neurons.
        outputs: The population that is read; empty for all neurons.
        epochs: The number of epochs.
        seed: The seed of the null model, the samples, the parameters and the batches.
        brain_checksum: The checksum of the brain.
        code_checksum: The checksum of the code; empty if unknown.
    """

    brain: str
    task: str
    learns: str
    wiring: str
    inputs: str
    outputs: str
    epochs: int
    seed: int
    brain_checksum: str
    code_checksum: str = ""


@dataclass(frozen=True)
class Score:
    """The result of a training.

    Attributes:
        accuracy: The share of test samples that are recognized; NaN if the training diverged.
        synapses: The number of synapses.
        parameters: The number of parameters that were trained.
        test_samples: The number of test samples.
        kept: The share of the brain's synapses that the wiring also has.
        seconds: The CPU time in seconds.
    """

    accuracy: float
    synapses: int
    parameters: int
    test_samples: int
    kept: float
    seconds: float


def train(setting: Setting, brain: Data) -> tuple[Setting, Score]:
    """Train the brain, or the null model that the seed draws, and test it."""
    start = time.process_time()
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        wired = brain
        if setting.wiring != BRAIN:
            wired = NULLS[setting.wiring].draw(brain, setting.seed)
        inputs, outputs = (
            torch.arange(int(brain.num_nodes))
            if not name
            else find_neurons(brain, name, "population")
            for name in (setting.inputs, setting.outputs)
        )
        samples = TASKS[setting.task](len(inputs), setting.seed)
        graph = GraphLayer(
            input_shares(wired), LOOPS, activation="tanh", inject=True, init="edge_weight"
        )
        graph.weight.requires_grad_(setting.learns == "synapses")
        model = nn.Sequential(
            PlaceNeurons(inputs, int(brain.num_nodes)),
            graph,
            ReadNeurons(outputs),
            nn.BatchNorm1d(len(outputs)),
            nn.Linear(len(outputs), samples.num_classes),
        )
        accuracy = _fit(model, samples, setting)
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    seconds = time.process_time() - start
    return setting, Score(
        accuracy, wired.num_edges, trained, len(samples.test_y), _kept(brain, wired), seconds
    )


def input_shares(data: Data) -> Data:
    """Return the connectome with the share of its target's input as the weight of each synapse.

    With these weights the largest eigenvalue is at most 1 in magnitude, in the brain as in null
    models, so that no wiring wins by the scale of its activity.
    """
    weight = torch.from_numpy(np.array(graphs.signed_weights(data)))
    target = data.edge_index[1]
    total = torch.zeros(int(data.num_nodes)).index_add(0, target, weight.abs())
    shared = data.clone()
    shared.edge_weight = weight / total[target].clamp(min=torch.finfo(total.dtype).tiny)
    return shared


def _fit(model: nn.Module, samples: Samples, setting: Setting) -> float:
    """Train all parameters that require gradients, and return the test accuracy."""
    optimizer = torch.optim.Adam(
        [each for each in model.parameters() if each.requires_grad], lr=_RATE
    )
    for _ in range(setting.epochs):
        for chosen in torch.randperm(len(samples.train_y)).split(_BATCH):
            if len(chosen) < 2:  # Batch normalization needs two.
                continue
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(
                model(samples.train_x[chosen]), samples.train_y[chosen]
            )
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        scores = model(samples.test_x)
    if not bool(scores.isfinite().all()):
        return math.nan
    return float((scores.argmax(dim=1) == samples.test_y).double().mean())


def _kept(brain: Data, wired: Data) -> float:
    """Return the share of the brain's pairs of neurons that are also connected in a wiring."""
    one, other = (
        set((data.edge_index[0] * int(brain.num_nodes) + data.edge_index[1]).tolist())
        for data in (brain, wired)
    )
    return len(one & other) / max(len(one), 1)
