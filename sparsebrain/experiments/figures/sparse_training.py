"""The test accuracy of sparse, rewired and dense networks over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from sparsebrain.experiments.figures.curves import COLORS


def draw(curves: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Draw the mean over the seeds with a band of one standard deviation.

    Args:
        curves: For each model, the test accuracy after every epoch, for each seed.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.add_subplot()
    lowest = 100.0
    for color, (name, runs) in zip(COLORS, curves.items(), strict=False):
        percent = 100 * np.array(runs)
        mean, spread = percent.mean(0), percent.std(0, ddof=1) if len(percent) > 1 else 0.0
        epochs = np.arange(1, percent.shape[1] + 1)
        ax.plot(epochs, mean, color=color, lw=1.4, label=name)
        ax.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.15, lw=0)
        lowest = min(lowest, float(mean[len(mean) // 4]))
    ax.set(xlabel="epoch", ylabel="test accuracy, %", ylim=(lowest - 2, 100))
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return figure
