"""Pictures of connectomes as a circle of neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import signs, validate
from graphs.plots import canvas, colors, lines
from graphs.plots.positions import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType

# The share of the circle that is left free between populations.
_GAP, _MOST_GAPS = 0.008, 0.2
# The height and width of a letter in points, and how many a name may have beside the circle.
_LETTER, _LETTER_WIDTH, _MOST_LETTERS = 9.0, 4.2, 25
# The width of an entry of the legend without its letters.
_KEY = 40.0
# What share of the radius names may take, and from how many letters on they tell anything.
_MOST_NAMES, _FEWEST_LETTERS = 0.55, 5


def plot_circular(
    data: Data,
    *,
    ax: Axes | None = None,
    max_edges: int | None = None,
    edge_color: ColorType | None = None,
    alpha: float | None = None,
    seed: int | np.random.Generator | None = 0,
) -> Axes:
    """Draw neurons on a circle, population by population, and synapses as curves across it.

    A curve bends to the right of its way from source to target, so that both directions of a pair
    are seen. Neurons go clockwise from the top, in the order of ``node_type`` and, within a
    population, of their numbers. No coordinates are needed.

    Parameters
    ----------
    data : torch_geometric.data.Data
        A connectome.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if left out.
    max_edges : int, optional
        Of more synapses a random sample is drawn, and the title says so. If left out, at most
        20,000, and no more than the circle has room for.
    edge_color : color, optional
        If left out, synapses are coloured by ``edge_sign`` (else by the ``node_sign`` of their
        source), and where there are no signs by the population of their source.
    alpha : float, optional
        Opacity of a synapse in [0, 1]; fitted to the length of all curves if left out.
    seed : int, numpy.random.Generator or None
        Source of randomness of the sample.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Names stand where there is room for them.

    Raises
    ------
    TypeError, ValueError
        If `data` breaks the contract, `ax` is not flat, or an argument is of another type or out
        of range.

    Notes
    -----
    Self-loops are not drawn. O(N + E) time and memory.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import graphs
    >>> ax = graphs.plot_circular(graphs.c_elegans())
    >>> [text.get_text() for text in ax.texts][:3]
    ['sensory', 'interneuron', 'motor']
    >>> plt.close(ax.figure)
    """
    validate(data)
    rng = arguments.generator(seed)
    shown = lines.sample(data.num_edges, max_edges, rng)
    opacity = None if alpha is None else arguments.real("alpha", alpha, at_most=1.0)

    if edge_color is not None:
        colors.given("edge_color", edge_color, data.num_edges, shown)
    from matplotlib.collections import LineCollection  # noqa: PLC0415

    ax = canvas.axes(ax, figsize=(7, 7))
    kinds = colors.populations(data)
    half = min(canvas.size(ax)) / 2
    longest = max((len(each.name) for each in kinds), default=0)
    # On small axes names are cut before the circle is.
    room = int(half * _MOST_NAMES / _LETTER_WIDTH)
    letters = min(longest, _MOST_LETTERS, room) if room >= _FEWEST_LETTERS else 0
    radius = (half - letters * _LETTER_WIDTH) / 1.1
    angle = _angles(kinds, data.num_nodes)
    places = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    ends = places[data.edge_index.cpu().numpy()[:, shown]]
    lengths = radius * np.linalg.norm(ends[1] - ends[0], axis=1)
    area = (2 * radius) ** 2
    if max_edges is None:
        kept = lines.thin(lengths, area, rng)
        shown, ends, lengths = shown[kept], ends[:, kept], lengths[kept]
    if opacity is None:
        opacity = lines.opacity(lengths, area)
    if edge_color is None:
        edge_color = colors.of_synapses(data, shown)
        if signs(data) is None:
            source = data.edge_index[0].cpu().numpy()[shown]
            edge_color = colors.of_neurons(kinds, data.num_nodes)[source].tolist()
    else:
        edge_color = colors.given("edge_color", edge_color, data.num_edges, shown)
    style = {"colors": edge_color, "alpha": opacity, "linewidths": lines.width(opacity)}
    ax.add_collection(LineCollection(list(_curves(*ends)), zorder=1, **style))
    _draw_ring(ax, kinds, angle, radius, letters)
    whole = len(ax.texts) == len(kinds) and letters == longest
    # Corners belong to names, and room at the side would be taken from the circle.
    columns = int(2 * half / (_KEY + longest * _LETTER_WIDTH))
    colors.legend(ax, data, [] if whole else kinds, columns=max(1, columns))
    edge = half / radius
    ax.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    ax.set_axis_off()
    ax.set_title(canvas.broken(ax, title(data, len(shown))), fontsize="medium")
    return ax


def _angles(kinds: list[colors.Population], neurons: int) -> NDArray[np.float64]:
    """Where each neuron sits: clockwise from the top, with a gap before every population."""
    gap = min(_GAP, _MOST_GAPS / max(1, len(kinds))) if len(kinds) > 1 else 0.0
    sizes = [len(each.members) for each in kinds]
    gaps = np.repeat(gap * (np.arange(len(kinds)) + 0.5), sizes)
    turn = np.empty(neurons)
    turn[colors.in_order(kinds)] = (np.arange(neurons) + 0.5) / max(1, neurons) * (
        1 - gap * len(kinds)
    ) + gaps
    return np.pi / 2 - 2 * np.pi * turn


def _curves(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Curves from start to end [E, 2], through the middle and to the right: [E, points, 2]."""
    right = (end - start)[:, ::-1] * (1, -1)
    # Those between neighbours stay near the ring.
    depth = 0.85 - 0.3 * np.linalg.norm(right, axis=1, keepdims=True)
    control = depth * (start + end) / 2 + 0.12 * right
    t = np.linspace(0, 1, 25)[:, None]
    return np.asarray(
        (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * control[:, None] + t**2 * end[:, None]
    )


def _draw_ring(
    ax: Axes,
    kinds: list[colors.Population],
    angle: NDArray[np.float64],
    radius: float,
    letters: int,
) -> None:
    from matplotlib.collections import LineCollection  # noqa: PLC0415

    # Half of the room that a neuron has on the ring.
    half = np.pi / max(1, len(angle)) * 0.8
    spans = [
        (angle[each.members[0]] + half, angle[each.members[-1]] - half)
        for each in kinds
        if len(each.members)
    ]
    ring = [
        1.03 * np.stack((np.cos(way), np.sin(way)), axis=1)
        for way in (np.linspace(*span, 100) for span in spans)
    ]
    ring_colors = [each.color for each in kinds]
    ax.add_collection(
        LineCollection(ring, colors=ring_colors, linewidths=5, capstyle="butt", zorder=2)
    )
    middles = [(first + last) / 2 for first, last in spans]
    weights = [len(each.members) for each in kinds]
    around = 2 * np.pi * radius
    for at in canvas.legible([each * radius for each in middles], weights, _LETTER, around=around):
        if not kinds[at].name or not letters:
            continue
        x, y = np.cos(middles[at]), np.sin(middles[at])
        turned, left = np.degrees(middles[at]), x < 0
        ax.text(
            1.07 * x,
            1.07 * y,
            colors.literal(_short(kinds[at].name, letters)),
            rotation=turned + 180 if left else turned,
            rotation_mode="anchor",
            horizontalalignment="right" if left else "left",
            verticalalignment="center",
            fontsize=7,
        )


def _short(name: str, letters: int) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"
