"""The axes of a picture, and how much room they have."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# The width of a letter of a title in points, and how many a line has at least.
_LETTER_WIDTH, _FEWEST_LETTERS = 5.0, 12


def axes(ax: Axes | None, dimensions: int = 2, figsize: tuple[float, float] = (8, 6)) -> Axes:
    """Return `ax` if a picture of so many dimensions fits it, or those of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt  # noqa: PLC0415

        projection = "3d" if dimensions == 3 else None
        _, ax = plt.subplots(
            figsize=figsize, layout="constrained", subplot_kw={"projection": projection}
        )
    elif getattr(ax, "name", None) not in ("rectilinear", "3d"):
        got = getattr(ax, "name", type(ax).__name__)
        raise TypeError(
            f"ax must be matplotlib axes, rectilinear or 3d, got {got}; pass "
            "ax=plt.figure().add_subplot()"
        )
    elif (ax.name == "3d") != (dimensions == 3):
        raise ValueError(
            f"ax must have {dimensions} dimensions, got axes of the projection {ax.name!r}; "
            "pass ax=plt.figure().add_subplot(" + ('projection="3d")' if dimensions == 3 else ")")
        )
    return ax


def size(ax: Axes) -> tuple[float, float]:
    """Width and height of axes in points."""
    extent = ax.get_window_extent()
    unit = 72 / ax.figure.dpi
    return extent.width * unit, extent.height * unit


def broken(ax: Axes, text: str) -> str:
    """A title in as many lines as the width of the axes asks for."""
    return "\n".join(textwrap.wrap(text, max(_FEWEST_LETTERS, int(size(ax)[0] / _LETTER_WIDTH))))


def legible(
    places: Sequence[float], weights: Sequence[int], gap: float, *, around: float = math.inf
) -> list[int]:
    """Which of the labels at `places` have a `gap` between them, the heaviest first.

    Places lie along a line, or along a ring of the length `around`.
    """
    chosen: list[int] = []
    for label in sorted(range(len(places)), key=lambda each: -weights[each]):
        apart = (abs(places[label] - places[other]) for other in chosen)
        if all(gap <= distance <= around - gap for distance in apart):
            chosen.append(label)
    return sorted(chosen)
