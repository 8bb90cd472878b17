"""Plot of the adjacency matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, validate
from graphs.plots import canvas, colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Larger images would take hundreds of megabytes.
_MOST_CELLS = 4096
_LETTER, _LEAST_BORDER = 9.0, 3.0


def plot_adjacency(data: Data, *, ax: Axes | None = None, cells: int | None = None) -> Axes:
    """Draw the adjacency matrix, sorted by population: rows are sources, columns are targets.

    The cell at row s and column t counts the synapses from s to t, as in the matrix of
    :func:`graphs.to_scipy`. The first neuron is at the top left. If there are more neurons than
    cells, a cell counts the synapses between two groups of consecutive neurons. Darker cells have
    more synapses, on a logarithmic scale, and white cells have none. The title gives the largest
    count.

    Args:
        data: A connectome. With ``node_type``, the neurons are sorted by population and then by
            number, and the populations have borders and, if there is room, names. With signs,
            excitatory and inhibitory synapses are two images, the inhibitory one on top.
        ax: The axes to draw on. By default a new figure is made.
        cells: Largest number of cells along a side, at most 4096. The default is the number of
            pixels of the axes. All cells have the same whole number of neurons along a side.

    Returns:
        The axes. Their ``images`` contain the counts.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, ``ax`` is three-dimensional, or ``cells`` is
            out of range.

    Note:
        O(N log N + E) time and O(N + E + cells^2) memory. The full matrix is not built.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> import graphs
        >>> ax = graphs.plot_adjacency(graphs.layered([3, 2]))
        >>> ax.images[0].get_array().filled(0).astype(int)
        array([[0, 0, 0, 1, 1],
               [0, 0, 0, 1, 1],
               [0, 0, 0, 1, 1],
               [0, 0, 0, 0, 0],
               [0, 0, 0, 0, 0]])
        >>> areas = graphs.stochastic_block([60, 30], [[0.2, 0.02], [0.05, 0.4]], seed=0)
        >>> ax = graphs.plot_adjacency(areas)
        >>> plt.close("all")
    """
    validate(data)
    wanted = _MOST_CELLS if cells is None else arguments.count("cells", cells, at_least=1)
    if wanted > _MOST_CELLS:
        raise ValueError(
            f"cells must be an integer in [1, {_MOST_CELLS}], got {cells}; pass cells=1000"
        )
    ax = canvas.axes(ax, figsize=(7, 7))
    side = 0.8 * min(canvas.size(ax))
    if cells is None:
        wanted = min(wanted, int(side * ax.figure.dpi / 72))
    # Neurons per cell. Groups of unequal size would look like a pattern.
    group = max(1, math.ceil(data.num_nodes / wanted))

    kinds = colors.populations(data)
    images = _images(data, colors.in_order(kinds), group)
    most = max(1, *(int(counts.max()) for counts, _ in images))
    for counts, color in images:
        _draw(ax, counts, color, most, group)
        if len(images) > 1 and group > 1:
            ax.images[-1].set_alpha(0.75)
    edge = max(1, data.num_nodes)
    ax.set(xlim=(0, edge), ylim=(edge, 0))
    if "node_type" in data:
        _draw_borders(ax, kinds, side)
    colors.legend(ax, data, [])
    ax.set_xlabel("target")
    ax.set_ylabel("source")
    told = f"{data.num_nodes:,} neurons, {data.num_edges:,} synapses"
    if group > 1:
        told += f"; cells of {group} x {group} neurons"
    told += f"; up to {most:,} per cell" if most > 1 else ""
    ax.set_title(canvas.broken(ax, told), fontsize="medium")
    return ax


def _images(data: Data, order: Index, group: int) -> list[tuple[Index, str]]:
    """Return, for each sign, the counts of synapses [cells, cells] and the color."""
    cells = max(1, math.ceil(data.num_nodes / group))
    cell = np.empty(data.num_nodes, np.int64)
    cell[order] = np.arange(data.num_nodes) // group
    source, target = cell[data.edge_index.cpu().numpy()]
    place = source * cells + target
    parts = [(place[own], color) for _, color, own in colors.by_sign(data)]
    parts = parts or [(place, colors.NEURON)]
    return [
        (np.bincount(part, minlength=cells**2).reshape(cells, cells), color)
        for part, color in parts
    ]


def _draw(ax: Axes, counts: Index, color: str, most: int, group: int) -> None:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb  # noqa: PLC0415

    rgb: NDArray[Any] = np.array(to_rgb(color))
    light, dark = tuple(0.6 + 0.4 * rgb), tuple(0.6 * rgb)
    edge = group * len(counts)
    ax.imshow(
        np.ma.masked_equal(counts, 0),
        cmap=LinearSegmentedColormap.from_list("synapses", [light, color, dark]),
        # If no cell has more than one synapse, single synapses are dark.
        norm=LogNorm(min(1.0, most / 10), most),
        extent=(0, edge, edge, 0),
        interpolation="antialiased",
        interpolation_stage="rgba",
    )


def _draw_borders(ax: Axes, kinds: list[colors.Population], side: float) -> None:
    sizes = [len(each.members) for each in kinds]
    borders = np.cumsum([0, *sizes])
    neurons = max(1, int(borders[-1]))
    if len(kinds) * _LEAST_BORDER < side:
        ax.hlines(borders[1:-1], 0, neurons, colors="0.8", linewidths=0.5, zorder=-1)
        ax.vlines(borders[1:-1], 0, neurons, colors="0.8", linewidths=0.5, zorder=-1)
    middles = ((borders[:-1] + borders[1:]) / 2).tolist()
    shown = canvas.legible([each / neurons * side for each in middles], sizes, _LETTER)
    names = [colors.literal(kinds[at].name) for at in shown]
    places = [middles[at] for at in shown]
    small = "small" if len(shown) <= 20 else "xx-small"
    ax.set_xticks(places, names, rotation=90, fontsize=small)
    ax.set_yticks(places, names, fontsize=small)
    ax.tick_params(length=0)
