"""The number and the opacity of the synapses that are drawn, so that a plot stays readable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphs import arguments
from graphs.contract import Index

# Determined by eye: thinner or fainter lines are lost to the rounding of colors.
_WIDTH = 0.45
_FAINTEST, _STRONGEST = 0.12, 0.8
_MOST_INK = 0.35
_MOST = 20_000


def sample(synapses: int, most: int | None, seed: int | np.random.Generator | None) -> Index:
    """Return at most this many synapses, in ascending order."""
    limit = _MOST if most is None else arguments.count("max_edges", most)
    rng = arguments.generator(seed)
    if synapses <= limit:
        return np.arange(synapses)
    return np.sort(rng.choice(synapses, limit, replace=False))


def thin(lengths: NDArray[np.floating], area: float, rng: np.random.Generator) -> Index:
    """Return the lines to draw on an area in square points, given their lengths in points."""
    room = _MOST_INK / _FAINTEST * area / _WIDTH
    total = float(lengths.sum())
    return sample(
        len(lengths), len(lengths) if total <= room else int(len(lengths) * room / total), rng
    )


def opacity(lengths: NDArray[np.floating], area: float) -> float:
    """Return the opacity of lines of these lengths at which an area stays readable."""
    covered = _WIDTH * float(lengths.sum())
    return float(np.clip(_MOST_INK * area / max(covered, 1e-9), _FAINTEST, _STRONGEST))


def width(alpha: float) -> float:
    """Return the width in points of lines of this opacity."""
    return 0.4 + 0.6 * alpha
