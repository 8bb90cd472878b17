"""Plot of a connectome as a circle of neurons."""

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

# Gap between two populations, and the largest total of all gaps, as shares of the circle.
_GAP, _MOST_GAPS = 0.008, 0.2
# Height and width of a letter in points, and the largest number of letters of a name.
_LETTER, _LETTER_WIDTH, _MOST_LETTERS = 9.0, 4.2, 25
# Width of an entry of the legend without its letters.
_KEY = 40.0
# Largest share of the radius for names, and the smallest number of letters that is readable.
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
    """Draw neurons on a circle, sorted by population, and synapses as curves across it.

    A curve bends to the right on its way from source to target, so that both directions of a pair
    are visible. Neurons are arranged clockwise from the top, sorted by ``node_type`` and then by
    number. No coordinates are needed.

    Args:
        data: A connectome.
        ax: The axes to draw on. By default a new figure is made.
        max_edges: Largest number of synapses to draw. If there are more, a random sample is drawn,
            and the title states its size. By default at most 20,000 are drawn, and no more than the
            circle has room for.
        edge_color: A Matplotlib color, or a list of one color for each synapse. By default synapses
            are colored by ``edge_sign``, otherwise by the ``node_sign`` of their source, and
            without signs by the population of their source.
        alpha: Opacity of a synapse in [0, 1]. By default it depends on the total length of the
            curves.
        seed: Source of randomness of the sample.

    Returns:
        The axes. Populations are named where there is room.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, ``ax`` is three-dimensional, or an argument is
            out of range.

    Note:
        Self-loops are not drawn. O(N + E) time and memory.

    Example:
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
    # On small axes names are shortened so that the circle keeps its size.
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
    # The legend is below the circle: names are in the corners, and space at the side is scarce.
    columns = int(2 * half / (_KEY + longest * _LETTER_WIDTH))
    colors.legend(ax, data, [] if whole else kinds, columns=max(1, columns))
    edge = half / radius
    ax.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    ax.set_axis_off()
    ax.set_title(canvas.broken(ax, title(data, len(shown))), fontsize="medium")
    return ax


def _angles(kinds: list[colors.Population], neurons: int) -> NDArray[np.float64]:
    """Return the angle of each neuron: clockwise from the top, with gaps between populations."""
    gap = min(_GAP, _MOST_GAPS / max(1, len(kinds))) if len(kinds) > 1 else 0.0
    sizes = [len(each.members) for each in kinds]
    gaps = np.repeat(gap * (np.arange(len(kinds)) + 0.5), sizes)
    turn = np.empty(neurons)
    turn[colors.in_order(kinds)] = (np.arange(neurons) + 0.5) / max(1, neurons) * (
        1 - gap * len(kinds)
    ) + gaps
    return np.pi / 2 - 2 * np.pi * turn


def _curves(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return curves [E, points, 2] from start to end [E, 2], bent to the right."""
    right = (end - start)[:, ::-1] * (1, -1)
    # Curves between close neurons stay near the ring.
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

    # Slightly less than half the arc of a neuron.
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
