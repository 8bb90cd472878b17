"""Ternary strengths of an error-diffusion network: 0 or one scale per matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparsebrain.error_diffusion.layout import Stage
from sparsebrain.nn.ternary import round_to

WEIGHTS = ("full", "ternary")


def ternary(stages: Sequence[Stage], strength: Tensor) -> Tensor:
    """Round strengths to -1, 0 or 1 times the mean magnitude of their matrix.

    A matrix has all synapses of one network that lead into a stage, either from the stage before or
    from the stage itself, from cells of both types.

    Args:
        stages: The stages of the network.
        strength: The strengths of all synapses.

    Returns:
        The rounded strengths; negative ones exist only where signs are not kept.
    """
    rounded = torch.empty_like(strength)
    for stage in stages:
        for bundles in (stage.feed, stage.loop):
            parts = [each.part(strength).view(each.networks, -1) for each in bundles]
            if not parts:
                continue
            count = sum(part.size(1) for part in parts)
            total = torch.stack([part.abs().sum(1, keepdim=True) for part in parts]).sum(0)
            for each, part in zip(bundles, parts, strict=True):
                found = round_to(part, total / count)
                each.part(rounded).copy_(found.flatten())
    return rounded
