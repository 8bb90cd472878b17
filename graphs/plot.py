"""Pictures of connectomes by the coordinates of their neurons."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, signs, validate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType

_NEURON = "#16324f"
_SYNAPSE = "#5f8fbf"
_EXCITATORY, _INHIBITORY = "#3a7ca5", "#c8553d"
_MOST_IN_LEGEND = 10
_SLIM = 8


def plot(
    data: Data,
    *,
    ax: Axes | None = None,
    max_synapses: int = 20_000,
    node_size: float | None = None,
    node_color: ColorType | None = None,
    edge_color: ColorType | None = None,
    alpha: float | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Axes:
    """Draw a connectome by `pos`: neurons as dots, synapses as thin lines.

    In two dimensions this is figure 2 of A. Ejima, "Neurons regarded as Graph". In one, synapses
    are arcs, above the line where they run to the right and below where they run to the left.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome with ``pos`` [N, D], D = 1, 2 or 3.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if left out. Three dimensions need ``projection="3d"``.
    max_synapses : int
        Of more synapses a random sample is drawn, and the title says so.
    node_size : float, optional
        Area of a dot in square points; fitted to the number of neurons if left out.
    node_color, edge_color : color, optional
        If left out, neurons are coloured by ``node_type`` and synapses by ``edge_sign`` (else by
        the ``node_sign`` of their source) where the connectome has them.
    alpha : float, optional
        Opacity of a synapse in [0, 1]; fitted to the length of all lines if left out.
    seed : int, numpy.random.Generator or None
        Source of randomness of the sample.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Save the picture with ``ax.figure.savefig("connectome.png")``.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract or has no ``pos``, `ax` is flat and ``pos`` is not, or an
        argument is of another type or out of range.

    Notes
    -----
    Self-loops are not drawn. O(N + E) time and memory.

    Examples
    --------
    >>> import graphs
    >>> ax = graphs.plot(graphs.coordinate_random(200, (20, 10), 2.0, seed=0))
    >>> ax.get_title()
    '200 neurons, 742 synapses'
    """
    pos = _coordinates(data)
    shown = _sample(data, arguments.count("max_synapses", max_synapses), seed)
    ends = pos[data.edge_index.cpu().numpy()[:, shown]]
    if node_size is None:
        node_size = 0.3 + min(60.0, 12_000 / (1 + data.num_nodes))
    if alpha is None:
        alpha = _opacity(pos, ends)
    size = arguments.real("node_size", node_size)
    opacity = arguments.real("alpha", alpha, at_most=1.0)

    ax = _axes(ax, pos.shape[1])
    _draw_synapses(
        ax,
        ends,
        colors=_edge_colors(data, shown) if edge_color is None else edge_color,
        alpha=opacity,
        linewidths=0.4 + 0.6 * opacity,
    )
    _draw_neurons(ax, data, pos, size, node_color)
    _frame(ax, pos)
    title = f"{data.num_nodes:,} neurons, {data.num_edges:,} synapses"
    if data.num_edges > max_synapses:
        title += f" ({len(shown):,} drawn)"
    ax.set_title(title, fontsize="medium")
    return ax


def _coordinates(data: Data) -> NDArray[np.float32]:
    if "pos" not in validate(data):
        raise ValueError(
            "a picture needs pos, the coordinates of the neurons, got a connectome without; set "
            "data.pos = torch.rand(data.num_nodes, 2), or a layout such as "
            "networkx.spring_layout(graphs.to_networkx(data))"
        )
    pos: NDArray[np.float32] = data.pos.detach().cpu().numpy()
    return pos


def _sample(data: Data, most: int, seed: int | np.random.Generator | None) -> Index:
    """At most so many synapses, in their order."""
    rng = arguments.generator(seed)
    synapses = data.edge_index.shape[1]
    if synapses <= most:
        return np.arange(synapses)
    return np.sort(rng.choice(synapses, most, replace=False))


def _axes(ax: Axes | None, dimensions: int) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt  # noqa: PLC0415

        projection = "3d" if dimensions == 3 else None
        _, ax = plt.subplots(
            figsize=(8, 6), layout="constrained", subplot_kw={"projection": projection}
        )
    elif getattr(ax, "name", None) not in ("rectilinear", "3d"):
        got = getattr(ax, "name", type(ax).__name__)
        raise TypeError(
            f"ax must be matplotlib axes, rectilinear or 3d, got {got}; pass "
            "ax=plt.figure().add_subplot()"
        )
    elif (ax.name == "3d") != (dimensions == 3):
        raise ValueError(
            f"pos has {dimensions} dimensions, got axes of the projection {ax.name!r}; pass "
            "ax=plt.figure().add_subplot(" + ('projection="3d")' if dimensions == 3 else ")")
        )
    return ax


def _opacity(pos: NDArray[np.float32], ends: NDArray[np.float32]) -> float:
    if ends.size == 0:
        return 1.0
    span = np.ptp(pos, axis=0)
    lengths = np.linalg.norm((ends[1] - ends[0]) / np.where(span > 0, span, 1), axis=1)
    # Ink on paper grows with the length of all lines; found by looking at pictures.
    return min(0.8, 8 / math.sqrt(1 + float(lengths.sum())))


def _edge_colors(data: Data, shown: Index) -> Any:
    sign = signs(data)
    if sign is None:
        return _SYNAPSE
    return np.where(sign[shown] > 0, _EXCITATORY, _INHIBITORY)


def _draw_synapses(ax: Axes, ends: NDArray[np.float32], **style: Any) -> None:
    """Draw lines between `ends` [2, E, D]."""
    if ends.shape[2] == 3:
        from mpl_toolkits.mplot3d.art3d import (  # type: ignore[import-untyped]  # noqa: PLC0415
            Line3DCollection,
        )

        ax.add_collection(Line3DCollection(ends.transpose(1, 0, 2), zorder=1, **style))
        return
    from matplotlib.collections import LineCollection  # noqa: PLC0415

    lines = _arcs(ends[..., 0]) if ends.shape[2] == 1 else ends.transpose(1, 0, 2)
    ax.add_collection(LineCollection(list(lines), zorder=1, **style))


def _arcs(ends: NDArray[np.float32]) -> NDArray[np.float64]:
    """Half circles from source to target [2, E], clockwise: [E, points, 2]."""
    angle = np.linspace(np.pi, 0, 33)
    middle, radius = ends.mean(axis=0)[:, None], np.diff(ends, axis=0).T / 2
    return np.stack((middle + radius * np.cos(angle), radius * np.sin(angle)), axis=2)


def _draw_neurons(
    ax: Axes, data: Data, pos: NDArray[np.float32], size: float, color: ColorType | None
) -> None:
    points = np.pad(pos, ((0, 0), (0, 1))) if pos.shape[1] == 1 else pos
    style: dict[str, Any] = {"s": size, "linewidths": 0, "zorder": 2}
    if color is not None or "node_type" not in data:
        ax.scatter(*points.T, color=_NEURON if color is None else color, **style)
        return
    kinds = data["node_type"].cpu().numpy()
    present = np.unique(kinds)
    names = data.get("node_type_names")
    for number, kind in enumerate(present.tolist()):
        ax.scatter(
            *points[kinds == kind].T,
            color=f"C{number % 10}",
            label=str(kind) if names is None else names[kind],
            **style,
        )
    if len(present) <= _MOST_IN_LEGEND:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, markerscale=1.5)


def _frame(ax: Axes, pos: NDArray[np.float32]) -> None:
    span = np.ptp(pos, axis=0) if len(pos) else np.ones(pos.shape[1])
    ax.autoscale_view()
    if pos.shape[1] == 3:
        # A flat cloud still needs a box with some height.
        ax.set_box_aspect(np.maximum(span, 0.05 * span.max() or 1.0))  # type: ignore[arg-type]
        return
    ax.spines[["top", "right"]].set_visible(False)
    if pos.shape[1] == 1:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    # Layers of hundreds of units would shrink to a line in equal units.
    slim = pos.shape[1] == 2 and span.max() > _SLIM * span.min() > 0
    ax.set_aspect("auto" if slim else "equal", adjustable="datalim" if 0 in span else "box")
