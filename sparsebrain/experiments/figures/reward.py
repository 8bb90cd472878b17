"""Learning curves of methods on a task with rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure


def draw(
    task: str, curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], episodes: int
) -> Figure:
    """Draw one panel per topology, with the mean over the seeds and one standard deviation.

    Args:
        task: The name of the task, for the title.
        curves: For each topology and method, the scores over the training of each seed.
        episodes: The number of episodes of a training.
    """
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    colors = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    for ax, (topology, methods) in zip(axes, curves.items(), strict=True):
        for number, (name, runs) in enumerate(methods.items()):
            if not runs:
                continue
            scores = np.array(runs)
            mean = scores.mean(0)
            spread = scores.std(0, ddof=1) if len(scores) > 1 else np.zeros_like(mean)
            at = np.linspace(0, episodes, scores.shape[1] + 1)[1:]
            color = colors[number]
            dashed = "--" if name.startswith("backprop") else "-"
            ax.plot(at, mean, dashed, color=color, lw=1.5, label=name)
            ax.fill_between(at, mean - spread, mean + spread, color=color, alpha=0.12, lw=0)
        ax.set(xlabel="episodes", title=f"{task}, {topology}", ylim=(-0.02, 1.05))
    axes[0].set_ylabel("score of the best actions")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure
