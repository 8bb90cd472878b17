"""Letters after 1, 2 and 5 examples, and how many hiragana are read before and after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from sparsebrain.experiments.figures.curves import COLORS


def draw(rows: Sequence[Any]) -> Figure:
    """Draw the accuracy on letters as bars, and the loss on hiragana after one example.

    Args:
        rows: Systems with ``system``, ``examples``, ``letters_accuracy``, ``letters_low``,
            ``letters_high``, ``hiragana_before``, ``hiragana_after``, ``known``,
            ``known_classes``, ``new`` and ``new_classes``.
    """
    systems = [*dict.fromkeys(each.system for each in rows)]
    counts = sorted({each.examples for each in rows})
    figure = Figure(figsize=(11, 1 + 0.34 * len(systems)), layout="constrained")
    letters, hiragana = figure.subplots(1, 2, sharey=True)
    height = 0.8 / len(counts)
    for number, examples in enumerate(counts):
        chosen = [each for each in rows if each.examples == examples]
        places = [systems.index(each.system) + (number + 0.5) * height - 0.4 for each in chosen]
        means = [each.letters_accuracy for each in chosen]
        errors = [each.letters_high - each.letters_accuracy for each in chosen]
        label = f"{examples} example{'s' * (examples > 1)}"
        style = {"color": COLORS[number], "label": label, "error_kw": {"lw": 0.8}}
        letters.barh(places, means, height, xerr=errors, **style)
    known, new = rows[0].known_classes, rows[0].new_classes
    once = [each for each in rows if each.examples == counts[0]]
    places = [systems.index(each.system) for each in once]
    for name, color, label in (
        ("hiragana_before", COLORS[6], f"{known} {rows[0].known}, before"),
        ("hiragana_after", COLORS[1], f"{known + new} characters, after {counts[0]} example"),
    ):
        values = [getattr(each, name) for each in once]
        hiragana.plot(values, places, "o", color=color, ms=5, label=label)
    letters.set_yticks(range(len(systems)), systems, fontsize=8)
    letters.axvline(1 / new, color="black", lw=0.8, ls=":")
    letters.invert_yaxis()
    letters.set(xlabel=f"accuracy among {new} {rows[0].new}", xlim=(0, 1), title=rows[0].new)
    hiragana.set(xlabel="accuracy", xlim=(0, 1), title=f"{rows[0].known} in new images")
    for each in (letters, hiragana):
        each.legend(frameon=False, fontsize=8, loc="upper right")
        each.grid(axis="x", lw=0.3)
    return figure
