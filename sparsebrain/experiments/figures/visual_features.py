"""Receptive fields of neurons that learned from photographs and digits without labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor


def draw(shown: Any) -> Figure:
    """Draw fields by BCM and random ones, principal components, and digits with their fields.

    Args:
        shown: Fields ``learned``, ``random``, ``components``, ``exact`` and ``digits``, and the
            ``preferred`` test images, each [number, pixels].
    """
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    (fields, noise, components), (digits, preferred, unused) = figure.subplots(2, 3)
    unused.axis("off")
    _draw_grid(fields, shown.learned, 8, "photographs, BCM")
    _draw_grid(noise, shown.random, 8, "photographs, random weights")
    learned, exact = _aligned(shown)
    _draw_grid(components, [*learned, *exact], 4, "Sanger (above), exact")
    _draw_grid(digits, shown.digits, 8, "digits, BCM")
    _draw_grid(preferred, shown.preferred, 8, "digit that each prefers")
    return figure


def _aligned(shown: Any) -> tuple[Tensor, Tensor]:
    """Return learned and exact components with the same signs."""
    sign = (shown.components * shown.exact).sum(1, keepdim=True).sign()
    return shown.components * sign, shown.exact


def _draw_grid(ax: Axes, fields: Any, columns: int, title: str) -> None:
    """Draw all fields as one picture, each scaled to its own largest magnitude."""
    side = math.isqrt(len(fields[0]))
    rows = math.ceil(len(fields) / columns)
    # White lines between the fields.
    canvas = np.ones((rows * (side + 1) - 1, columns * (side + 1) - 1))
    for number, field in enumerate(fields):
        top, left = (side + 1) * (number // columns), (side + 1) * (number % columns)
        scaled = field.double() / field.abs().max().clamp_min(1e-30)
        canvas[top : top + side, left : left + side] = scaled.view(side, side).numpy()
    ax.imshow(canvas, cmap="gray", vmin=-1, vmax=1)
    ax.set_title(title, fontsize="medium")
    ax.axis("off")
