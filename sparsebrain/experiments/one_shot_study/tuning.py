"""Fine-tuning by gradient descent, with which memories are compared."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsebrain.experiments.one_shot_study.backbone import Backbone, CosineHead, encode
from sparsebrain.experiments.one_shot_study.distortions import distort

_STEPS = 40
_RATE, _MOMENTUM = 0.1, 0.9


def tune(
    backbone: Backbone, head: CosineHead, examples: Tensor, *, everything: bool, seed: int
) -> nn.Sequential:
    """Train copies of a backbone and its head on examples of letters alone.

    Batch normalization keeps its statistics, and each step distorts the examples anew.

    Args:
        backbone: The trained network, which stays as it is.
        head: The class weights of hiragana, which stay as they are.
        examples: Images [letters, examples, 28, 28].
        everything: Whether all layers learn, or the class weights alone.
        seed: The seed of new class weights and distortions.

    Returns:
        A network from images to scores [n, hiragana + letters].
    """
    generator = torch.Generator().manual_seed(seed)
    known, letters = len(head.weight), len(examples)
    grown = CosineHead(known + letters)
    with torch.no_grad():
        grown.weight[:known] = functional.normalize(head.weight, dim=1)
        new = torch.randn(letters, grown.weight.size(1), generator=generator)
        grown.weight[known:] = functional.normalize(new, dim=1)
    below = copy.deepcopy(backbone)
    learning = [*below.parameters()] if everything else []
    optimizer = torch.optim.SGD([*learning, *grown.parameters()], _RATE, momentum=_MOMENTUM)
    images = examples.flatten(0, 1)
    labels = known + torch.arange(letters).repeat_interleave(examples.size(1))
    for _ in range(_STEPS):
        seen = distort(images, generator)
        features = below(seen) if everything else encode(below, seen)
        loss = functional.cross_entropy(grown(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return nn.Sequential(below, grown)
