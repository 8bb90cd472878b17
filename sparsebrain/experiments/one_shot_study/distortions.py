"""Random distortions of images, which a network that reads any handwriting has to ignore."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_TURN = math.radians(15)
_SCALE, _SHEAR, _CONTRAST = 0.2, 0.2, 0.5
_SHIFT, _ELASTIC = 2.0, 1.0
_THICKNESS = 0.8
# Elastic distortions move the points of a coarse grid independently.
_POINTS = 5


def distort(images: Tensor, generator: torch.Generator) -> Tensor:
    """Distort images: thickness, affine map, elastic deformation and contrast.

    Args:
        images: [B, H, W], from 0 to 1.
        generator: The source of randomness.

    Returns:
        Images of the same shape, from 0 to 1.
    """

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(shape, generator=generator) - 1

    size = len(images)
    x = images.unsqueeze(1)
    thickness = _THICKNESS * uniform(size, 1, 1, 1)
    thicker = functional.max_pool2d(x, 3, 1, 1)
    thinner = -functional.max_pool2d(-x, 3, 1, 1)
    x = x + thickness.relu() * (thicker - x) + (-thickness).relu() * (thinner - x)

    half = images.size(1) / 2
    angle = _TURN * uniform(size)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    stretch, shear = torch.exp(_SCALE * uniform(size, 2)), _SHEAR * uniform(size, 2)
    skew = torch.stack([stretch[:, 0], shear[:, 0], shear[:, 1], stretch[:, 1]], 1).view(-1, 2, 2)
    affine = torch.cat([turn @ skew, _SHIFT / half * uniform(size, 2, 1)], 2)
    places = functional.affine_grid(affine, list(x.shape), align_corners=False)
    points = torch.randn((size, 2, _POINTS, _POINTS), generator=generator) * _ELASTIC / half
    elastic = functional.interpolate(points, x.shape[2:], mode="bicubic", align_corners=True)
    places = places + elastic.permute(0, 2, 3, 1)
    x = functional.grid_sample(x, places, align_corners=False).squeeze(1).clamp(0, 1)
    return x ** torch.exp(_CONTRAST * uniform(size, 1, 1))
