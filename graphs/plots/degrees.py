"""Plot of the degree distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import zeta
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import Index, validate
from graphs.plots import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = {"in": ("#3f90da", "o"), "out": ("#bd1f01", "s")}
# With a larger exponent, shares at degrees above 1000 underflow in float64.
_STEEPEST = 100.0


def plot_degrees(
    data: Data,
    *,
    ax: Axes | None = None,
    direction: arguments.Direction = "both",
    cumulative: bool = True,
    power_law: float | None = None,
    power_law_from: int = 1,
) -> Axes:
    r"""Draw the distributions of in- and out-degrees on logarithmic axes.

    Args:
        data: A connectome. All synapses count, including self-loops.
        ax: The axes to draw on. By default a new figure is made.
        direction: The degrees to draw: ``"in"``, ``"out"`` or ``"both"``.
        cumulative: If True, draw the share of neurons of degree k or more at each degree k that
            occurs. If False, draw the share per degree, averaged over bins that double in width:
            [1, 2), [2, 4), [4, 8), ...
        power_law: Exponent :math:`\gamma`, from above 1 to 100, of a power law to compare with,
            :math:`p(k) \propto k^{-\gamma}` for integers k from ``power_law_from`` on. It is drawn
            dashed for each direction, is not fitted, and has the same share of neurons from there
            on.
        power_law_from: Smallest degree of the power law.

    Returns:
        The axes. The legend gives the share of neurons of degree 0, which logarithmic axes cannot
        show.

    Raises:
        TypeError: If an argument or a field of ``data`` has the wrong type.
        ValueError: If ``data`` breaks the contract, ``ax`` is three-dimensional, ``direction`` is
            unknown, ``power_law`` is out of range, or ``power_law_from`` is above the largest
            degree.

    Note:
        The share of a power law of degree k or more is
        :math:`\zeta(\gamma, k) / \zeta(\gamma, k_0)`, with the Hurwitz zeta function [1]_.
        O(N log N + E) time and O(N + E) memory.

    References:
        .. [1] A. Clauset, C. R. Shalizi, M. E. J. Newman, "Power-law distributions in empirical
           data", SIAM Review 51 (2009) 661-703.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> import graphs
        >>> ax = graphs.plot_degrees(graphs.layered([4, 1]), direction="in")
        >>> ax.lines[0].get_xydata().round(3).tolist(), ax.lines[0].get_label()
        ([[4.0, 0.2]], 'in (80 % of degree 0)')
        >>> hubs = graphs.barabasi_albert(2000, 3, seed=0)
        >>> ax = graphs.plot_degrees(hubs, power_law=3.0, power_law_from=3)
        >>> plt.close("all")
    """
    neurons = validate(data).num_nodes
    arguments.option("direction", direction, arguments.DIRECTIONS)
    cumulative = arguments.flag("cumulative", cumulative)
    start = arguments.count("power_law_from", power_law_from, at_least=1)
    exponent = None if power_law is None else _exponent(power_law)
    ends = dict(zip(("out", "in"), data.edge_index.cpu().numpy(), strict=True))
    counted = {
        name: np.bincount(ends[name], minlength=neurons)
        for name in _STYLES
        if direction in ("both", name)
    }
    largest = max(int(degrees.max(initial=0)) for degrees in counted.values())
    if exponent is not None and start > max(1, largest):
        raise ValueError(
            f"power_law_from must be at most {max(1, largest)}, the largest degree, got {start}; "
            "pass power_law_from=1"
        )
    ax = canvas.axes(ax)
    ax.set_xscale("log")
    ax.set_yscale("log")
    _plain_numbers(ax)
    for name, degrees in counted.items():
        color, marker = _STYLES[name]
        none = float((degrees == 0).mean()) if neurons else 0.0
        label = f"{name} ({100 * none:.3g} % of degree 0)" if none else name
        points = _cumulative(degrees) if cumulative else _binned(degrees)
        (curve,) = ax.plot(*points, color=color, marker=marker, markersize=3, linewidth=1)
        curve.set(drawstyle="steps-pre" if cumulative else "default", label=label)
        if exponent is not None:
            law = _power_law(degrees, exponent, start, cumulative=cumulative)
            ax.plot(*law, color=color, linestyle="--", linewidth=1, label=f"k^-{exponent:g}")
    ax.set_xlabel("degree k")
    each = "of degree k or more" if cumulative else "per degree"
    ax.set_ylabel(f"share of neurons {each}")
    # Cumulative shares start near 1 on the left and fall to the right.
    ax.legend(frameon=False, fontsize="small", loc="lower left" if cumulative else "best")
    ax.spines[["top", "right"]].set_visible(False)
    told = f"{neurons:,} neurons, {data.num_edges:,} synapses"
    ax.set_title(canvas.broken(ax, told), fontsize="medium")
    return ax


def _exponent(power_law: float) -> float:
    exponent = arguments.real("power_law", power_law, at_most=_STEEPEST)
    if exponent <= 1:
        raise ValueError(
            f"power_law must be an exponent > 1, got {exponent:g}, for which the sum over degrees "
            "diverges; pass power_law=2.5"
        )
    return exponent


def _plain_numbers(ax: Axes) -> None:
    """Label logarithmic axes with 6 instead of 6 x 10^0, at the ticks that Matplotlib chooses."""
    from matplotlib.ticker import LogFormatter  # noqa: PLC0415

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(Plain())
        axis.set_minor_formatter(Plain())


def _cumulative(degrees: Index) -> tuple[Index, NDArray[np.float64]]:
    """Return each degree above 0 that occurs, and the share of neurons of this degree or more."""
    present, first = np.unique(np.sort(degrees), return_index=True)
    share = (len(degrees) - first) / max(1, len(degrees))
    return present[present > 0], share[present > 0]


def _binned(degrees: Index) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the geometric center of each bin with neurons, and its share of neurons per degree."""
    bins = np.bincount(np.frexp(degrees[degrees > 0])[1] - 1)
    width = 2.0 ** np.arange(len(bins))
    middle = np.sqrt(width * (2 * width - 1))
    share = bins / width / max(1, len(degrees))
    return middle[bins > 0], share[bins > 0]


def _power_law(
    degrees: Index, exponent: float, start: int, *, cumulative: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    most = int(degrees.max(initial=0))
    if most < start:
        return np.empty(0), np.empty(0)
    k = np.unique(np.geomspace(start, most, 200).round())
    share = (degrees >= start).mean()
    law = zeta(exponent, k) if cumulative else k**-exponent
    return k, share * law / zeta(exponent, start)
