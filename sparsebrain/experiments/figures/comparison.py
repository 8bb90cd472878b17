"""The picture of a comparison: the connectomes, and how well they learn."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch_geometric.data import Data

import graphs
from sparsebrain.experiments.figures.curves import COLORS, draw_accuracy, draw_runs
from sparsebrain.experiments.report import Row
from sparsebrain.experiments.topology import break_options, build, parse


def draw(rows: list[Row], sheet: tuple[int, ...], wanted: int, *, title: str) -> Figure:
    """The connectomes of the first seed, the accuracy over the epochs, and that of every run.

    Args:
        rows: with topologies as labels.
        sheet: the lattice of the data set.
        wanted: the budget of synapses.
        title: of the whole.
    """
    labels = _labels(rows)
    drawn = [place for place, row in enumerate(rows) if row.mean("synapses")]
    columns = max(len(drawn), 1)
    figure = Figure(figsize=(3.4 * max(columns, 3), 7.4), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.05))[:, 0]
    for column, place in enumerate(drawn, start=1):
        data = build(parse(rows[place].label), sheet, synapses=wanted, seed=0)
        assert data is not None
        color, solid = COLORS[place % len(COLORS)], "pos" in data and data.pos.size(1) == 3
        ax = upper.add_subplot(1, columns, column, projection="3d" if solid else None)
        if "pos" in data:
            graphs.plot(data, ax=ax, edge_color=color, node_size=6)
            ax.set_axis_off()
        else:
            _draw_matrix(ax, data, color)
        ax.set_title(f"{labels[place]}\n{data.num_edges} synapses", fontsize=9)
    curves, dots = lower.subplots(1, 2, width_ratios=(1.5, 1))
    draw_accuracy(curves, rows)
    draw_runs(dots, rows, labels)
    return figure


def _draw_matrix(ax: Axes, data: Data, color: str) -> None:
    """What can be drawn of neurons without a place: a dot for each synapse."""
    source, target = data.edge_index.tolist()
    ax.plot(source, target, ",", color=color)
    ax.set(aspect="equal", xlabel="source", ylabel="target", xticks=[], yticks=[])
    ax.invert_yaxis()


def _labels(rows: list[Row]) -> list[str]:
    """The kind alone where it tells topologies apart, else the whole text, an option a line."""
    kinds = [parse(row.label).kind for row in rows]
    return [
        kind if kinds.count(kind) == 1 else break_options(row.label, "\n")
        for kind, row in zip(kinds, rows, strict=True)
    ]
