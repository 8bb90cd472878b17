"""The growth or decay of gradients on their way back through the loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from graphs import arguments
from sparsebrain.diagnostics.plotting import BLUE, axes_of, by_factors, loop_axis
from sparsebrain.diagnostics.tracing import Call, trace
from sparsebrain.nn.graph_layer import GraphLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class LoopGradients:
    r"""The gradient of a loss with respect to the state of every loop.

    Attributes:
        gradient: :math:`\partial \mathcal{L} / \partial x(t)`, [loops + 1, S, N] for S samples,
            which includes all effects of x(t) through the following loops.
    """

    gradient: Tensor

    @property
    def norm(self) -> Tensor:
        """The Euclidean norm [loops + 1], over all samples and neurons."""
        return self.gradient.flatten(1).norm(dim=1)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the norm by loop, on a logarithmic axis.

        Args:
            ax: The axes to draw on; those of a new figure by default.

        Returns:
            The axes.
        """
        ax = axes_of(ax)
        ax.plot(self.norm, "o-", color=BLUE, ms=3)
        by_factors(ax)
        loop_axis(ax, r"$\Vert\partial\,\mathrm{loss}/\partial x(L)\Vert$")
        return ax


def loop_gradients(
    model: nn.Module,
    x: Call,
    loss: Callable[[Any], Tensor],
    *,
    layer: GraphLayer | None = None,
) -> LoopGradients:
    r"""Differentiate a loss with respect to the state of every loop.

    For a linear layer the result is :math:`(W^T)^{L - t} g`, where g is the gradient with respect
    to the output; with an activation, every step back is :math:`W^T (f' \odot g)`. The gradients of
    parameters do not change. The computation takes one forward and one backward pass and O(loops S
    N) memory.

    Args:
        model: A GraphLayer, or a model that calls one once, in its current mode.
        x: The input of the model; a tuple if the model takes several arguments.
        loss: A function that maps the output of the model to a single number.
        layer: The layer to analyze, if the model has several.

    Returns:
        The gradients.

    Raises:
        TypeError: ``model`` is not a module, ``loss`` is not a function, or ``x`` is not a tensor.
        ValueError: The loss is not a single number or does not depend on the layer.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer, diagnostics
        >>> from torch_geometric.data import Data
        >>> loop = Data(
        ...     edge_index=torch.tensor([[0], [0]]), num_nodes=1, edge_weight=torch.tensor([0.5])
        ... )
        >>> layer = GraphLayer(loop, loops=3, init="edge_weight")
        >>> found = diagnostics.loop_gradients(layer, torch.ones(1, 1), lambda y: y.sum())
        >>> found.norm
        tensor([0.1250, 0.2500, 0.5000, 1.0000])
    """
    if not arguments.is_function(loss):
        raise TypeError(
            f"loss must be a function of the model's output, got {arguments.described(loss)}; pass "
            "for example loss=lambda output: output.square().mean()."
        )
    seen = trace(model, x, layer, learns=True)
    with torch.enable_grad():
        try:
            value = loss(seen.output)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"loss failed on the output, {arguments.described(seen.output)}: {error}; pass a "
                "function of one argument, such as loss=lambda output: output.square().mean()."
            ) from error
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        raise ValueError(
            f"loss must return one real number as a tensor, got {arguments.described(value)}; "
            "pass a function that returns a tensor, and add .mean() to it."
        )
    if not value.requires_grad:
        raise ValueError(
            "loss does not depend on the model's output, or was detached from it; pass a function "
            "of the output, such as lambda output: output.mean()."
        )
    gradients = torch.autograd.grad(value, seen.states, materialize_grads=True)
    return LoopGradients(torch.stack([seen.rows(gradient) for gradient in gradients]).cpu())
