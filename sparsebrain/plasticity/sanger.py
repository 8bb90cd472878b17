"""Sanger's rule: Oja's rule for many neurons that learn different components."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparsebrain.kernels import Structure
from sparsebrain.learning.credit import Weighted
from sparsebrain.plasticity.plasticity_rule import RateRule


class Sanger(RateRule):
    r"""Sanger's rule: neurons learn what the neurons before them do not explain.

    .. math::
        \Delta w_{s \to t} = \eta \, y_t \Big(x_s - \sum_{t' \le t} w_{s \to t'} \, y_{t'}\Big)

    Also called the generalized Hebbian algorithm. The sum runs over the targets of s with a number
    up to t. In a linear layer whose outputs all have the same inputs, the weights of the k-th
    output converge to plus or minus the k-th eigenvector of :math:`E[x x^T]`: all principal
    components, in order.

    O(E) per sample, in as many steps as a source has synapses.

    Args:
        layer: A :class:`~sparsebrain.GraphLayer` with a number of loops, or an ``nn.Linear``; see
            :class:`RateRule` for the shapes of ``rule(x)`` and ``rule(x, y)``.

    Raises:
        TypeError: ``layer`` is neither.
        ValueError: The rule cannot train the layer.

    Source: T. D. Sanger, "Optimal unsupervised learning in a single-layer linear feedforward neural
    network", Neural Networks 2 (1989) 459-473.

    Example:
        >>> import torch
        >>> from sparsebrain.plasticity import Sanger
        >>> neurons = torch.nn.Linear(3, 2, bias=False)
        >>> rule = Sanger(neurons)
        >>> optimizer = rule.make_optimizer(0.05)
        >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> x *= torch.tensor([1.0, 3.0, 2.0])
        >>> for _ in range(300):
        ...     optimizer.zero_grad()
        ...     _ = rule(x)
        ...     optimizer.step()
        >>> neurons.weight.detach().abs().argmax(1)
        tensor([1, 2])
    """

    def __init__(self, layer: Weighted) -> None:
        super().__init__(layer)
        self._ranked: tuple[Structure, list[Tensor]] | None = None

    def updates(self, pre: Tensor, post: Tensor, samples: int) -> Tensor:
        """Return the update of every synapse, with the inputs that are left at its target."""
        layer = self.layer
        if isinstance(layer, nn.Linear):
            explained = (post.T @ post).tril() @ layer.weight
            return (post.T @ pre - explained) / samples
        weight = layer.weight_per_synapse()
        source, target = layer.edge_index
        before, after = pre.T.contiguous(), post.T.contiguous()
        found = torch.zeros_like(weight)
        for synapses in self._by_rank(layer.structure):
            # One synapse of each source, so that no index occurs twice.
            at = source[synapses]
            active = after[target[synapses]]
            left = before[at] - weight[synapses].unsqueeze(1) * active
            before[at] = left
            found[synapses] = (active * left).sum(1)
        return found / samples

    def _by_rank(self, structure: Structure) -> list[Tensor]:
        """Return the first synapse of every source, then the second, and so on, by target."""
        if self._ranked is None or self._ranked[0] is not structure:
            pointer, _, order = structure.by_source
            degree = pointer.diff().long()
            places = torch.arange(structure.num_edges, device=structure.device)
            rank = places - pointer[:-1].long().repeat_interleave(degree)
            synapses = places if order is None else order.long()
            by_rank = rank.argsort(stable=True)
            sizes = torch.bincount(rank).tolist() if len(rank) else []
            self._ranked = (structure, list(synapses[by_rank].split(sizes)) if sizes else [])
        return self._ranked[1]
