"""Throughput and idle time of a pipeline, accuracy over time, and pipelines of more stages."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sparsebrain.experiments.figures.curves import COLORS


def draw(trained: Sequence[Any], curves: Sequence[Any], simulated: Sequence[Any]) -> Figure:
    """Draw four panels.

    Args:
        trained: The trainings on two processes.
        curves: The accuracies after each epoch.
        simulated: The simulated pipelines.
    """
    methods = list(dict.fromkeys(each.method for each in trained))
    colors = dict(zip(methods, COLORS, strict=False))
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    (speed, idle), (accuracy, more) = figure.subplots(2, 2)
    places = range(len(methods))[::-1]
    for place, method in zip(places, methods, strict=True):
        own = [each for each in trained if each.method == method]
        _pair(speed, place, colors[method], [(e.samples_per_second, e.predicted) for e in own])
        measured = [50 * (each.idle_first + each.idle_last) for each in own]
        predicted = [100 * each.predicted_idle for each in own]
        _pair(idle, place, colors[method], list(zip(measured, predicted, strict=True)))
    for ax in (speed, idle):
        ax.set_yticks(places, methods)
        ax.set_xlim(left=0)
    speed.plot([], [], "D", color="black", mfc="none", label="simulated")
    speed.legend(frameon=False, fontsize=8)
    speed.set(xlabel="samples per second", title="two processes: throughput")
    idle.set(xlabel="% of the time", title="two processes: waiting")
    _draw_accuracy(accuracy, curves, colors)
    _draw_more(more, simulated, colors)
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
            label=method,
        )
    ax.set_xscale("log")
    ax.set(xlabel="seconds", ylabel="test accuracy, %", title="two processes: accuracy, by epoch")
    ax.legend(frameon=False, fontsize=7)


def _draw_more(ax: Axes, simulated: Sequence[Any], colors: dict[str, str]) -> None:
    """Draw the share of the time in which the stages work."""
    few, many = sorted({each.micro_batches for each in simulated})
    for method, color in colors.items():
        for parts, style in ((few, "-"), (many, ":")):
            own = [
                each for each in simulated if (each.method, each.micro_batches) == (method, parts)
            ]
            stages = [each.stages for each in own]
            ax.plot(stages, [100 * (1 - each.idle) for each in own], style, color=color, lw=1.6)
    for parts, style in ((few, "-"), (many, ":")):
        ax.plot([], [], style, color="black", label=f"{parts} micro-batches")
    ax.set_xscale("log", base=2)
    ax.set_xticks(stages, [str(each) for each in stages])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(0, 103)
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    ax.set(xlabel="stages", ylabel="% of the time", title="simulated: working")
