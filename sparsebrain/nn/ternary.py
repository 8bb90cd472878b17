"""Ternary weights: -1, 0 or 1 times one scale, as in BitNet b1.58."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphs import tensors


class Ternary(nn.Module):
    r"""Parametrize a weight as -1, 0 or 1 times one scale, with straight-through gradients.

    .. math::
        \gamma = \frac{1}{n} \sum_i |v_i|, \qquad
        w_i = \gamma \, \mathrm{round}(\mathrm{clip}(v_i / \gamma, -1, 1))

    The free parameter v, in full precision, is what an optimizer changes. Rounding has a derivative
    of zero, so the derivative with respect to w is passed on to v unchanged, the straight-through
    estimator. A value of exactly half the scale is rounded to 0.

    Register it on any layer and on any backend; ``layer.weight`` is then the ternary weight, and
    assigning to it sets v. With ``dale=True`` and with gains the weights that these allow are
    rounded, so that signs stay fixed. A parameter is one matrix with one scale, also where synapses
    share its values. The constraint of an :class:`~sparsebrain.Equilibrium` holds before rounding
    only.

    Source: S. Ma et al., "The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits",
    arXiv 2402.17764 (2024). The estimator is that of Y. Bengio et al., arXiv 1308.3432 (2013).

    Shape:
        v [...], float32 or float64 -> w of the same shape and dtype.

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer
        >>> from sparsebrain.nn import Ternary
        >>> from torch.nn.utils import parametrize
        >>> from torch_geometric.data import Data
        >>> ring = Data(edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
        >>> layer = GraphLayer(ring)
        >>> _ = parametrize.register_parametrization(layer, "weight", Ternary())
        >>> layer.weight = torch.tensor([0.5, -1.0, 2.0, -0.5])
        >>> layer.weight.detach()
        tensor([ 0., -1.,  1.,  0.])
    """

    def forward(self, weight: Tensor) -> Tensor:
        """Return the ternary weight of a free parameter.

        Raises:
            TypeError: If ``weight`` is not a dense tensor of floats.
            ValueError: If it has no values, on the device "meta".
        """
        if isinstance(weight, Tensor) and weight.is_meta:
            return weight
        tensors.tensor("weight", weight)
        found = weight.detach()
        return passed_through(weight, round_to(found, found.abs().mean()))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the weight itself, as the free parameter; reading it again rounds it."""
        return weight


def round_to(weight: Tensor, scale: Tensor) -> Tensor:
    """Return -1, 0 or 1 times a scale that broadcasts, whichever is nearest to each weight."""
    # Without a division, which a scale of 0 would turn into NaN.
    return torch.where(weight.abs() > scale / 2, weight.sign() * scale, 0)


def passed_through(weight: Tensor, rounded: Tensor) -> Tensor:
    """Return exactly ``rounded``, whose derivative with respect to ``weight`` is the identity."""
    return rounded + (weight - weight.detach())
