"""Receptive fields of spiking neurons that learned digits without labels."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor


def draw(weight: Tensor, pixels: int) -> Figure:
    """Draw the weights [neurons, pixels] of up to 400 neurons, each as an image.

    White is the largest weight of all neurons, and black is 0. Pixels that do not form a square are
    drawn as a row.
    """
    side = math.isqrt(pixels)
    height, width = (side, side) if side * side == pixels else (1, pixels)
    shown = weight[:400].double()
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), 0.5)
    for number, field in enumerate(shown / shown.max().clamp_min(1e-30)):
        top, left = (height + 1) * (number // columns), (width + 1) * (number % columns)
        canvas[top : top + height, left : left + width] = field.view(height, width).numpy()
    figure = Figure(figsize=(6, 6 * max(rows / columns, 0.2)), layout="constrained")
    ax = figure.subplots()
    ax.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.axis("off")
    return figure
