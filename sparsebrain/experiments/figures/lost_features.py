"""Figure 6: two inputs become alike over the loops, as the second eigenvalue says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import graphs
from sparsebrain import GraphLayer

_SIDE = 28
_EVERY = 30
_SNAPSHOTS = 7
_LOOPS = 360
COLUMNS = ("loop", "difference", "prediction")
_COLOR = "#3a7ca5"


@dataclass(frozen=True, eq=False)
class LostFeatures:
    r"""How two inputs go through the loops.

    Attributes:
        states: [2, loops + 1, 3, side, side] float64: inputs A and B, loops, the colours, pixels.
        ratio: :math:`|\lambda_2 / \lambda_1|` of the weights.
    """

    states: Tensor
    ratio: float

    @property
    def difference(self) -> Tensor:
        r""":math:`\lVert a - b \rVert` [loops + 1], the mean over the colours; at most sqrt(2)."""
        between = self.states[0] - self.states[1]
        return between.flatten(2).norm(dim=2).mean(1)


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
    first, second = np.abs(graphs.spectrum(grid, k=2))
    return LostFeatures(
        states.unflatten(-1, (_SIDE, _SIDE)).transpose(0, 1), ratio=float(second / first)
    )


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
    _draw_difference(lower.subplots(), measured)
    return figure


def table(measured: LostFeatures) -> list[tuple[int, float, float]]:
    """Loop, difference and prediction."""
    pairs = zip(measured.difference.tolist(), predict(measured).tolist(), strict=True)
    return [(loop, *pair) for loop, pair in enumerate(pairs)]


def predict(measured: LostFeatures) -> Tensor:
    r""":math:`c |\lambda_2 / \lambda_1|^L` [loops + 1], with c so that it meets the last loop.

    The eigenvalues give the slope alone; c depends on the inputs.
    """
    last = len(measured.difference) - 1
    loops = torch.arange(last + 1, dtype=torch.float64)
    return measured.difference[-1] * measured.ratio ** (loops - last)


def _draw_difference(ax: Axes, measured: LostFeatures) -> None:
    slope = rf"slope of $|\lambda_2/\lambda_1|^L$, $|\lambda_2/\lambda_1|$ = {measured.ratio:.4f}"
    ax.semilogy(measured.difference, color=_COLOR, lw=2, label="measured")
    ax.semilogy(predict(measured), "--", color="black", lw=1, label=slope)
    ax.set(xlabel="loops L", ylabel="difference between A and B")
    ax.legend(frameon=False)


def _to_unit_length(states: Tensor) -> Tensor:
    return states / states.norm(dim=-1, keepdim=True)
