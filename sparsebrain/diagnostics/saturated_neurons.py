"""Saturated neurons, which pass no gradient, and dead neurons, which are always zero, by loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from graphs import arguments
from sparsebrain.diagnostics.plotting import BLUE, RED, axes_of, loop_axis
from sparsebrain.diagnostics.tracing import Call, trace
from sparsebrain.nn.graph_layer import GraphLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Saturation:
    """The saturated and dead neurons after each loop, starting with loop 1.

    Attributes:
        saturated: float32 [loops, N], the share of samples in which ``|f'|`` is below
            ``threshold``.
        dead: bool [loops, N], whether the state is zero in all samples, as in a ReLU neuron whose
            input is never positive; with ``form="voltage"`` whether the rate f(x) is.
        threshold: The threshold of ``|f'|``.
    """

    saturated: Tensor
    dead: Tensor
    threshold: float

    @property
    def saturated_share(self) -> Tensor:
        """The share [loops] of saturated neurons, a mean over neurons and samples."""
        return self.saturated.mean(1)

    @property
    def dead_share(self) -> Tensor:
        """The share [loops] of dead neurons."""
        return self.dead.float().mean(1)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot both shares by loop.

        Args:
            ax: The axes to draw on; those of a new figure by default.

        Returns:
            The axes.
        """
        ax = axes_of(ax)
        loops = torch.arange(1, len(self.dead) + 1)
        label = f"saturated, |f'| < {self.threshold:g}"
        ax.plot(loops, self.saturated_share, "o-", color=BLUE, ms=3, label=label)
        ax.plot(loops, self.dead_share, "s-", color=RED, ms=3, label="dead, zero in all samples")
        loop_axis(ax, "share of neurons")
        ax.set_ylim(-0.02, 1.02)
        ax.legend(frameon=False)
        return ax


def saturation(
    model: nn.Module, x: Call, *, threshold: float = 0.05, layer: GraphLayer | None = None
) -> Saturation:
    """Count the neurons with a flat activation and the neurons that stay at zero.

    Args:
        model: A GraphLayer, or a model that calls one once, in its current mode.
        x: The input of the model; a tuple if the model takes several arguments.
        threshold: Neurons with ``|f'|`` below it are saturated. The maximum of ``|f'|`` is 1/4 for
            the sigmoid and 1 for tanh and ReLU; it is below 0.05 for sigmoid outputs outside about
            0.05 to 0.95 and tanh outputs outside +-0.975.
        layer: The layer to analyze, if the model has several.

    Returns:
        The saturation.

    Raises:
        TypeError: ``model`` is not a module, or ``threshold`` is not a number.
        ValueError: ``threshold`` is not positive, or the activation is not elementwise, such as a
            softmax.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer, diagnostics
        >>> from torch_geometric.data import Data
        >>> swap = Data(
        ...     edge_index=torch.tensor([[0, 1], [1, 0]]),
        ...     num_nodes=2,
        ...     edge_weight=torch.tensor([1.0, -1.0]),
        ... )
        >>> layer = GraphLayer(swap, loops=2, activation="relu", init="edge_weight")
        >>> found = diagnostics.saturation(layer, torch.tensor([[1.0, 2.0], [-1.0, 3.0]]))
        >>> found.saturated.tolist()
        [[1.0, 0.5], [1.0, 1.0]]
        >>> found.dead.tolist()
        [[True, False], [True, True]]
    """
    threshold = arguments.real("threshold", threshold, positive=True)
    seen = trace(model, x, layer)
    slopes = [seen.rows(_slope(seen.function, total)) for total in seen.before]
    voltage = seen.layer.form == "voltage"
    rates = [seen.function(state) if voltage else state for state in seen.states[1:]]
    states = [seen.rows(rate) for rate in rates]
    return Saturation(
        torch.stack([(slope.abs() < threshold).float().mean(0) for slope in slopes]).cpu(),
        torch.stack([(state == 0).all(0) for state in states]).cpu(),
        threshold,
    )


def _slope(function: Callable[[Tensor], Tensor], total: Tensor) -> Tensor:
    """Return the derivative at every value; ValueError if the function is not elementwise."""
    with torch.enable_grad():
        at = total.detach().requires_grad_()
        after = function(at)
    if not after.requires_grad:
        # A step function, whose derivative is zero wherever it exists.
        return torch.zeros_like(total)
    sign = torch.ones_like(after)
    (slope,) = torch.autograd.grad(after, at, sign, retain_graph=True)
    draw = torch.Generator().manual_seed(0)
    sign = torch.randint(0, 2, after.shape, generator=draw).to(after) * 2 - 1
    (signed,) = torch.autograd.grad(after, at, sign)
    if not torch.allclose(signed * sign, slope, equal_nan=True):
        raise ValueError(
            "model has an activation that is not elementwise, such as a softmax, so that neurons "
            "have no derivative of their own; pass a layer with an elementwise activation."
        )
    return slope
