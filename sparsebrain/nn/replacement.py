"""Replacing synapses of a layer in place, with everything that depends on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from graphs import tensors
from graphs.ordering import canonical_order
from sparsebrain.equilibrium.bounds import Contraction
from sparsebrain.kernels import Structure
from sparsebrain.nn.batching import BatchedEdges
from sparsebrain.nn.dale import DaleSign, with_signs
from sparsebrain.nn.renumbering import Renumbering, renumber
from sparsebrain.nn.synapses import SynapticWeights


class ReplaceableSynapses(SynapticWeights):
    """Synapses that can be replaced by others while their number stays the same."""

    _renumbering: Renumbering | None
    _batched_edges: BatchedEdges

    @property
    def sign(self) -> Tensor | None:
        """The fixed signs [E] of Dale's law: -1, 0 (unknown) or +1; None without ``dale``."""
        return self._sign()

    def replace_synapses(
        self, removed: Tensor, added: Tensor, weight: Tensor, sign: Tensor | None = None
    ) -> Tensor:
        """Replace K synapses by K others, in place; all others keep their weights exactly.

        Afterwards the synapses are in canonical order, by target and then by source, whatever their
        order was before. The parameter of the weight remains the same object, and its values and
        its gradient are reordered; optimizer states are not. The fingerprint in ``state_dict`` is
        that of the new synapses, and PyG batches of the old connectome are refused.
        :class:`sparsebrain.plasticity.Rewiring` also updates the state of an optimizer.

        Args:
            removed: [K] int64, the positions of different synapses in ``edge_index``.
            added: [2, K] int64, sources and targets of the new synapses. No synapse may exist
                twice.
            weight: [K], the weights of the new synapses, in the dtype of the layer's weight.
            sign: [K] of -1, 0 and +1, in the same dtype: their fixed signs, with ``dale`` only.

        Returns:
            [E] int64, the previous position of each synapse, or -1 if it is new.

        Raises:
            TypeError: An argument is not a tensor of the right dtype.
            ValueError: A shape, position, neuron or sign is wrong, a synapse would exist twice, or
                the layer shares weights, has gains or a constraint.

        Example:
            >>> import torch
            >>> from sparsebrain import GraphLayer
            >>> from torch_geometric.data import Data
            >>> chain = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
            >>> layer = GraphLayer(chain)
            >>> layer.replace_synapses(
            ...     torch.tensor([1]), torch.tensor([[2], [0]]), torch.tensor([0.5])
            ... )
            tensor([-1,  0])
            >>> layer.edge_index
            tensor([[2, 0],
                    [0, 1]])
        """
        _refuse_shared(self)
        parameter = self._weight_parameter()
        where = parameter.device
        count, size = self.structure.num_edges, self.num_nodes
        tensors.tensor("removed", removed, ("K",), dtypes=(torch.int64,), device=where)
        tensors.tensor("added", added, (2, "K"), dtypes=(torch.int64,), device=where)
        like: dict[str, Any] = {"dtypes": (parameter.dtype,), "device": where, "finite": True}
        tensors.tensor("weight", weight, ("K",), **like)
        if not len(removed) == added.size(1) == len(weight):
            raise ValueError(
                "removed, added and weight must have the same number K of synapses, got "
                f"{len(removed)}, {added.size(1)} and {len(weight)}; pass one new synapse for each "
                "that is removed"
            )
        dale = self._step_of_weight(DaleSign)
        if (sign is None) != (dale is None):
            raise ValueError(
                "sign is for layers with dale=True, and needed there; pass the fixed sign of each "
                "new synapse"
                if sign is None
                else "sign is for layers with dale=True; pass None"
            )
        if sign is not None:
            tensors.tensor("sign", sign, (len(removed),), **like)
            _check_signs(weight, sign)
        kept = _kept(removed, count)
        edge_index = torch.cat([self.structure.edge_index[:, kept], added], 1)
        _check_neurons(added, size)
        edge_index, order = _sorted(edge_index, size)
        origin = torch.cat([kept, torch.full_like(removed, -1)])[order]
        structure = Structure(edge_index, size)
        # Nothing fails from here on, so that the state before stays whole.
        free = weight if sign is None else with_signs(weight, sign)
        _follow(parameter, origin, free[order[origin < 0] - len(kept)])
        if dale is not None and sign is not None:
            dale.replace(torch.cat([dale.value[kept], sign])[order])
        if self._initial_weight is not None:
            initial = self._initial_weight.to(weight)
            self._initial_weight = torch.cat([initial[kept], weight])[order]
        self.structure, self._fingerprint = structure, None
        self._renumbering = renumber(structure, self.loops)
        self._batched_edges = BatchedEdges()
        return origin

    def _weight_parameter(self) -> nn.Parameter:
        """Return the parameter behind the weight."""
        if parametrize.is_parametrized(self, "weight"):
            return self.parametrizations.weight.original
        assert isinstance(self.weight, nn.Parameter)
        return self.weight


def _refuse_shared(layer: ReplaceableSynapses) -> None:
    """Raise ValueError if the weights of a layer do not belong to single synapses."""
    reason = None
    if layer.weight_sharing != "synapse":
        reason = f"weight_sharing={layer.weight_sharing!r}; make it with weight_sharing='synapse'"
    elif layer.gain is not None:
        reason = "gains on fixed strengths; make it without gain"
    elif layer._step_of_weight(Contraction) is not None:
        reason = "a constraint on all weights; make it with constraint=None"
    if reason is not None:
        raise ValueError(f"synapses cannot be replaced, because the layer has {reason}")


def _check_signs(weight: Tensor, sign: Tensor) -> None:
    if not bool(((sign == 0) | (sign.abs() == 1)).all()):
        raise ValueError("sign must hold -1, 0 and +1 only; pass sign.sign()")
    if bool((weight * sign < 0).any()):
        raise ValueError("weight must have the signs of sign; pass sign * weight.abs()")


def _kept(removed: Tensor, count: int) -> Tensor:
    """Return the positions that are not removed; ValueError if one is wrong or occurs twice."""
    wrong = removed[(removed < 0) | (removed >= count)]
    if len(wrong):
        raise ValueError(
            f"removed must hold positions from 0 to {count - 1}, got {int(wrong[0])}; pass "
            "positions in layer.edge_index"
        )
    stays = torch.ones(count, dtype=torch.bool, device=removed.device)
    stays[removed] = False
    kept = stays.nonzero().flatten()
    if len(kept) + len(removed) != count:
        raise ValueError("removed must hold different positions; pass removed.unique()")
    return kept


def _check_neurons(added: Tensor, size: int) -> None:
    wrong = added[(added < 0) | (added >= size)]
    if len(wrong):
        raise ValueError(
            f"added must hold neurons from 0 to {size - 1}, got {int(wrong[0])}; pass sources and "
            "targets of the layer"
        )


def _sorted(edge_index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return synapses in canonical order and the permutation; ValueError if one occurs twice."""
    source, target = edge_index.cpu().numpy()
    order = torch.from_numpy(canonical_order(size, source, target)).to(edge_index.device)
    edge_index = edge_index[:, order]
    twice = (edge_index.diff() == 0).all(0).nonzero()
    if len(twice):
        source, target = edge_index[:, int(twice[0])].tolist()
        raise ValueError(
            f"added must not make a synapse twice, but {source} -> {target} would be; pass pairs "
            "of neurons that are not connected"
        )
    return edge_index, order


@torch.no_grad()
def _follow(parameter: nn.Parameter, origin: Tensor, new: Tensor) -> None:
    """Reorder a parameter and its gradient, which is 0 for new synapses."""
    parameter.copy_(follow(parameter, origin).masked_scatter_(origin < 0, new))
    if parameter.grad is not None:
        parameter.grad = follow(parameter.grad, origin)


def follow(values: Tensor, origin: Tensor) -> Tensor:
    """Return values [E] in the order that :meth:`ReplaceableSynapses.replace_synapses` returned.

    Args:
        values: One value per synapse, in the order before.
        origin: What the method returned.

    Returns:
        [E], 0 for new synapses.

    Raises:
        TypeError: An argument is not a tensor of the right dtype.
        ValueError: They have different lengths.
    """
    tensors.tensor("origin", origin, ("E",), dtypes=(torch.int64,))
    tensors.tensor("values", values, (len(origin),), dtypes=tensors.REAL, device=origin.device)
    return torch.where(origin < 0, values.new_zeros(()), values[origin.clamp_min(0)])
