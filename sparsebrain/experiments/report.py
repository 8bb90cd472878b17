"""What a comparison shows: a table for the terminal and a figure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.box import SIMPLE_HEAD
from rich.table import Table

import graphs
from sparsebrain.experiments.results import Results
from sparsebrain.experiments.significance import differences
from sparsebrain.experiments.topology import Topology, build
from sparsebrain.experiments.training import Epoch, Outcome, Run

_ALIKE = 0.02
_COLORS = ("#3a7ca5", "#c8553d", "#588157", "#8d6a9f", "#e09f3e", "#16324f", "#7f7f7f", "#bc4b51")


@dataclass(frozen=True)
class Row:
    """All runs of one topology."""

    topology: Topology
    outcomes: list[Outcome]
    curves: list[list[Epoch]]

    def mean(self, name: str) -> float:
        """The mean of one figure of the outcomes over the seeds."""
        return statistics.fmean(getattr(outcome, name) for outcome in self.outcomes)

    def accuracy(self) -> str:
        """Test accuracy in percent, mean and sample standard deviation over the seeds."""
        values = [100 * outcome.test_accuracy for outcome in self.outcomes]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.2f}{spread} %"


def summarise(topology: Topology, runs: list[Run], results: Results) -> Row:
    """Gather the finished runs of a topology."""
    return Row(
        topology,
        [results.outcomes[run] for run in runs],
        [results.curves[run] for run in runs],
    )


def tabulate(rows: list[Row], wanted: int) -> Table:
    """One line a topology; the caption tells where budgets of synapses differ by over 2 %."""
    table = Table(box=SIMPLE_HEAD, padding=0, caption_justify="left")
    table.add_column("topology", overflow="fold", min_width=12)
    for name in ("neurons", "synapses", "L", "C", "parameters", "test accuracy", "s/epoch"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        graph = bool(row.mean("synapses"))
        table.add_row(
            # With spaces, so that a narrow terminal breaks it between options.
            row.topology.spec.replace(":", ": ").replace(",", ", "),
            f"{row.mean('neurons'):.0f}",
            f"{row.mean('synapses'):.0f}",
            f"{row.mean('path_length'):.2f}" if graph else "",
            f"{row.mean('clustering'):.3f}" if graph else "",
            f"{row.mean('parameters'):.0f}",
            row.accuracy(),
            f"{row.mean('seconds_per_epoch'):.3f}",
        )
    apart = [
        f"{row.topology.spec} {row.mean('synapses') / wanted - 1:+.0%}"
        for row in rows
        if row.mean("synapses") and abs(row.mean("synapses") / wanted - 1) > _ALIKE
    ]
    if apart:
        table.caption = f"Not an equal budget: of {wanted} synapses, {', '.join(apart)}."
    return table


def tell_differences(rows: list[Row], level: float = 0.05) -> str:
    """One sentence: which topologies differ in their test accuracy at that level, or that none do.

    Paired over the seeds, and corrected for the number of pairs.
    """
    seeds = min(len(row.outcomes) for row in rows)
    if len(rows) < 2 or seeds < 2:
        return "One topology or one seed: nothing to compare."
    accuracies = {
        row.topology.spec: [100 * outcome.test_accuracy for outcome in row.outcomes] for row in rows
    }
    told = [
        f"{difference.first} {difference.mean:+.2f} against {difference.second} "
        f"(p = {difference.p_value:.2g})"
        for difference in differences(accuracies)
        if difference.p_value < level
    ]
    how = f"paired t-tests over {seeds} seeds, Holm's correction"
    if not told:
        return f"No difference in accuracy is significant at {level:.0%} ({how})."
    return f"Significant at {level:.0%} ({how}), in points of accuracy: {'; '.join(told)}."


def draw(rows: list[Row], sheet: tuple[int, ...], wanted: int, *, title: str) -> Figure:
    """The connectomes of the first seed, the accuracy over the epochs, and that of every run."""
    drawn = [row for row in rows if row.mean("synapses")]
    columns = max(len(drawn), 1)
    figure = Figure(figsize=(3.4 * max(columns, 3), 7.4), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.05))[:, 0]
    colors = {row.topology: _COLORS[place % len(_COLORS)] for place, row in enumerate(rows)}
    labels = _labels(rows)
    for place, row in enumerate(drawn):
        data = build(row.topology, sheet, synapses=wanted, seed=0)
        assert data is not None
        projection = "3d" if data.pos.size(1) == 3 else None
        ax = upper.add_subplot(1, columns, place + 1, projection=projection)
        graphs.plot(data, ax=ax, edge_color=colors[row.topology], node_size=6)
        ax.set_title(f"{labels[row.topology]}\n{data.num_edges} synapses", fontsize=9)
        ax.set_axis_off()
    curves, dots = lower.subplots(1, 2, width_ratios=(1.5, 1))
    for row in rows:
        _draw_curve(curves, row, colors[row.topology])
    curves.set(xlabel="epoch", ylabel="test accuracy, %")
    # The first epochs lie far below and would press all that follows into one line.
    settled = [
        100 * epoch.test_accuracy for row in rows for curve in row.curves for epoch in curve[2:]
    ]
    curves.set_ylim(bottom=min(settled) - 0.5 if settled else None)
    curves.xaxis.set_major_locator(MaxNLocator(integer=True))
    curves.legend(frameon=False, fontsize=9)
    _draw_runs(dots, rows, labels, colors)
    return figure


def _draw_curve(ax: Axes, row: Row, color: str) -> None:
    by_epoch = list(zip(*row.curves, strict=True))
    epochs = [of_epoch[0].epoch for of_epoch in by_epoch]
    values = [[100 * epoch.test_accuracy for epoch in of_epoch] for of_epoch in by_epoch]
    means = [statistics.fmean(of_epoch) for of_epoch in values]
    spreads = [statistics.stdev(of_epoch) if len(of_epoch) > 1 else 0 for of_epoch in values]
    marker = "o" if len(epochs) == 1 else None
    ax.plot(epochs, means, color=color, marker=marker, label=row.topology.spec)
    low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
    high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
    ax.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)


def _labels(rows: list[Row]) -> dict[Topology, str]:
    """The kind alone where it tells topologies apart, else the whole text, an option a line."""
    kinds = [row.topology.kind for row in rows]
    return {
        row.topology: row.topology.kind
        if kinds.count(row.topology.kind) == 1
        else row.topology.spec.replace(":", ":\n").replace(",", ",\n")
        for row in rows
    }


def _draw_runs(
    ax: Axes, rows: list[Row], labels: dict[Topology, str], colors: dict[Topology, str]
) -> None:
    for place, row in enumerate(rows):
        values = [100 * outcome.test_accuracy for outcome in row.outcomes]
        color = colors[row.topology]
        # Accuracies are multiples of one test image: side by side, equal ones stay visible.
        step = 0.3 / max(len(values), 1)
        across = [place + step * (number - (len(values) - 1) / 2) for number in range(len(values))]
        ax.plot(across, values, "o", color=color, alpha=0.6, markersize=5)
        ax.plot([place - 0.25, place + 0.25], [statistics.fmean(values)] * 2, color=color, lw=2)
    ax.set_xticks(range(len(rows)), [labels[row.topology] for row in rows], rotation=20, fontsize=8)
    ax.set_ylabel("test accuracy at the end, %")
