"""Throughput and idle time of a pipeline, accuracy over time, and pipelines of more stages."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from sparsebrain.experiments.figures.curves import COLORS


def draw(trained: Sequence[Any], curves: Sequence[Any], simulated: Sequence[Any]) -> Figure:
    """Draw throughput, waiting and memory of two processes, and pipelines of more stages.

    Args:
        trained: The trainings on two processes.
        curves: The accuracies after each epoch.
        simulated: The simulated pipelines.
    """
    methods = list(dict.fromkeys(each.method for each in trained))
    colors = dict(zip(methods, COLORS, strict=False))
    figure = Figure(figsize=(13.5, 7), layout="constrained")
    bars, lines = figure.subfigures(2, 1, squeeze=False)[:, 0]
    speed, idle, kept = bars.subplots(1, 3, sharey=True)
    places = range(len(methods))[::-1]
    for place, method in zip(places, methods, strict=True):
        own = [each for each in trained if each.method == method]
        color = colors[method]
        _pair(speed, place, color, [(e.samples_per_second, e.predicted) for e in own])
        measured = [50 * (each.idle_first + each.idle_last) for each in own]
        predicted = [100 * each.predicted_idle for each in own]
        _pair(idle, place, color, list(zip(measured, predicted, strict=True)))
        kept.barh(place, statistics.median(each.kept_first for each in own), 0.6, color=color)
    speed.set_yticks(places, methods)
    speed.set(xlabel="samples per second", title="throughput (diamond: simulated)")
    idle.set(xlabel="% of the time", title="waiting (diamond: simulated)")
    kept.set(xlabel="MiB, first process", title="kept for backward passes")
    accuracy, rate, work = lines.subplots(1, 3)
    _draw_accuracy(accuracy, curves, colors)
    _draw_stages(rate, simulated, colors, lambda each: each.samples_per_second)
    rate.set_yscale("log")
    rate.set(ylabel="samples per second", title="simulated: throughput")
    _draw_stages(work, simulated, colors, lambda each: 100 * (1 - each.idle))
    work.set_ylim(0, 103)
    work.set(ylabel="% of the time", title="simulated: working")
    bars.suptitle("two processes, measured", fontsize="medium")
    handles = [Line2D([], [], color=colors[name], label=name) for name in methods]
    lines.legend(handles=handles, loc="outside lower center", ncols=len(methods), fontsize=8)
    return figure


def _pair(ax: Axes, place: int, color: str, values: Sequence[tuple[float, float]]) -> None:
    """Draw the median of the measured values as a bar, each of them, and the prediction."""
    measured, predicted = zip(*values, strict=True)
    ax.barh(place, statistics.median(measured), 0.6, color=color)
    ax.plot(measured, [place] * len(measured), ".", color="black", ms=4)
    ax.plot(statistics.median(predicted), place, "D", color="black", mfc="none")


def _draw_accuracy(ax: Axes, curves: Sequence[Any], colors: dict[str, str]) -> None:
    for method, color in colors.items():
        own = [each for each in curves if each.method == method]
        epochs = sorted({each.epoch for each in own})
        ax.plot(
            [statistics.median(e.seconds for e in own if e.epoch == epoch) for epoch in epochs],
            [
                100 * statistics.mean(e.accuracy for e in own if e.epoch == epoch)
                for epoch in epochs
            ],
            ".-",
            color=color,
        )
    ax.set_xscale("log")
    ax.set(xlabel="seconds", ylabel="test accuracy, %", title="two processes: each epoch")


def _draw_stages(
    ax: Axes, simulated: Sequence[Any], colors: dict[str, str], value: Callable[[Any], float]
) -> None:
    """Draw a value over the number of stages, for few and for many micro-batches."""
    stages = sorted({each.stages for each in simulated})
    for parts, style in zip(sorted({each.micro_batches for each in simulated}), "-:", strict=True):
        for method, color in colors.items():
            own = [
                each for each in simulated if (each.method, each.micro_batches) == (method, parts)
            ]
            ax.plot(stages, [value(each) for each in own], style, color=color, lw=1.6)
        ax.plot([], [], style, color="black", label=f"{parts} micro-batches")
    ax.set_xscale("log", base=2)
    ax.set_xticks(stages, [str(each) for each in stages])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("stages")
    ax.legend(frameon=False, fontsize=8, loc="lower left")
