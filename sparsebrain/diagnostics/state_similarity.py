"""The similarity of the states of different inputs over the loops: over-smoothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from graphs import arguments, tensors
from sparsebrain.diagnostics.loop_spectrum import spectrum
from sparsebrain.diagnostics.plotting import BLUE, axes_of, by_factors, loop_axis
from sparsebrain.diagnostics.tracing import Call, trace
from sparsebrain.nn.graph_layer import GraphLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Eigenvalues whose magnitudes differ by at most this are called equal in the plot.
_EQUAL = 1e-6


@dataclass(frozen=True, eq=False)
class Similarity:
    r"""The similarity of the states of different inputs at every loop, as means over all pairs.

    Pairs with a state of zeros are left out, because it has no direction. If no pair is left, as at
    loop 0 with ``inject=True``, the value is NaN.

    Attributes:
        cosine: float64 [loops + 1], the cosine similarity, between -1 and 1.
        difference: float64 [loops + 1], :math:`\min \lVert a \mp b \rVert` of states normalized to
            length 1. The sign is ignored, because a W with a negative leading eigenvalue flips it
            at every loop. The value is at most sqrt(2), and 0 if all features are lost.
        ratio: :math:`|\lambda_2 / \lambda_1|` of the weights; 1 if the leading two eigenvalues are
            a complex pair, NaN without a prediction.
    """

    cosine: Tensor
    difference: Tensor
    ratio: float = float("nan")

    @property
    def prediction(self) -> Tensor:
        r""":math:`c\,|\lambda_2/\lambda_1|^L` [loops + 1], the predicted difference.

        The eigenvalues determine only the slope. The factor c depends on the inputs and is chosen
        so that prediction and measurement agree at the last loop, which should come before the
        difference reaches the rounding error.
        """
        last = len(self.difference) - 1
        loops = torch.arange(last + 1, dtype=torch.float64)
        return self.difference[-1] * self.ratio ** (loops - last)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot the difference and its prediction by loop, on a logarithmic axis.

        The prediction is flat if the leading two eigenvalues have equal magnitude, as in a complex
        pair: states then rotate in the plane of both forever, and their difference need not decay.

        Args:
            ax: The axes to draw on; those of a new figure by default.

        Returns:
            The axes.
        """
        ax = axes_of(ax)
        ax.plot(self.difference, color=BLUE, lw=2, label="measured")
        by_factors(ax)
        if bool(self.prediction.isfinite().all()):
            slope = r"slope of $|\lambda_2/\lambda_1|^L$, $|\lambda_2/\lambda_1|$"
            label = f"{slope} = {self.ratio:.4f}"
            if self.ratio > 1 - _EQUAL:
                label = r"no slope: $|\lambda_2| = |\lambda_1|$, as in a complex pair"
            ax.plot(self.prediction, "--", color="black", lw=1, label=label)
        loop_axis(ax, "difference between inputs")
        ax.legend(frameon=False)
        return ax


def similarity(
    model: nn.Module, x: Call, *, layer: GraphLayer | None = None, predict: bool = True
) -> Similarity:
    r"""Measure how similar the states of different inputs become, and what W predicts.

    Linear loops are a power iteration: all states converge to the direction of the leading
    eigenvector of W (the Perron vector if weights are positive), whatever the input; see figure 6
    of A. Ejima, "Neurons regarded as Graph". The difference of two states eventually decays as
    :math:`|\lambda_2 / \lambda_1|^L`. The prediction shows by how much activation, bias and
    injection change that.

    Args:
        model: A GraphLayer, or a model that calls one once, in its current mode.
        x: The input of the model, with S >= 2 samples; a tuple if the model takes several
            arguments.
        layer: The layer to analyze, if the model has several.
        predict: Compute the eigenvalues, as :func:`spectrum` does.

    Returns:
        The similarity.

    Raises:
        TypeError: ``model`` is not a module, or ``predict`` is not a bool.
        ValueError: There are fewer than two samples, or states are not finite. With ``predict``,
            also as for :func:`spectrum`.
        RuntimeError: As for :func:`spectrum`, with ``predict``.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer, diagnostics
        >>> from torch_geometric.data import Data
        >>> pair = Data(
        ...     edge_index=torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]]),
        ...     num_nodes=2,
        ...     edge_weight=torch.tensor([2.0, 1.0, 1.0, 2.0]),
        ... )
        >>> layer = GraphLayer(pair, loops=8, init="edge_weight")
        >>> alike = diagnostics.similarity(layer, torch.eye(2))
        >>> [round(cosine, 3) for cosine in alike.cosine[:4].tolist()]
        [0.0, 0.8, 0.976, 0.997]
        >>> round(alike.ratio, 6)  # of 3 and 1
        0.333333
    """
    arguments.flag("predict", predict)
    seen = trace(model, x, layer)
    alike = similarity_of(torch.stack([seen.rows(state) for state in seen.states]))
    if not predict:
        return alike
    return Similarity(alike.cosine, alike.difference, spectrum(seen.layer).ratio)


def similarity_of(states: Tensor, ratio: float = float("nan")) -> Similarity:
    r"""Measure the similarity of given states, such as those from ``return_states=True``.

    The computation takes O(loops S^2 N) time, and O(S^2 + S N) memory in addition to the states.

    Args:
        states: The states [loops + 1, ..., S, N] of S inputs. Pairs are formed among the S inputs;
            the values are averaged over further dimensions.
        ratio: :math:`|\lambda_2 / \lambda_1|` of the weights; NaN for no prediction.

    Returns:
        The similarity.

    Raises:
        TypeError: ``states`` is not a real floating-point tensor, or ``ratio`` is not a number.
        ValueError: There are fewer than two inputs, or states are not finite.

    Example:
        >>> import torch
        >>> from sparsebrain import diagnostics
        >>> diagnostics.similarity_of(torch.eye(2).expand(2, 2, 2)).cosine
        tensor([0., 0.], dtype=torch.float64)
    """
    tensors.tensor("states", states, (..., "loops + 1", "S", "N"))
    if states.size(-2) < 2 or not states.numel():
        raise ValueError(
            "states must have shape [loops + 1, ..., S, N] with at least S = 2 inputs to compare, "
            f"got {list(states.shape)}; pass a batch of two samples or more."
        )
    # NaN is the ratio without a prediction.
    if not (isinstance(ratio, float) and math.isnan(ratio)):
        ratio = arguments.real("ratio", ratio)
    finite = states.flatten(1).isfinite().all(1)
    if not bool(finite.all()):
        raise ValueError(
            f"states must be finite, but are not from loop {int(finite.long().argmin())} on; use "
            "fewer loops, smaller weights, or an activation that brings states to unit length."
        )
    by_loop = [_compare(state) for state in states.detach()]
    cosine, difference = torch.tensor(by_loop, dtype=torch.float64).unbind(1)
    return Similarity(cosine, difference, ratio)


def _compare(states: Tensor) -> tuple[float, float]:
    """Return the mean cosine and the mean difference over all pairs of states [..., S, N]."""
    # Scale first: the norm of tiny or huge values would underflow or overflow.
    states = states.double()
    states = states / states.abs().amax(-1, keepdim=True)
    unit = states / states.norm(dim=-1, keepdim=True)
    cosine = (unit @ unit.mT).clamp(-1, 1)
    nearer = torch.minimum(_distances(unit, unit), _distances(unit, -unit))
    one, other = torch.triu_indices(states.size(-2), states.size(-2), 1, device=states.device)
    return (
        float(cosine[..., one, other].nanmean()),
        float(nearer[..., one, other].nanmean()),
    )


def _distances(one: Tensor, other: Tensor) -> Tensor:
    # Small distances computed from products, as 1 - cosine is, would lose their digits.
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
