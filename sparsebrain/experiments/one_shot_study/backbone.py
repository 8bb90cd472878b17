"""Networks that learn to read hiragana, with a graph layer or without one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Data

from sparsebrain.experiments.one_shot_study.characters import SIDE
from sparsebrain.experiments.one_shot_study.distortions import distort
from sparsebrain.nn.graph_layer import GraphLayer

LOOPS = 5
FEATURES = 256

_PIXELS = SIDE * SIDE
_HIDDEN = 512
_BATCH = 256
_RATE, _DECAY = 4e-3, 1e-4
# Copies that are rotated by a quarter turn are further classes.
_TURNS = 4
_SHARPNESS = 16.0


class Backbone(nn.Module):
    """Pixels, the loops of a graph layer, and a perceptron whose output are features.

    Args:
        connectome: The synapses of the graph layer; None for the same network without it. If it
            does not have one neuron per pixel, a linear layer comes before it.
    """

    def __init__(self, connectome: Data | None) -> None:
        super().__init__()
        width = _PIXELS
        parts: list[nn.Module] = [nn.Flatten()]
        if connectome is not None:
            graph = GraphLayer(connectome, LOOPS, activation="relu", inject=True, bias=True)
            width = graph.num_nodes
            if width != _PIXELS:
                parts += [nn.Linear(_PIXELS, width), nn.BatchNorm1d(width), nn.ReLU()]
            parts += [graph, nn.BatchNorm1d(width)]
        parts += [nn.Linear(width, _HIDDEN), nn.BatchNorm1d(_HIDDEN), nn.ReLU()]
        parts += [nn.Linear(_HIDDEN, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU()]
        self.parts = nn.Sequential(*parts)

    def forward(self, images: Tensor) -> Tensor:
        """Return features [B, 256] of length 1 of images [B, 28, 28]."""
        return functional.normalize(self.parts(images), dim=1)


class CosineHead(nn.Module):
    """Class scores: cosines of features and class weights, times 16.

    Args:
        classes: The number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, FEATURES))

    def forward(self, features: Tensor) -> Tensor:
        """Return scores [B, classes] of features [B, 256] of length 1."""
        return _SHARPNESS * features @ functional.normalize(self.weight, dim=1).T


def train(backbone: Backbone, x: Tensor, y: Tensor, epochs: int, seed: int) -> CosineHead:
    """Train a backbone to read distorted hiragana, with AdamW and a rate that rises and falls.

    Args:
        backbone: The network; it is left in evaluation mode.
        x: Images [n, 28, 28].
        y: Classes [n].
        epochs: Epochs; 0 leaves the network untrained.
        seed: The seed of order and distortions.

    Returns:
        The trained class weights of upright hiragana.
    """
    generator = torch.Generator().manual_seed(seed)
    classes = int(y.max()) + 1
    head = CosineHead(classes * _TURNS)
    parameters = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, _RATE, weight_decay=_DECAY)
    steps = epochs * -(-len(x) // _BATCH)
    if steps:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, _RATE, total_steps=steps, pct_start=0.1
        )
    backbone.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(_BATCH):
            turns = torch.randint(_TURNS, (len(batch),), generator=generator)
            images = turned(distort(x[batch], generator), turns)
            loss = functional.cross_entropy(head(backbone(images)), y[batch] + classes * turns)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    backbone.eval()
    upright = CosineHead(classes)
    with torch.no_grad():
        upright.weight.copy_(head.weight[:classes])
    return upright


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Rotate each image by its number of quarter turns."""
    result = images.clone()
    for number in range(1, _TURNS):
        chosen = turns == number
        result[chosen] = images[chosen].rot90(number, (1, 2))
    return result


@torch.no_grad()
def encode(backbone: nn.Module, images: Tensor) -> Tensor:
    """Return the features of images, batch by batch."""
    return torch.cat([backbone(batch) for batch in images.split(_BATCH)])
