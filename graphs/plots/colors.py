"""Colors of populations and signs, chosen to be distinguishable with color blindness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.contract import Index, signs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEURON = "#16324f"
SYNAPSE = "#5f8fbf"
EXPECTED = "#e76300"
EXCITATORY, INHIBITORY, UNKNOWN = "#3a7ca5", "#c8553d", "#8a8a8a"

# M. A. Petroff, "Accessible color sequences for data visualization", arXiv:2107.02270.
_FEW = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)


class Population(NamedTuple):
    """The neurons of one ``node_type``.

    Attributes:
        name: The name, or the number if the types have no names.
        color: The color.
        members: The numbers of its neurons.
    """

    name: str
    color: str
    members: Index


def populations(data: Data) -> list[Population]:
    """Return the populations with neurons by ``node_type``, or one without a name.

    Up to ten populations have colors of their own. More are colored by a color map, in their order.
    """
    if "node_type" not in data:
        return [Population("", NEURON, np.arange(data.num_nodes))]
    kinds = data["node_type"].cpu().numpy()
    present, first = np.unique(np.sort(kinds), return_index=True)
    members = np.split(np.argsort(kinds, kind="stable"), first[1:])
    names = data.get("node_type_names")
    return [
        Population(str(kind) if names is None else names[kind], color, each)
        for kind, color, each in zip(present.tolist(), _colors(len(present)), members, strict=False)
    ]


def _colors(number: int) -> list[str]:
    if number <= len(_FEW):
        return list(_FEW[:number])
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.colors import to_hex  # noqa: PLC0415

    return [to_hex(color) for color in mpl.colormaps["viridis"](np.linspace(0, 1, number))]


def in_order(kinds: list[Population]) -> Index:
    """Return all neurons, sorted by population."""
    return np.concatenate([np.empty(0, np.int64), *(each.members for each in kinds)])


def of_neurons(kinds: list[Population], neurons: int) -> Any:
    """Return the color of each neuron."""
    color = np.empty(neurons, dtype=object)
    for each in kinds:
        color[each.members] = each.color
    return color


def given(name: str, value: Any, number: int, shown: Index) -> Any:
    """Return one color, or the colors of the neurons or synapses ``shown`` out of ``number``."""
    plain = value.tolist() if isinstance(value, np.ndarray) else value
    if _is_color(plain):
        return plain
    several = isinstance(plain, list | tuple)
    if several and len(plain) == number and all(map(_is_color, plain)):
        return [plain[at] for at in shown.tolist()]
    # A long list or an array is not shown in the message.
    told = f"{value!r} of type str" if isinstance(value, str) else f"a {type(value).__name__}"
    raise (ValueError if several or isinstance(plain, str) else TypeError)(
        f"{name} must be a Matplotlib color, or a list of {number} of them, got {told}; "
        f"pass {name}='tab:blue'"
    )


def _is_color(value: Any) -> bool:
    from matplotlib.colors import is_color_like, to_rgba  # noqa: PLC0415

    fits = isinstance(value, str | list | tuple) and is_color_like(value)
    return fits and bool(np.isfinite(to_rgba(value)).all())


def of_synapses(data: Data, shown: Index) -> Any:
    """Return the colors of the synapses ``shown`` by sign, or one color if there are no signs."""
    sign = signs(data)
    if sign is None:
        return SYNAPSE
    return np.select([sign[shown] > 0, sign[shown] < 0], [EXCITATORY, INHIBITORY], UNKNOWN)


def by_sign(data: Data) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Return the name, the color and the synapses, bool [E], of each sign; empty without signs.

    Synapses of unknown sign are only included if there are any.
    """
    sign = signs(data)
    if sign is None:
        return []
    kinds = [("excitatory", EXCITATORY, sign > 0), ("inhibitory", INHIBITORY, sign < 0)]
    unknown = sign == 0
    return [*kinds, ("unknown sign", UNKNOWN, unknown)] if unknown.any() else kinds


def literal(name: str) -> str:
    """Escape a name so that Matplotlib does not read it as a formula."""
    return name.replace("$", r"\$")


def legend(
    ax: Axes, data: Data, kinds: list[Population], *, inside: bool = False, columns: int = 0
) -> None:
    """Add a legend of the signs, and of up to ten populations.

    Args:
        ax: The axes.
        data: The connectome.
        kinds: Its populations.
        inside: Whether the legend is inside the axes. Otherwise it is to their right.
        columns: If not 0, the legend is below the axes, with this number of columns.
    """
    from matplotlib.lines import Line2D  # noqa: PLC0415

    handles, names = [], []
    for name, color, _ in by_sign(data):
        handles.append(Line2D([], [], color=color, linewidth=2))
        names.append(name)
    if "node_type" in data and 0 < len(kinds) <= len(_FEW):
        handles += [
            Line2D([], [], color=each.color, linestyle="", marker="o", markersize=5)
            for each in kinds
        ]
        # Matplotlib omits labels that begin with an underscore.
        names += [" " * each.name.startswith("_") + literal(each.name) for each in kinds]
    if handles:
        ax.legend(
            handles,
            names,
            loc="upper center" if columns else "upper left",
            bbox_to_anchor=(0.5, 0) if columns else (0 if inside else 1, 1),
            ncols=columns or 1,
            frameon=False,
            fontsize="small",
        )
