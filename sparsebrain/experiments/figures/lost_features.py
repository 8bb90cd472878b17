"""Figure 6: two inputs become alike over the loops, as the second eigenvalue predicts."""

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
    """The states of two inputs at every loop.

    Attributes:
        states: [2, loops + 1, 3, side, side] float64: inputs A and B, loops, colors, pixels.
        similarity: The similarity of A and B, averaged over the colors.
    """

    states: Tensor
    similarity: Similarity


def measure(seed: int = 0) -> LostFeatures:
    """Run two random RGB images through a 28x28 grid with d = 1 and positive weights.

    Weights and pixels are uniform in [0, 1]. Each color is a separate state, normalized to unit
    length at every loop so that it does not overflow. This is power iteration: both images
    converge to the first eigenvector of the weights.

    Args:
        seed: The seed of weights and images.
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
    # Each color of A is compared with the same color of B.
    alike = similarity_of(states.transpose(1, 2), spectrum(layer).ratio)
    return LostFeatures(states.unflatten(-1, (_SIDE, _SIDE)).transpose(0, 1), alike)


def draw(measured: LostFeatures) -> Figure:
    """Draw snapshots of A and B every 30 loops and their difference at every loop."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False)[:, 0]
    axes = upper.subplots(2, _SNAPSHOTS)
    for row, (name, states) in enumerate(zip("AB", measured.states, strict=True)):
        for column, ax in enumerate(axes[row]):
            picture = states[_EVERY * column]
            # Scaling each color to its maximum shows the pattern, which is what is lost.
            picture = picture / picture.amax(dim=(1, 2), keepdim=True)
            ax.imshow(picture.permute(1, 2, 0).numpy())
            ax.set(xticks=[], yticks=[])
            if row == 0:
                ax.set_title(f"{_EVERY * column} loops" if column else "input", fontsize=9)
        axes[row, 0].set_ylabel(name, rotation=0, labelpad=10)
    measured.similarity.plot(lower.subplots()).set_ylabel("difference between A and B")
    return figure


def table(measured: LostFeatures) -> list[tuple[int, float, float]]:
    """List :data:`COLUMNS`."""
    alike = measured.similarity
    pairs = zip(alike.difference.tolist(), alike.prediction.tolist(), strict=True)
    return [(loop, *pair) for loop, pair in enumerate(pairs)]


def _to_unit_length(states: Tensor) -> Tensor:
    """Scale each state to length 1."""
    return states / states.norm(dim=-1, keepdim=True)
