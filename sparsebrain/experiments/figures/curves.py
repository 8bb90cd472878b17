"""Loss and accuracy over the epochs, and the end of every run; of runs that did not diverge."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparsebrain.experiments.report import Row

COLORS = (
    *("#3a7ca5", "#c8553d", "#588157", "#8d6a9f", "#e09f3e"),
    *("#16324f", "#7f7f7f", "#bc4b51", "#4fb3bf", "#7b4f2c"),
)


def draw_loss(ax: Axes, rows: list[Row]) -> None:
    """The mean loss of training over the epochs, with a band of one standard deviation."""
    _draw_curves(ax, rows, "loss", 1)
    ax.set(ylabel="training loss", yscale="log")


def draw_accuracy(ax: Axes, rows: list[Row], colors: Sequence[str] = COLORS) -> None:
    """The mean test accuracy over the epochs, with a band of one standard deviation."""
    _draw_curves(ax, rows, "test_accuracy", 100, colors)
    ax.set_ylabel("test accuracy, %")
    # The first epochs lie far below and would press all that follows into one line.
    settled = [
        100 * epoch.test_accuracy
        for row in rows
        for curve in row.finished.curves
        for epoch in curve[2:]
    ]
    if settled:
        ax.set_ylim(bottom=min(settled) - 0.5)


def draw_runs(ax: Axes, rows: list[Row], labels: list[str]) -> None:
    """The test accuracy of every run as a dot, and the mean of each row as a bar."""
    for place, row in enumerate(rows):
        draw_ends(ax, row, place, 0.5, COLORS[place % len(COLORS)])
    ax.set_xticks(range(len(rows)), labels, rotation=20, fontsize=8)


def draw_ends(ax: Axes, row: Row, place: float, width: float, color: str) -> None:
    """The test accuracy of every run of a row as a dot, and their mean as a bar of that width."""
    values = [100 * outcome.test_accuracy for outcome in row.finished.outcomes]
    # Accuracies are multiples of one test image: side by side, equal ones stay visible.
    step = 0.6 * width / max(len(values), 1)
    across = [place + step * (number - (len(values) - 1) / 2) for number in range(len(values))]
    ax.plot(across, values, "o", color=color, alpha=0.6, markersize=5)
    ends = [place - width / 2, place + width / 2]
    if values:
        ax.plot(ends, [statistics.fmean(values)] * 2, color=color, lw=2)
    ax.set_ylabel("test accuracy at the end, %")


def table(rows: list[Row], figure: str) -> list[tuple[str, int, int, float]]:
    """Label, seed, epoch, and the loss or the test accuracy of it, over all runs."""
    return [
        (row.label, run.seed, epoch.epoch, getattr(epoch, figure))
        for row in rows
        for run, curve in zip(row.runs, row.curves, strict=True)
        for epoch in curve
    ]


def _draw_curves(
    ax: Axes, rows: list[Row], figure: str, scale: float, colors: Sequence[str] = COLORS
) -> None:
    for place, row in enumerate(rows):
        by_epoch = list(zip(*row.finished.curves, strict=True))
        epochs = [of_epoch[0].epoch for of_epoch in by_epoch]
        values = [[scale * getattr(epoch, figure) for epoch in of_epoch] for of_epoch in by_epoch]
        means = [statistics.fmean(of_epoch) for of_epoch in values]
        spreads = [statistics.stdev(of_epoch) if len(of_epoch) > 1 else 0 for of_epoch in values]
        low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
        high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
        color = colors[place % len(colors)]
        if not epochs:
            ax.plot([], [], color=color, label=f"{row.label} (diverged)")
            continue
        if len(epochs) == 1:
            # A band of one epoch has no width.
            ax.errorbar(epochs, means, spreads, color=color, fmt="o", capsize=3, label=row.label)
            ax.set_xticks(epochs)
            continue
        ax.plot(epochs, means, color=color, label=row.label)
        ax.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")
    ax.legend(frameon=False, fontsize=9)
