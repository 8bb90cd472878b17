"""Plot of a connectome by the coordinates of its neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate
from graphs.plots import canvas, colors, lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType

_SLIM = 8
_MOST_MEASURED = 2000
# In square points; larger than a page.
_LARGEST_DOT = 1e6


def plot(
    data: Data,
    *,
    ax: Axes | None = None,
    max_edges: int | None = None,
    node_size: float | None = None,
    node_color: ColorType | None = None,
    edge_color: ColorType | None = None,
    alpha: float | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Axes:
    """Draw a connectome by ``pos``, with neurons as dots and synapses as thin lines.

    In two dimensions this is figure 2 of A. Ejima, "Neurons regarded as Graph". In one dimension
    synapses are arcs, above the line if they run to the right and below if they run to the left.

    Args:
        data: A connectome with ``pos`` [N, D], D = 1, 2 or 3.
        ax: The axes to draw on; three dimensions need ``projection="3d"``. By default a new figure
            is made.
        max_edges: Largest number of synapses to draw. If there are more, a random sample is drawn,
            and the title states its size. By default at most 20,000 are drawn, and no more than the
            axes have room for.
        node_size: Area of a dot in square points, at most 10^6. By default it depends on the
            distances between neurons.
        node_color: A Matplotlib color, or a list of one color for each neuron. By default neurons
            are colored by ``node_type``. A legend lists up to ten populations; more are colored by
            a color map, in their order. Neurons of different populations at the same place, as in
            the columns of a fly's eye, are drawn as a dark dot.
        edge_color: A Matplotlib color, or a list of one color for each synapse. By default synapses
            are colored by ``edge_sign``, or by the ``node_sign`` of their source.
        alpha: Opacity of a synapse in [0, 1]. By default it depends on the total length of the
            lines and the size of the axes.
        seed: Source of randomness of the sample.

    Returns:
        The axes. Save the plot with ``ax.figure.savefig("connectome.png")``.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract or has no ``pos``, ``ax`` and ``pos`` differ in
            dimensions, or an argument is out of range.

    Note:
        Self-loops are not drawn. Sizes are fitted to the axes as they are during the call.
        O(N log N + E) time and O(N + E) memory.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> import graphs
        >>> ax = graphs.plot(graphs.coordinate_random(200, (20, 10), 2.0, seed=0))
        >>> ax.get_title()
        '200 neurons, 742 synapses'
        >>> plt.close(ax.figure)
    """
    pos = coordinates(data)
    rng = arguments.generator(seed)
    shown = lines.sample(data.num_edges, max_edges, rng)
    size = (
        None if node_size is None else arguments.real("node_size", node_size, at_most=_LARGEST_DOT)
    )
    opacity = None if alpha is None else arguments.real("alpha", alpha, at_most=1.0)
    neurons = np.arange(data.num_nodes)
    if node_color is not None:
        node_color = colors.given("node_color", node_color, data.num_nodes, neurons)
    if edge_color is not None:
        colors.given("edge_color", edge_color, data.num_edges, shown)

    new = ax is None
    ax = canvas.axes(ax, 3 if pos.shape[1] == 3 else 2)
    scale, area = _scale(ax, pos)
    edges = data.edge_index.cpu().numpy()
    lengths = _lengths(pos * scale, edges[:, shown])
    if max_edges is None:
        kept = lines.thin(lengths, area, rng)
        shown, lengths = shown[kept], lengths[kept]
    if opacity is None:
        opacity = lines.opacity(lengths, area)
    _draw_synapses(
        ax,
        pos[edges[:, shown]],
        colors=colors.of_synapses(data, shown)
        if edge_color is None
        else colors.given("edge_color", edge_color, data.num_edges, shown),
        alpha=opacity,
        linewidths=lines.width(opacity),
    )
    dot = _dot(pos * scale, area) if size is None else size
    _draw_neurons(ax, data, pos, dot, node_color)
    _frame(ax, pos, turn=new)
    ax.set_title(title(data, len(shown)), fontsize="medium")
    return ax


def coordinates(data: Data) -> NDArray[np.float32]:
    """Return ``pos`` of a connectome that keeps the contract, or raise a ValueError without one."""
    if "pos" not in validate(data):
        raise ValueError(
            "this plot needs pos, the coordinates of the neurons, but data has none; set "
            "data.pos = torch.rand(data.num_nodes, 2); or compute a layout, layout = "
            "networkx.spring_layout(graphs.to_networkx(data)); data.pos = "
            "torch.tensor([list(layout[each]) for each in range(data.num_nodes)]).float(); or call "
            "graphs.plot_circular(data)"
        )
    pos: NDArray[np.float32] = data.pos.detach().cpu().numpy()
    return pos


def title(data: Data, drawn: int) -> str:
    """Return the numbers of neurons and synapses, and of drawn synapses if not all are drawn."""
    told = f"{data.num_nodes:,} neurons, {data.num_edges:,} synapses"
    return told if drawn == data.num_edges else f"{told} ({drawn:,} drawn)"


def slim(pos: NDArray[np.float32]) -> bool:
    """Return whether a plane is so narrow that equal units would shrink it to a line."""
    span = span_of(pos)
    return len(span) == 2 and bool(span.max() > _SLIM * span.min() > 0)


def span_of(pos: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the extent of the coordinates along each axis, 1 without neurons."""
    # The difference of two float32 values may overflow.
    return np.ptp(pos.astype(np.float64), axis=0) if len(pos) else np.ones(pos.shape[1])


def _scale(ax: Axes, pos: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Return points per unit along each axis, and the area of the neurons in square points."""
    room = np.array(canvas.size(ax))
    span = span_of(pos)
    whole = np.where(span > 0, span, max(span.max(), 1e-30))
    if len(span) == 1:
        # Arcs on one axis only use a strip of the axes.
        return room[:1] / whole, float(room.prod()) / 10
    if len(span) == 3:
        # A rotated box fills about this share of its axes.
        room = np.full(3, 0.7 * room.min())
    scale = room / whole
    if not slim(pos):
        scale = np.full(len(span), scale.min())
    sides = np.sort(np.maximum(span * scale, 0.05 * room.min()))
    # Lines between layers of unequal width only fill a wedge.
    return scale, float(sides[-2:].prod()) / (2 if slim(pos) else 1)


def _lengths(points: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the length of each line in points; on one axis, that of a half circle."""
    source, target = edges
    length = np.linalg.norm(points[target] - points[source], axis=1)
    return length * np.pi / 2 if points.shape[1] == 1 else length


def _dot(points: NDArray[np.float64], area: float) -> float:
    """Return an area of dots that leaves space between neurons."""
    # Neurons of several populations may share a place.
    places = np.unique(points, axis=0)
    if len(places) < 2:
        return 60.0
    some = places[:: 1 + len(places) // _MOST_MEASURED]
    nearest = np.asarray(KDTree(places).query(some, k=2)[0])
    gap = float(np.median(nearest[:, 1])) * np.sqrt(area / len(places))
    least = 0.3 + min(4.0, 1200 / len(points))
    return float(np.clip(0.2 * gap, least, 60.0))


def _draw_synapses(ax: Axes, ends: NDArray[np.float32], **style: Any) -> None:
    """Draw lines between ``ends`` [2, E, D]."""
    if ends.shape[2] == 3:
        from mpl_toolkits.mplot3d.art3d import (  # type: ignore[import-untyped]  # noqa: PLC0415
            Line3DCollection,
        )

        ax.add_collection(Line3DCollection(ends.transpose(1, 0, 2), zorder=1, **style))
        return
    from matplotlib.collections import LineCollection  # noqa: PLC0415

    paths = arcs(ends[..., 0], 33) if ends.shape[2] == 1 else ends.transpose(1, 0, 2)
    ax.add_collection(LineCollection(list(paths), zorder=1, **style))


def arcs(ends: NDArray[np.float32], points: int) -> NDArray[np.float64]:
    """Return half circles [E, points, 2], clockwise from source to target [2, E]."""
    angle = np.linspace(np.pi, 0, points)
    middle, radius = ends.mean(axis=0)[:, None], np.diff(ends, axis=0).T / 2
    return np.stack((middle + radius * np.cos(angle), radius * np.sin(angle)), axis=2)


def _draw_neurons(
    ax: Axes, data: Data, pos: NDArray[np.float32], size: float, color: ColorType | None
) -> None:
    points = np.pad(pos, ((0, 0), (0, 1))) if pos.shape[1] == 1 else pos
    kinds = [] if color is not None else colors.populations(data)
    chosen = color
    if color is None:
        chosen = colors.of_neurons(kinds, data.num_nodes)
        # Of several neurons at one place, only the last would be visible.
        chosen[_mixed(pos, kinds)] = colors.NEURON
    style: dict[str, Any] = {"color": chosen, "s": size, "linewidths": 0, "zorder": 2}
    ax.scatter(*points.T, **style)
    colors.legend(ax, data, kinds, inside=points.shape[1] == 3)


def _mixed(pos: NDArray[np.float32], kinds: list[colors.Population]) -> NDArray[np.bool_]:
    """Return which neurons are at the same place as one of another population."""
    kind = np.zeros(len(pos), np.int64)
    for number, each in enumerate(kinds):
        kind[each.members] = number
    _, place = np.unique(pos, axis=0, return_inverse=True)
    place = place.reshape(-1)
    lowest, highest = np.full(len(pos), len(kinds)), np.full(len(pos), -1)
    np.minimum.at(lowest, place, kind)
    np.maximum.at(highest, place, kind)
    return np.asarray((lowest < highest)[place])


def _frame(ax: Axes, pos: NDArray[np.float32], *, turn: bool) -> None:
    span = span_of(pos)
    ax.autoscale_view()
    if pos.shape[1] == 3:
        _frame_box(ax, span, turn=turn)
        return
    ax.spines[["top", "right"]].set_visible(False)
    if pos.shape[1] == 1:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    # With equal units, layers of hundreds of neurons would shrink to a line.
    ax.set_aspect("auto" if slim(pos) else "equal", adjustable="datalim" if 0 in span else "box")


def _frame_box(ax: Any, span: NDArray[np.float64], *, turn: bool) -> None:
    longest = span.max() or 1.0
    # A flat cloud still needs a box with some height,
    # and the box must leave room for the tick labels.
    ax.set_box_aspect(np.maximum(span, 0.05 * longest), zoom=0.95)
    for axis, side in zip((ax.xaxis, ax.yaxis, ax.zaxis), span, strict=True):
        if side < longest / 4:
            axis.get_major_locator().set_params(nbins=2)
    if turn and span[1] > 2 * span[0]:
        # Otherwise a body that extends along y is viewed from its end.
        ax.view_init(azim=-20)
