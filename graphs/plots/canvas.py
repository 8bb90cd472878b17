"""The axes of a plot and the room on them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Width of a letter of a title in points, and smallest number of letters in a line.
_LETTER_WIDTH, _FEWEST_LETTERS = 5.0, 12


def axes(ax: Axes | None, dimensions: int = 2, figsize: tuple[float, float] = (8, 6)) -> Axes:
    """Return ``ax`` if it has this number of dimensions; make a new figure if it is None."""
    if ax is None:
        import matplotlib.pyplot as plt  # noqa: PLC0415

        projection = "3d" if dimensions == 3 else None
        _, ax = plt.subplots(
            figsize=figsize, layout="constrained", subplot_kw={"projection": projection}
        )
    elif getattr(ax, "name", None) not in ("rectilinear", "3d"):
        got = getattr(ax, "name", type(ax).__name__)
        raise TypeError(
            f"ax must be Matplotlib axes, rectilinear or 3d, got {got}; pass "
            "ax=plt.figure().add_subplot()"
        )
    elif (ax.name == "3d") != (dimensions == 3):
        raise ValueError(
            f"ax must have {dimensions} dimensions, got axes of the projection {ax.name!r}; "
            "pass ax=plt.figure().add_subplot(" + ('projection="3d")' if dimensions == 3 else ")")
        )
    return ax


def size(ax: Axes) -> tuple[float, float]:
    """Return the width and height of the axes in points."""
    extent = ax.get_window_extent()
    unit = 72 / ax.figure.dpi
    return extent.width * unit, extent.height * unit


def broken(ax: Axes, text: str) -> str:
    """Return a title broken into lines that fit the width of the axes."""
    return "\n".join(textwrap.wrap(text, max(_FEWEST_LETTERS, int(size(ax)[0] / _LETTER_WIDTH))))


def legible(
    places: Sequence[float], weights: Sequence[int], gap: float, *, around: float = math.inf
) -> list[int]:
    """Return the labels with a distance of at least ``gap`` between them, preferring heavy ones.

    Args:
        places: Positions of the labels along a line, or along a ring of length ``around``.
        weights: The weight of each label.
        gap: The smallest distance.
        around: The length of the ring.
    """
    chosen: list[int] = []
    for label in sorted(range(len(places)), key=lambda each: -weights[each]):
        apart = (abs(places[label] - places[other]) for other in chosen)
        if all(gap <= distance <= around - gap for distance in apart):
            chosen.append(label)
    return sorted(chosen)
