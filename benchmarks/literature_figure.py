"""Test errors by epoch beside those that were published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

from benchmarks.recipes import RECIPES
from sparsebrain.experiments.figures.curves import COLORS

_COLUMNS = 4
_TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20)


def draw(curves: Mapping[str, Sequence[float]]) -> Figure:
    """One picture a recipe, of its test errors in % after epochs 1, 2, ..., all on one scale."""
    rows = math.ceil(len(curves) / _COLUMNS)
    figure = Figure(figsize=(3.1 * min(len(curves), _COLUMNS), 2.9 * rows), layout="constrained")
    published = [RECIPES[name].published for name in curves]
    low = min(*published, *map(min, curves.values()))
    high = max(*published, *map(max, curves.values()))
    for place, (name, errors) in enumerate(curves.items(), 1):
        ax = figure.add_subplot(rows, _COLUMNS if rows > 1 else len(curves), place)
        _draw(ax, name, errors)
        ax.set_ylim(low / 1.15, high * 1.15)
    return figure


def _draw(ax: Axes, name: str, errors: Sequence[float]) -> None:
    recipe = RECIPES[name]
    epochs = range(1, len(errors) + 1)
    ax.plot(epochs, errors, color=COLORS[0], marker="o", ms=3, lw=1.2)
    ax.axhline(recipe.published, color=COLORS[1], lw=1, ls="--")
    after = f" after {recipe.published_epochs}" if recipe.published_epochs else ""
    ax.set_title(f"{name}\n{errors[-1]:.2f} %, published {recipe.published:g} %{after}", fontsize=8)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator(_TICKS))
    ax.yaxis.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in _TICKS]))
    ax.minorticks_off()
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    ax.set_xlabel("epoch", fontsize=8)
    ax.set_ylabel("test error, %", fontsize=8)
    ax.tick_params(labelsize=8)
