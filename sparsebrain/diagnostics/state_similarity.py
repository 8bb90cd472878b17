"""How alike different inputs become over the loops: features are lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from graphs import arguments
from sparsebrain.diagnostics.loop_spectrum import spectrum
from sparsebrain.diagnostics.plotting import BLUE, axes_of, by_factors, loop_axis
from sparsebrain.diagnostics.tracing import Call, trace
from sparsebrain.nn.graph_layer import GraphLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Eigenvalues that differ by no more are told to be equally large.
_EQUAL = 1e-6


@dataclass(frozen=True, eq=False)
class Similarity:
    r"""How alike the states of different inputs are at every loop, means over their pairs.

    A state of zeros has no direction, and its pairs do not count; where none is left, as at loop 0
    of ``inject=True``, a value is NaN.

    Attributes:
        cosine: [loops + 1] float64, between -1 and 1.
        difference: [loops + 1] float64, :math:`\min \lVert a \mp b \rVert` of states brought to
            length 1: the sign does not count, as W with a negative first eigenvalue turns it over.
            At most sqrt(2), and 0 where all features are lost.
        ratio: :math:`|\lambda_2 / \lambda_1|` of the weights, 1 for a complex pair in front; NaN
            without a prediction.
    """

    cosine: Tensor
    difference: Tensor
    ratio: float = float("nan")

    @property
    def prediction(self) -> Tensor:
        r""":math:`c\,|\lambda_2/\lambda_1|^L` [loops + 1] for the difference.

        The eigenvalues give the slope alone; c depends on the inputs and is such that prediction
        and measurement meet at the last loop, which should come before rounding levels the
        difference off.
        """
        last = len(self.difference) - 1
        loops = torch.arange(last + 1, dtype=torch.float64)
        return self.difference[-1] * self.ratio ** (loops - last)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the difference and its prediction by loop, on a logarithmic axis.

        The prediction is flat where the first two eigenvalues are equally large, as a complex pair
        is: states then turn in the plane of both for ever, and their difference need not fade.
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
    r"""Measure how alike different inputs become over the loops, beside what W predicts.

    Linear loops are a power iteration, in which all states turn into the first eigenvector of W
    (the Perron vector, where weights are positive), whatever they were: figure 6 of A. Ejima,
    "Neurons regarded as Graph". The difference of two states fades as
    :math:`|\lambda_2 / \lambda_1|^L` in the end. Activation, bias and injection change that, and
    the prediction shows how much.

    Args:
        model: a GraphLayer or a model that calls one once, in the mode that it is in.
        x: what the model is called with, a tuple for more arguments than one; S >= 2 samples.
        layer: which, if the model has several.
        predict: find the eigenvalues, as :func:`spectrum` does.

    Raises:
        ValueError: fewer than two samples, or states that are not finite.
        TypeError, RuntimeError: as :func:`spectrum`, with ``predict``.

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
    """The same of states [loops + 1, ..., S, N], as ``return_states=True`` gives them.

    Pairs are taken among S inputs; further dimensions are averaged over.

    Raises:
        ValueError: fewer than two inputs, or states that are not finite.

    O(loops S^2 N) time, O(S^2 + S N) memory beside the states.
    """
    if states.dim() < 3 or states.size(-2) < 2:
        raise ValueError(
            "states must have shape [loops + 1, ..., S, N] with at least S = 2 inputs to compare, "
            f"got {list(states.shape)}."
        )
    finite = states.flatten(1).isfinite().all(1)
    if not bool(finite.all()):
        raise ValueError(
            f"states are not finite from loop {int(finite.long().argmin())} on; use fewer loops, "
            "smaller weights, or an activation that brings states to unit length."
        )
    by_loop = [_compare(state) for state in states.detach()]
    cosine, difference = torch.tensor(by_loop, dtype=torch.float64).unbind(1)
    return Similarity(cosine, difference, ratio)


def _compare(states: Tensor) -> tuple[float, float]:
    """Mean cosine and difference of all pairs of states [..., S, N]."""
    # The length of tiny or huge values would be 0 or infinity; that of their proportions is not.
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
    # By way of products, as 1 - cosine is, small distances would lose their digits.
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
