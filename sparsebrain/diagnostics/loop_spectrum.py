"""The eigenvalues of a layer's weights, which determine whether its loops grow, decay or settle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from sparsebrain.diagnostics.plotting import BLUE, axes_of
from sparsebrain.diagnostics.tracing import find_layer
from sparsebrain.equilibrium.eigenvalues import eigenvalues
from sparsebrain.nn.graph_layer import GraphLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Spectrum:
    r"""The eigenvalues of largest magnitude.

    Attributes:
        eigenvalues: complex128 [k], :math:`|\lambda_1| \ge |\lambda_2| \ge \dots`; of a complex
            pair, the one with positive imaginary part comes first.
    """

    eigenvalues: Tensor

    @property
    def radius(self) -> float:
        r"""The spectral radius :math:`|\lambda_1|`."""
        return float(self.eigenvalues[0].abs())

    @property
    def gap(self) -> float:
        r""":math:`|\lambda_1| - |\lambda_2|`; zero if the leading two are a complex pair."""
        second = self._second()
        return self.radius - second

    @property
    def ratio(self) -> float:
        r""":math:`|\lambda_2 / \lambda_1|`, the decay of differences per loop; NaN for 0 / 0."""
        second = self._second()
        return second / self.radius if self.radius else float("nan")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the eigenvalues in the complex plane, with the unit circle and the spectral radius.

        Args:
            ax: The axes to draw on; those of a new figure by default.

        Returns:
            The axes.
        """
        ax = axes_of(ax)
        turn = np.exp(2j * np.pi * np.linspace(0, 1, 361))
        ax.plot(turn.real, turn.imag, ":", color="black", lw=1, label="unit circle")
        around = self.radius * turn
        ax.plot(around.real, around.imag, color=BLUE, lw=1, label=f"radius {self.radius:.4g}")
        ax.plot(self.eigenvalues.real, self.eigenvalues.imag, "o", color=BLUE, ms=4)
        ax.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
        ax.legend(frameon=False, loc="center")
        return ax

    def _second(self) -> float:
        if len(self.eigenvalues) < 2:
            raise ValueError("one eigenvalue has no gap; call spectrum(layer, k=2).")
        return float(self.eigenvalues[1].abs())


def spectrum(model: nn.Module, k: int = 2, *, layer: GraphLayer | None = None) -> Spectrum:
    r"""Find the eigenvalues of largest magnitude of a layer's weights W.

    A linear loop is :math:`x \leftarrow W x`. States therefore grow as :math:`|\lambda_1|^L`, and
    the differences between them decay as :math:`|\lambda_2 / \lambda_1|^L` relative to their common
    part. All eigenvalues of a connectome without cycles are exactly zero.
    :func:`sparsebrain.equilibrium.eigenvalues.eigenvalues` describes the algorithm.

    Args:
        model: A GraphLayer, or a model with one.
        k: The number of eigenvalues, from 1 to N.
        layer: The layer to analyze, if the model has several.

    Returns:
        The spectrum.

    Raises:
        TypeError: ``model`` is not a module, or ``k`` is not an integer.
        ValueError: ``k`` is not from 1 to N, or a loop of the layer is not W x: the layer has a
            leak, an aggregation other than "sum", or changed messages.
        RuntimeError: The iteration does not converge, which happens if very many eigenvalues have
            nearly the same magnitude in a strongly connected component of more than 3000 neurons.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer, diagnostics
        >>> from torch_geometric.data import Data
        >>> ring = Data(
        ...     edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]),
        ...     num_nodes=3,
        ...     edge_weight=torch.tensor([1.0, 2.0, 4.0]),
        ... )
        >>> found = diagnostics.spectrum(GraphLayer(ring, init="edge_weight"), k=3)
        >>> round(found.radius, 6), abs(round(found.gap, 6))  # the cubic roots of 8
        (2.0, 0.0)
    """
    layer = find_layer(model, layer)
    if layer.leak is not None:
        raise ValueError(
            "model has a leak a, so that a loop is not W x but (1 - a) x + a W x; pass a layer "
            "with the same weights and leak=None."
        )
    if not layer.has_plain_messages:
        raise ValueError(
            "model has a layer whose loop is not W x, because its messages or their aggregation "
            "are changed; pass a layer with aggr='sum' and no hooks on its messages."
        )
    return Spectrum(eigenvalues(layer.structure, layer.weight_per_synapse(), k))
