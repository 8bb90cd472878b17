"""The figure of a comparison: its connectomes and their test accuracies."""

from __future__ import annotations

import itertools

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from torch_geometric.data import Data

import graphs
from sparsebrain.experiments.figures.curves import (
    COLORS,
    draw_accuracy,
    draw_ends,
    draw_runs,
    shortened,
)
from sparsebrain.experiments.report import Row
from sparsebrain.experiments.topology import break_options, parse
from sparsebrain.experiments.training import connectome_of

_NEUTRAL = "#7f8c99"


def draw(rows: list[Row], sheet: tuple[int, ...], *, title: str) -> Figure:
    """Draw the connectomes of the first seed, the accuracy by epoch and that of every run.

    Args:
        rows: One row per topology, with the topology as its label.
        sheet: The lattice of the data set.
        title: The title of the figure.
    """
    labels = _labels(rows)
    drawn = [place for place, row in enumerate(rows) if row.mean("synapses")]
    columns = max(len(drawn), 1)
    figure = Figure(figsize=(3.4 * max(columns, 3), 7.4), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.05))[:, 0]
    for column, place in enumerate(drawn, start=1):
        color = COLORS[place % len(COLORS)]
        data = connectome_of(rows[place].runs[0], sheet)
        assert data is not None
        _draw_connectome(upper, (1, columns, column), data, labels[place], color)
    curves, dots = lower.subplots(1, 2, width_ratios=(1.5, 1))
    draw_accuracy(curves, rows)
    draw_runs(dots, rows, labels)
    return figure


def draw_rules(rows: list[Row], sheet: tuple[int, ...], *, title: str) -> Figure:
    """Draw, per topology, its connectome, the accuracies of all rules by epoch and the final ones.

    Args:
        rows: One row per topology and rule, with the topology as its label; each rule has a color.
        sheet: The lattice of the data set.
        title: The title of the figure.
    """
    rules = list(dict.fromkeys(row.rule for row in rows))
    colors = dict(zip(rules, itertools.cycle(COLORS), strict=False))
    topologies: dict[str, list[Row]] = {}
    for row in rows:
        topologies.setdefault(row.label, []).append(row)
    labels = _labels([first for first, *_ in topologies.values()])
    columns = len(topologies)
    figure = Figure(figsize=(3.4 * max(columns, 3), 10.5), layout="constrained")
    figure.suptitle(title)
    upper, middle, lower = figure.subfigures(3, 1, squeeze=False, height_ratios=(1, 0.8, 1))[:, 0]
    panels = middle.subplots(1, columns, sharey=True, squeeze=False)[0]
    for column, (of_topology, panel) in enumerate(zip(topologies.values(), panels, strict=True)):
        data = connectome_of(of_topology[0].runs[0], sheet)
        if data is not None:
            where = (1, columns, column + 1)
            _draw_connectome(upper, where, data, labels[column], _NEUTRAL)
        draw_accuracy(panel, of_topology, [colors[row.rule] for row in of_topology])
        panel.get_legend().remove()
        panel.set_title(labels[column], fontsize=9)
        panel.label_outer()
    # The panels share one axis, and each has set its limit for itself alone.
    settled = [
        epoch.test_accuracy for row in rows for curve in row.finished.curves for epoch in curve[2:]
    ]
    if settled:
        panels[0].set_ylim(bottom=100 * min(settled) - 0.5)
    dots, width = lower.subplots(), 0.8 / len(rules)
    for place, of_topology in enumerate(topologies.values()):
        for row in of_topology:
            across = place + width * (rules.index(row.rule) - (len(rules) - 1) / 2)
            draw_ends(dots, row, across, 0.8 * width, colors[row.rule])
    dots.set_xticks(range(columns), labels, fontsize=8)
    handles = [Line2D([], [], color=colors[rule], label=rule, lw=2) for rule in rules]
    lower.legend(handles=handles, loc="outside lower center", ncols=min(len(rules), 5))
    return figure


def _draw_connectome(
    figure: SubFigure, where: tuple[int, int, int], data: Data, label: str, color: str
) -> None:
    """Draw a connectome into one place of a figure, as its adjacency matrix without positions."""
    solid = "pos" in data and data.pos.size(1) == 3
    ax = figure.add_subplot(*where, projection="3d" if solid else None)
    if "pos" in data:
        graphs.plot(data, ax=ax, edge_color=color, node_size=6)
        ax.set_axis_off()
    else:
        _draw_matrix(ax, data, color)
    ax.set_title(f"{label}\n{data.num_edges} synapses", fontsize=9)


def _draw_matrix(ax: Axes, data: Data, color: str) -> None:
    """Draw the adjacency matrix, one dot per synapse."""
    source, target = data.edge_index.tolist()
    ax.plot(source, target, ",", color=color)
    ax.set(aspect="equal", xlabel="source", ylabel="target", xticks=[], yticks=[])
    ax.invert_yaxis()


def _broken(label: str) -> str:
    """Return a label with one option per line, and the end of lines that are long."""
    return "\n".join(shortened(line) for line in break_options(label, "\n").split("\n"))


def _labels(rows: list[Row]) -> list[str]:
    """Return each kind if it is unique among the rows, else the full text, one option per line.

    A label of the caller's stays as it is.
    """
    specs = [row.runs[0].topology for row in rows]
    kinds = [
        parse(spec).kind if spec == row.label else row.label
        for spec, row in zip(specs, rows, strict=True)
    ]
    return [
        shortened(kind) if kinds.count(kind) == 1 else _broken(row.label)
        for kind, row in zip(kinds, rows, strict=True)
    ]
