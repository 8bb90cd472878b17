"""Figure 6: two inputs become alike over the loops, as the second eigenvalue says."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor

import graphs
from sparsebrain import GraphLayer
from sparsebrain.diagnostics import Similarity, similarity_of, spectrum

_SIDE = 28
_EVERY = 30
_SNAPSHOTS = 7
_LOOPS = 360
COLUMNS = ("loop", "difference", "prediction")


@dataclass(frozen=True, eq=False)
class LostFeatures:
    """How two inputs go through the loops.

    Attributes:
        states: [2, loops + 1, 3, side, side] float64: inputs A and B, loops, the colours, pixels.
        similarity: of A and B, the mean over the colours.
    """

    states: Tensor
    similarity: Similarity


def measure(seed: int = 0) -> LostFeatures:
    """Send two random RGB images through a 28x28 grid, d = 1, of positive weights.

    Weights and pixels are uniform in [0, 1]. Each colour is a state of its own and is brought to
    length 1 at every loop, without which it would overflow: power iteration, in which both images
    turn into the first eigenvector of the weights, whatever they showed.

    Args:
        seed: of weights and images.
    """
    draw = torch.Generator().manual_seed(seed)
    grid = graphs.grid_local((_SIDE, _SIDE), 1)
    grid.edge_weight = torch.rand(grid.num_edges, generator=draw)
    layer = GraphLayer(
        grid, _LOOPS, activation=_to_unit_length, init="edge_weight", dtype=torch.float64
    )
    images = torch.rand(2, 3, grid.num_nodes, generator=draw, dtype=torch.float64)
    with torch.no_grad():
        _, states = layer(_to_unit_length(images), return_states=True)
    # Each colour of A is compared with the same of B.
    alike = similarity_of(states.transpose(1, 2), spectrum(layer).ratio)
    return LostFeatures(states.unflatten(-1, (_SIDE, _SIDE)).transpose(0, 1), alike)


def draw(measured: LostFeatures) -> Figure:
    """Snapshots of A and B every 30 loops, and below them their difference at every loop."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False)[:, 0]
    axes = upper.subplots(2, _SNAPSHOTS)
    for row, (name, states) in enumerate(zip("AB", measured.states, strict=True)):
        for column, ax in enumerate(axes[row]):
            picture = states[_EVERY * column]
            # Each colour by its own brightest pixel: what is lost is the pattern.
            picture = picture / picture.amax(dim=(1, 2), keepdim=True)
            ax.imshow(picture.permute(1, 2, 0).numpy())
            ax.set(xticks=[], yticks=[])
            if row == 0:
                ax.set_title(f"{_EVERY * column} loops" if column else "input", fontsize=9)
        axes[row, 0].set_ylabel(name, rotation=0, labelpad=10)
    measured.similarity.plot(lower.subplots()).set_ylabel("difference between A and B")
    return figure


def table(measured: LostFeatures) -> list[tuple[int, float, float]]:
    """Loop, difference and prediction."""
    alike = measured.similarity
    pairs = zip(alike.difference.tolist(), alike.prediction.tolist(), strict=True)
    return [(loop, *pair) for loop, pair in enumerate(pairs)]


def _to_unit_length(states: Tensor) -> Tensor:
    return states / states.norm(dim=-1, keepdim=True)
