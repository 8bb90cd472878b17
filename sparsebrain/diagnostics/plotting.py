"""Helpers shared by the plots of all diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphs import arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED = "#3a7ca5", "#c8553d"


def axes_of(ax: Axes | None) -> Axes:
    """Return the given axes, or those of a new figure."""
    if ax is None:
        # Imported only when something is drawn, because the import takes half a second.
        import matplotlib.pyplot as plt  # noqa: PLC0415

        _, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    elif not hasattr(ax, "plot"):
        raise TypeError(
            f"ax must be the Axes of a figure, got {arguments.described(ax)}; pass "
            "matplotlib.pyplot.gca(), or None for a new figure."
        )
    return ax


def by_factors(ax: Axes) -> None:
    """Make the vertical axis logarithmic, with labels such as 6 instead of 6 x 10^0."""
    from matplotlib.ticker import LogFormatter  # noqa: PLC0415

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(Plain())
    ax.yaxis.set_minor_formatter(Plain())


def loop_axis(ax: Axes, label: str) -> None:
    """Label both axes and restrict the ticks of the loop axis to integers."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    ax.set(xlabel="loops L", ylabel=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
