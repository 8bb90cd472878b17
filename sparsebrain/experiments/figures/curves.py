"""Loss and accuracy over the epochs and after the last one, for runs that did not diverge."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sparsebrain.diagnostics.plotting import by_factors
from sparsebrain.experiments.report import Row

# A longer label leaves the axes no room.
_LONGEST = 36
COLORS = (
    *("#3a7ca5", "#c8553d", "#588157", "#8d6a9f", "#e09f3e"),
    *("#16324f", "#7f7f7f", "#bc4b51", "#4fb3bf", "#7b4f2c"),
    *("#9bc53d", "#f29cb7"),
)
COLUMNS = ("model", "seed", "epoch", "loss", "test_loss", "test_accuracy")


def draw(rows: list[Row], *, title: str) -> Figure:
    """Draw training loss, validation loss and validation accuracy over the epochs.

    The test images serve as validation images.

    Args:
        rows: One row per model; each becomes a line with a band of one standard deviation.
        title: The title of the figure.

    Returns:
        A figure with three panels and one legend.
    """
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    figure.suptitle(title, fontsize="medium")
    training, validation, accuracy = figure.subplots(1, 3)
    _draw_curves(training, rows, "loss", 1)
    training.set_ylabel("training loss")
    by_factors(training)
    _draw_curves(validation, rows, "test_loss", 1)
    validation.set_ylabel("validation loss")
    draw_accuracy(accuracy, rows)
    accuracy.set_ylabel("validation accuracy, %")
    for ax in (validation, accuracy):
        ax.get_legend().remove()
    return figure


def draw_accuracy(ax: Axes, rows: list[Row], colors: Sequence[str] = COLORS) -> None:
    """Draw the mean test accuracy over the epochs with a band of one standard deviation.

    Args:
        ax: The axes to draw on.
        rows: One line each.
        colors: The colors of the rows, reused in turn if there are fewer.
    """
    _draw_curves(ax, rows, "test_accuracy", 100, colors)
    ax.set_ylabel("test accuracy, %")
    # Without this limit the low first epochs would compress the rest of the curves into a line.
    settled = [
        100 * epoch.test_accuracy
        for row in rows
        for curve in row.finished.curves
        for epoch in curve[2:]
    ]
    if settled:
        ax.set_ylim(bottom=min(settled) - 0.5)


def shortened(label: str) -> str:
    """Return the end of a label that is long, such as the path of a file, which tells most."""
    return label if len(label) <= _LONGEST else f"...{label[3 - _LONGEST :]}"


def draw_runs(ax: Axes, rows: list[Row], labels: list[str]) -> None:
    """Draw the final test accuracy of every run as a dot and the mean of each row as a bar.

    Args:
        ax: The axes to draw on.
        rows: One place on the horizontal axis each.
        labels: The tick labels of the rows.
    """
    for place, row in enumerate(rows):
        draw_ends(ax, row, place, 0.5, COLORS[place % len(COLORS)])
    ax.set_xticks(range(len(rows)), labels, rotation=20, fontsize=8)


def draw_ends(ax: Axes, row: Row, place: float, width: float, color: str) -> None:
    """Draw the final test accuracy of every run of one row as a dot and their mean as a bar.

    Args:
        ax: The axes to draw on.
        row: The runs.
        place: The center of the bar on the horizontal axis.
        width: The width of the bar.
        color: The color of dots and bar.
    """
    values = [100 * outcome.test_accuracy for outcome in row.finished.outcomes]
    # Accuracies are multiples of 1 / test images, so equal ones are drawn side by side.
    step = 0.6 * width / max(len(values), 1)
    across = [place + step * (number - (len(values) - 1) / 2) for number in range(len(values))]
    ax.plot(across, values, "o", color=color, alpha=0.6, markersize=5)
    ends = [place - width / 2, place + width / 2]
    if values:
        ax.plot(ends, [statistics.fmean(values)] * 2, color=color, lw=2)
    ax.set_ylabel("final test accuracy, %")


def table(rows: list[Row]) -> list[tuple[str, int, int, float, float, float]]:
    """List :data:`COLUMNS` for every epoch of every run, diverged runs included."""
    return [
        (row.label, run.seed, epoch.epoch, epoch.loss, epoch.test_loss, epoch.test_accuracy)
        for row in rows
        for run, curve in zip(row.runs, row.curves, strict=True)
        for epoch in curve
    ]


def _draw_curves(
    ax: Axes, rows: list[Row], name: str, scale: float, colors: Sequence[str] = COLORS
) -> None:
    """Draw the mean of one field of the epochs, times ``scale``, with its standard deviation."""
    for place, row in enumerate(rows):
        by_epoch = list(zip(*row.finished.curves, strict=True))
        epochs = [of_epoch[0].epoch for of_epoch in by_epoch]
        values = [[scale * getattr(epoch, name) for epoch in of_epoch] for of_epoch in by_epoch]
        means = [statistics.fmean(of_epoch) for of_epoch in values]
        spreads = [statistics.stdev(of_epoch) if len(of_epoch) > 1 else 0 for of_epoch in values]
        low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
        high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
        color = colors[place % len(colors)]
        if not epochs:
            ax.plot([], [], color=color, label=f"{shortened(row.label)} (diverged)")
            continue
        if len(epochs) == 1:
            # A band over a single epoch would have no width.
            ax.errorbar(
                epochs, means, spreads, color=color, fmt="o", capsize=3, label=shortened(row.label)
            )
            ax.set_xticks(epochs)
            continue
        ax.plot(epochs, means, color=color, label=shortened(row.label))
        ax.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")
    ax.legend(frameon=False, fontsize=9)
