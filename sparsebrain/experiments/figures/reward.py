"""Learning curves of methods on a task with rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

_COLUMNS = 5
_COLORS = ("#1f77b4", "#d95f02", "#2a9d4a", "#7b4ea3", "#8c564b", "#444444")


def draw(
    task: str, runs: Mapping[str, Mapping[str, Sequence[Sequence[float] | None]]], episodes: int
) -> Figure:
    """Draw one panel per method, with the mean over the seeds and one standard deviation.

    Args:
        task: The name of the task, for the title.
        runs: For each topology and method, the scores over the training of each seed; None for a
            training that diverged.
        episodes: The number of episodes of a training.
    """
    methods = list(dict.fromkeys(name for each in runs.values() for name in each if each[name]))
    rows = -(-len(methods) // _COLUMNS)
    figure = Figure(figsize=(11, 0.9 + 1.75 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    colors = {name: _COLORS[at % len(_COLORS)] for at, name in enumerate(runs)}
    for number, ax in enumerate(panels.flat):
        if number >= len(methods):
            ax.set_axis_off()
            continue
        name = methods[number]
        _draw_method(ax, {each: found[name] for each, found in runs.items()}, colors, episodes)
        ax.set_title(name, fontsize=9)
        # The lowest panel of a column may not be in the last row.
        ax.tick_params(labelsize=8, labelbottom=number + _COLUMNS >= len(methods))
    panels[0, 0].set(ylim=(-0.03, 1.05), xlim=(0, episodes))
    figure.supxlabel("episodes", fontsize=9)
    figure.supylabel("score of the best actions", fontsize=9)
    lines = [Line2D([], [], color=color, label=name) for name, color in colors.items()]
    figure.legend(
        handles=lines,
        title=f"{task}: mean ± standard deviation over the seeds",
        loc="outside upper center",
        ncols=len(lines),
        frameon=False,
        fontsize=9,
        title_fontsize=10,
    )
    return figure


def _draw_method(
    ax: Any,
    runs: Mapping[str, Sequence[Sequence[float] | None]],
    colors: Mapping[str, str],
    episodes: int,
) -> None:
    """Draw one line per topology, and say how many trainings diverged."""
    ax.grid(color="0.9", lw=0.6)
    height = 0.06
    for topology, found in runs.items():
        color = colors[topology]
        finite = [each for each in found if each is not None]
        if len(finite) < len(found):
            told = f"{len(found) - len(finite)} of {len(found)} diverged"
            ax.text(0.5, height, told, color=color, fontsize=8, ha="center", transform=ax.transAxes)
            height += 0.12
        if not finite:
            continue
        scores = np.array(finite)
        mean = scores.mean(0)
        spread = scores.std(0, ddof=1) if len(scores) > 1 else np.zeros_like(mean)
        at = np.linspace(0, episodes, scores.shape[1] + 1)[1:]
        ax.plot(at, mean, color=color, lw=1.4)
        low, high = np.clip([mean - spread, mean + spread], 0, 1)
        ax.fill_between(at, low, high, color=color, alpha=0.18, lw=0)
