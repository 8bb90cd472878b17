"""Oja's rule: Hebb's rule with a decay that keeps the weights of a neuron at length 1."""

from __future__ import annotations

from torch import Tensor

from sparsebrain.plasticity.plasticity_rule import TargetRule


class Oja(TargetRule):
    r"""Oja's rule: Hebb's rule with a decay by the square of the postsynaptic activity.

    .. math:: \Delta w_{s \to t} = \eta \, y_t (x_s - y_t w_{s \to t})

    In a linear layer the weights of every neuron converge to plus or minus the leading eigenvector
    of :math:`E[x x^T]` over its own inputs, of length 1. All neurons with the same inputs learn the
    same component; :class:`Sanger` makes them different.

    Args:
        layer: A :class:`~sparsebrain.GraphLayer` with a number of loops, or an ``nn.Linear``; see
            :class:`RateRule` for the shapes of ``rule(x)`` and ``rule(x, y)``.

    Raises:
        TypeError: ``layer`` is neither.
        ValueError: The rule cannot train the layer.

    Source: E. Oja, "A simplified neuron model as a principal component analyzer", Journal of
    Mathematical Biology 15 (1982) 267-273.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import Oja
        >>> neuron = torch.nn.Linear(2, 1, bias=False)
        >>> rule = Oja(neuron)
        >>> optimizer = rule.make_optimizer(0.1)
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> x[:, 0] *= 3
        >>> for _ in range(100):
        ...     optimizer.zero_grad()
        ...     _ = rule(x)
        ...     optimizer.step()
        >>> neuron.weight.abs().round(decimals=1)
        tensor([[1., 0.]], grad_fn=<RoundBackward1>)
    """

    def factors(self, post: Tensor, samples: int) -> tuple[Tensor, Tensor | None]:
        """Return y, and y^2 as the decay."""
        return post, post.square().sum(0) / samples
