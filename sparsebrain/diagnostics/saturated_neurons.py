"""Neurons that no longer pass a gradient, and neurons that say nothing, by loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sparsebrain.diagnostics.plotting import BLUE, RED, axes_of, loop_axis
from sparsebrain.diagnostics.tracing import Call, trace
from sparsebrain.nn.graph_layer import GraphLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Saturation:
    """Saturated and dead neurons after each loop; loop 1 comes first.

    Attributes:
        saturated: [loops, N] float32, the share of samples in which |f'| is below ``threshold``.
        dead: [loops, N] bool, whether the state is zero in all samples: a ReLU that is never
            driven above zero.
        threshold: of the slope.
    """

    saturated: Tensor
    dead: Tensor
    threshold: float

    @property
    def saturated_share(self) -> Tensor:
        """The share of neurons and samples [loops]."""
        return self.saturated.mean(1)

    @property
    def dead_share(self) -> Tensor:
        """The share of neurons [loops]."""
        return self.dead.float().mean(1)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw both shares by loop."""
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
    """Count neurons whose activation is flat where it stands, and neurons that stay at zero.

    Args:
        model: a GraphLayer or a model that calls one once, in the mode that it is in.
        x: what the model is called with, a tuple for more arguments than one.
        threshold: |f'| below it is saturated. At its steepest the sigmoid has 1/4, tanh and ReLU
            have 1; below 0.05 is sigmoid outside of about 0.05 to 0.95, tanh outside of +-0.975.
        layer: which, if the model has several.

    Raises:
        ValueError: ``threshold`` is not positive, or the activation is a function that mixes
            neurons, such as a softmax, and has no derivative value by value.
        TypeError: ``model`` is no module.

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
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold!r}.")
    seen = trace(model, x, layer)
    slopes = [seen.rows(_slope(seen.function, total)) for total in seen.before]
    states = [seen.rows(state) for state in seen.states[1:]]
    return Saturation(
        torch.stack([(slope.abs() < threshold).float().mean(0) for slope in slopes]).cpu(),
        torch.stack([(state == 0).all(0) for state in states]).cpu(),
        float(threshold),
    )


def _slope(function: Callable[[Tensor], Tensor], total: Tensor) -> Tensor:
    """The derivative at every value; ValueError if a value depends on more than one."""
    with torch.enable_grad():
        at = total.detach().requires_grad_()
        after = function(at)
    if not after.requires_grad:
        # A step, which is flat wherever it has a derivative.
        return torch.zeros_like(total)
    sign = torch.ones_like(after)
    (slope,) = torch.autograd.grad(after, at, sign, retain_graph=True)
    draw = torch.Generator().manual_seed(0)
    sign = torch.randint(0, 2, after.shape, generator=draw).to(after) * 2 - 1
    (signed,) = torch.autograd.grad(after, at, sign)
    if not torch.allclose(signed * sign, slope, equal_nan=True):
        raise ValueError(
            "the activation mixes neurons, so that none has a derivative of its own; saturation is "
            "told of functions that work value by value."
        )
    return slope
