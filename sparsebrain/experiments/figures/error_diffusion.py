"""Test accuracy of error diffusion and of backpropagation by what a study varies."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsebrain.experiments.figures.curves import COLORS

Points = list[tuple[float | str, float, float]]
"""x, mean and standard deviation of the accuracy."""


def draw(studies: Mapping[str, Mapping[str, Points]]) -> Figure:
    """One picture a study, with bars of one standard deviation over the seeds."""
    figure = Figure(figsize=(6.4, 3.6 * len(studies)), layout="constrained")
    for ax, (study, lines) in zip(
        figure.subplots(len(studies), squeeze=False)[:, 0], studies.items(), strict=True
    ):
        _draw(ax, study, lines)
    return figure


def _draw(ax: Axes, study: str, lines: Mapping[str, Points]) -> None:
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
    ax.set(xlabel=study, ylabel="test accuracy, %")
    ax.axhline(50, color="#bbbbbb", lw=0.8, ls=":")
    ax.legend(frameon=False, fontsize=8)
