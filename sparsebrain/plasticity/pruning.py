"""Which synapses a rewiring prunes."""

from __future__ import annotations

import torch
from torch import Tensor

METHODS = ("set", "deep-r", "rigl")
"""The methods of :class:`~sparsebrain.plasticity.Rewiring`."""


def smallest(weight: Tensor, fraction: float) -> Tensor:
    """Return the positions of the fraction of weights [E] with the smallest magnitudes."""
    count = round(fraction * len(weight))
    return weight.abs().topk(count, largest=False).indices


def smallest_of_each_sign(weight: Tensor, fraction: float) -> Tensor:
    """Return the same among the weights of at least 0, and among those below."""
    chosen = []
    for those in (weight >= 0, weight < 0):
        at = those.nonzero().flatten()
        chosen.append(at[smallest(weight[at], fraction)])
    return torch.cat(chosen)


def crossed(free: Tensor, sign: Tensor) -> Tensor:
    """Return the positions of values [E] that no longer have their sign."""
    return (free * sign < 0).nonzero().flatten()
