"""The rules of the study, and the model that all of them train."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer
from sparsebrain.error_diffusion import ErrorDiffusion, ErrorDiffusionNetwork
from sparsebrain.learning import (
    Backprop,
    DirectFeedbackAlignment,
    ForwardForward,
    LabelInputs,
    LocalErrors,
    Rule,
)
from sparsebrain.plasticity.feature_rules import HebbFeatures

_REWIRE = 0.1


class Method(NamedTuple):
    """A rule and the schedule of its stages, a name in :data:`~.schedules.SCHEDULES`."""

    rule: str
    schedule: str


METHODS = {
    "backpropagation, GPipe": Method("backprop", "gpipe"),
    "backpropagation, 1F1B": Method("backprop", "1f1b"),
    "direct feedback alignment": Method("direct-feedback-alignment", "broadcast"),
    "error diffusion": Method("error-diffusion", "broadcast"),
    "local errors": Method("local-errors", "local"),
    "forward-forward": Method("forward-forward", "local"),
    "Hebb": Method("hebb", "local"),
}
"""The methods, by the names in tables and figures."""


class Size(NamedTuple):
    """The size of the model and of a batch.

    Attributes:
        neurons: Neurons of a layer.
        neighbors: Synapses per neuron and layer.
        depth: Graph layers.
        samples: Samples of a micro-batch.
        parts: Micro-batches of a batch.
    """

    neurons: int = 1024
    neighbors: int = 128
    depth: int = 8
    samples: int = 32
    parts: int = 8


def make_rule(name: str, size: Size, features: int, classes: int, seed: int) -> Rule:
    """Make a rule around the whole model, the same for the same seed in every process.

    The model is nn.Linear, ``size.depth`` graph layers of one loop and nn.Linear, each but the last
    followed by a tanh. In Forward-Forward a rectifier takes the place of the tanh, the label
    is a part of the input, and the last nn.Linear is missing. Error diffusion has the same synapses
    between layers of typed cells, in a network for each class. The similarity of local errors,
    whose matrices are dense, is left out.
    """
    torch.manual_seed(seed)
    connectome = graphs.small_world(size.neurons, size.neighbors, _REWIRE, seed=seed)
    if name == "error-diffusion":
        network = ErrorDiffusionNetwork.around(
            _unrolled(connectome, size.depth),
            features,
            inputs=range(size.neurons),
            outputs=range(size.depth * size.neurons, (size.depth + 1) * size.neurons),
            networks=classes,
            linear=True,
            init="degree",
        )
        return ErrorDiffusion(network)
    generator = torch.Generator().manual_seed(seed)
    if name == "forward-forward":
        encode = nn.Linear(features + classes, size.neurons)
        nn.init.kaiming_normal_(encode.weight)
        hidden = _hidden(connectome, size.depth, nn.ReLU)
        return ForwardForward(
            nn.Sequential(LabelInputs(classes), encode, nn.ReLU(), *hidden), generator=generator
        )
    model = nn.Sequential(
        nn.Linear(features, size.neurons),
        nn.Tanh(),
        *_hidden(connectome, size.depth, nn.Tanh),
        nn.Linear(size.neurons, classes),
    )
    if name == "local-errors":
        return LocalErrors(model, kind="prediction")
    if name == "direct-feedback-alignment":
        return DirectFeedbackAlignment(model, generator=generator)
    return HebbFeatures(model) if name == "hebb" else Backprop(model)


def cut(rule: Rule, stages: int) -> list[list[nn.Module]]:
    """Cut the model of a rule before graph layers, into stages of about as many graph layers."""
    modules = list(rule.model.children())
    layers = [at for at, module in enumerate(modules) if isinstance(module, GraphLayer)]
    inner = [layers[first] for first, _ in shares(len(layers), stages)[1:]]
    return [modules[first:last] for first, last in pairwise([0, *inner, len(modules)])]


def shares(number: int, stages: int) -> list[tuple[int, int]]:
    """Divide ``number`` items into consecutive ranges of about the same length."""
    sizes = [number // stages + (stage < number % stages) for stage in range(stages)]
    return list(pairwise(accumulate(sizes, initial=0)))


def load_values(rule: Rule, values: Sequence[Sequence[Tensor]]) -> None:
    """Set the parameters of the whole model to those of its stages, in order."""
    own = list(rule.model.parameters())
    flat = [each for stage in values for each in stage]
    if isinstance(rule, ErrorDiffusion):
        flat = [torch.cat(flat)]
    with torch.no_grad():
        for parameter, value in zip(own, flat, strict=True):
            parameter.copy_(value)


def _hidden(connectome: Data, depth: int, activation: type[nn.Module]) -> list[nn.Module]:
    return [
        module
        for _ in range(depth)
        for module in (GraphLayer(connectome, loops=1, bias=True), activation())
    ]


def _unrolled(connectome: Data, depth: int) -> Data:
    """Return ``depth`` + 1 layers of neurons with the synapses of a connectome between them."""
    size = int(connectome.num_nodes)
    starts = size * torch.arange(depth).view(-1, 1)
    source, target = (
        (starts + end + offset).flatten()
        for end, offset in zip(connectome.edge_index, (0, size), strict=True)
    )
    return Data(edge_index=torch.stack([source, target]), num_nodes=size * (depth + 1))
