"""Hebb's rule: neurons that are active together become connected more strongly."""

from __future__ import annotations

from torch import Tensor

from sparsebrain.plasticity.plasticity_rule import TargetRule


class Hebb(TargetRule):
    r"""Hebb's rule: the product of the activities at both ends of a synapse.

    .. math:: \Delta w_{s \to t} = \eta \, y_t x_s

    In a linear layer the weights grow exponentially along the leading eigenvector of
    :math:`E[x x^T]`. :class:`Oja` limits them.

    Args:
        layer: A :class:`~sparsebrain.GraphLayer` with a number of loops, or an ``nn.Linear``; see
            :class:`RateRule` for the shapes of ``rule(x)`` and ``rule(x, y)``.

    Raises:
        TypeError: ``layer`` is neither.
        ValueError: The rule cannot train the layer.

    Source: D. O. Hebb, "The organization of behavior", Wiley (1949).

    Example:
        >>> import torch
        >>> from sparsebrain import GraphLayer
        >>> from sparsebrain.plasticity import Hebb
        >>> from torch_geometric.data import Data
        >>> chain = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
        >>> layer = GraphLayer(chain)
        >>> rule = Hebb(layer)
        >>> _ = rule(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[0.0, 5.0, 7.0]]))
        >>> layer.weight.grad  # minus post times pre
        tensor([ -5., -14.])
    """

    learning_rate = 1e-3

    def factors(self, post: Tensor, samples: int) -> tuple[Tensor, Tensor | None]:
        """Return y and no decay."""
        return post, None
