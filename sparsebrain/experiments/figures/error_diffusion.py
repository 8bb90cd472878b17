"""The test accuracy of error diffusion and backpropagation against the quantity a study varies."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsebrain.experiments.figures.curves import COLORS

_COLUMNS = 2
_CHANCE = {"ternary": 10.0}
_AXES = {
    "imbalance": "training images of a 4 for each of a 9",
    "imbalance, mended": "training images of a 4 for each of a 9",
    "ternary": "rate, digits",
    "ternary, deep": "layers, 4 and 9",
}
"""The quantity that varies, by study, if that is not its name."""

Points = list[tuple[float | str, float, float]]
"""Triples of x and the mean and standard deviation of the accuracy."""


def draw(studies: Mapping[str, Mapping[str, Points]]) -> Figure:
    """Draw one panel per study, with error bars of one standard deviation over the seeds.

    Args:
        studies: For each study the points of each of its lines, by name.
    """
    rows = math.ceil(len(studies) / _COLUMNS)
    figure = Figure(figsize=(5.2 * _COLUMNS, 3.4 * rows), layout="constrained")
    for place, (study, lines) in enumerate(studies.items(), 1):
        _draw(figure.add_subplot(rows, _COLUMNS, place), study, lines)
    return figure


def _draw(ax: Axes, study: str, lines: Mapping[str, Points]) -> None:
    """Draw one study; points with a text as x share one list of categories."""
    for place, (line, points) in enumerate(lines.items()):
        x, mean, spread = zip(*points, strict=True)
        percent, bars = [100 * each for each in mean], [100 * each for each in spread]
        color = COLORS[place % len(COLORS)]
        if isinstance(x[0], str):
            ax.errorbar(percent, range(len(x)), xerr=bars, fmt="o", color=color, capsize=3)
            ax.set_yticks(range(len(x)), x, fontsize=8)
            ax.invert_yaxis()
            ax.set_xlabel("test accuracy, %")
            ax.set_title(study, fontsize="medium")
            return
        ax.errorbar(x, percent, yerr=bars, color=color, marker="o", ms=4, capsize=3, label=line)
    ticks = sorted({point[0] for points in lines.values() for point in points}, key=float)
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    if study in _AXES:
        ax.set_title(study, fontsize="medium")
    chance = _CHANCE.get(study, 50.0)
    # Without limits, the error bars of runs that either fail or succeed would exceed 100 %.
    ax.set(xlabel=_AXES.get(study, study), ylabel="test accuracy, %", ylim=(chance - 5, 100))
    ax.axhline(chance, color="#bbbbbb", lw=0.8, ls=":")
    if len(lines) > 1:
        ax.legend(
            frameon=False, fontsize=8, loc="lower right" if study in _CHANCE else "lower left"
        )
