"""The accuracy of a brain and of its null models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from sparsebrain.experiments.significance import Difference

_BRAIN, _NULL = "#c44e52", "#4c72b0"


def draw(
    title: str,
    accuracies: Mapping[str, Mapping[str, Sequence[float]]],
    found: Mapping[tuple[str, str], Difference],
) -> Figure:
    """Draw, for each kind of training, all accuracies, and the brain minus each null model.

    Args:
        title: The brain and the task.
        accuracies: For each kind of training and wiring, the accuracies of the seeds in percent.
        found: The difference of each kind of training and null model.
    """
    figure = Figure(figsize=(10, 3.4 * len(accuracies)), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(len(accuracies), 2, squeeze=False, width_ratios=(1.2, 1))
    for (left, right), (learns, by_wiring) in zip(panels, accuracies.items(), strict=True):
        names = list(by_wiring)[::-1]
        for place, name in enumerate(names):
            values = np.array(by_wiring[name])
            color = _BRAIN if place == len(names) - 1 else _NULL
            spread = np.linspace(-0.2, 0.2, len(values))
            left.plot(values, place + spread, ".", color=color, alpha=0.45, ms=5)
            left.plot([values.mean()] * 2, [place - 0.32, place + 0.32], color=color, lw=2)
        left.set_yticks(range(len(names)), names)
        left.set(xlabel="test accuracy, %", title=f"{learns} trained")
        nulls = [name for name in names if (learns, name) in found]
        for place, name in enumerate(nulls):
            one = found[learns, name]
            right.plot([one.low, one.high], [place, place], color=_NULL, lw=2)
            right.plot(one.mean, place, "o", color=_NULL)
        right.axvline(0, color="0.6", lw=1)
        right.set_yticks(range(len(nulls)), nulls)
        right.set_ylim(-0.5, max(len(nulls), 1) - 0.5)
        right.set(xlabel="brain minus null model, percentage points", title="difference, 95 %")
    return figure
