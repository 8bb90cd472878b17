"""The errors of a reward prediction, the pitch that they move, and errors that move in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from sparsebrain.experiments.figures.curves import COLORS


def draw(flocks: Sequence[Any], curves: Sequence[Any], exact: Tensor, chain: Tensor) -> Figure:
    """Draw three panels: errors after syllables, pitch over trials, and TD errors.

    Args:
        flocks: The flocks, with ``error_distorted`` and ``error_undistorted``.
        curves: Mean and standard deviation of the pitch of each flock.
        exact: The pitch after mean steps.
        chain: The errors [sweeps, time] of TD learning.
    """
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    errors, pitch, times = figure.subplots(1, 3)
    found = np.array([[each.error_distorted, each.error_undistorted] for each in flocks])
    errors.bar([0, 1], found.mean(0), 0.6, color=[COLORS[1], COLORS[0]])
    for flock in found:
        errors.plot([0, 1], flock, "o", ms=3, color="black")
    errors.axhline(0, color="black", lw=0.8)
    for place, expected in ((0, -0.5), (1, 0.5)):
        errors.plot([place - 0.4, place + 0.4], [expected] * 2, ":", color="black", lw=1)
    errors.set_xticks([0, 1], ["distorted", "not distorted"])
    errors.set(ylabel="reward prediction error", title="dopamine after a syllable")

    for number, curve in enumerate(curves):
        mean, spread = curve.pitch.numpy(), curve.spread.numpy()
        line, band = ("one flock", "its birds, ± 1 sd") if not number else (None, None)
        trials = np.arange(len(mean))
        if not number:
            pitch.fill_between(
                trials, mean - spread, mean + spread, color=COLORS[0], alpha=0.25, lw=0, label=band
            )
        pitch.plot(trials, mean, color=COLORS[0], lw=1, label=line)
    pitch.plot(exact.numpy(), ":", color="black", lw=1.2, label="mean steps, exact")
    pitch.set(xlabel="trial", ylabel="pitch, standard deviations", title="pitch")
    pitch.legend(frameon=False, fontsize=8, loc="lower right")

    options: dict[str, Any] = {
        "aspect": "auto",
        "origin": "lower",
        "interpolation": "nearest",
        "vmin": 0,
    }
    image = times.imshow(chain.numpy(), **options)
    figure.colorbar(image, ax=times, label="TD error")
    last = chain.shape[1] - 1
    times.set_xticks([0, last], ["cue", "reward"])
    times.set(ylabel="sweep", title="the error moves to the cue")
    return figure
