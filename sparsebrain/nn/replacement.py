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
from sparsebrain.nn.gains import Gain
from sparsebrain.nn.renumbering import Renumbering, renumber
from sparsebrain.nn.synapses import SynapticWeights


class ReplaceableSynapses(SynapticWeights):
    """Synapses that can be replaced by others."""

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
        parameter = weight_parameter(self)
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
        self._run_on(structure, renumber(structure, self.loops))
        return origin

    def adopt_synapses(self, other: ReplaceableSynapses, origin: Tensor, connectome: Any) -> None:
        """Take the synapses of a new layer with the same options, and keep the values that stay.

        :func:`sparsebrain.nn.rewire` calls this.

        Args:
            other: The layer, which must not be used afterwards.
            origin: The previous position of each value of its weight parameter, or -1 if it is
                new; the value is then that of ``other``.
            connectome: What ``other`` was made from.

        Raises:
            ValueError: The layer has parametrizations of the caller's own, a fixed sign of a value
                that stays would change, or the populations of neurons would.
        """
        self._check_populations(connectome)
        mine, theirs = (list(each._steps_of_weight()) for each in (self, other))
        if [type(each) for each in mine] != [type(each) for each in theirs]:
            raise ValueError(
                "layer must have no parametrizations of its own to be rewired; call "
                "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')"
            )
        for before, after in zip(mine, theirs, strict=True):
            if isinstance(before, DaleSign) and isinstance(after, DaleSign):
                _check_same_signs(before.value, after.value, origin)
            if isinstance(before, Gain) and isinstance(after, Gain):
                _check_same_signs(before.freedom(), after.freedom(), origin)
        parameter, new = weight_parameter(self), weight_parameter(other).detach()
        _follow(parameter, origin, new[origin < 0])
        for number, step in enumerate(theirs):
            self.parametrizations.weight[number] = step
        self.weight_index, self.projections = other.weight_index, other.projections
        if self.init == other.init:
            self._initial_weight = other._initial_weight
        self._run_on(other.structure, other._renumbering)

    def _run_on(self, structure: Structure, renumbering: Renumbering | None) -> None:
        """Set the synapses, and forget what was computed from the previous ones."""
        self.structure, self._fingerprint = structure, None
        self._renumbering = renumbering
        self._batched_edges = BatchedEdges()

    def _check_populations(self, connectome: Any) -> None:
        if self._populations is None:
            return
        same = "node_type" in connectome and torch.equal(
            connectome.node_type.to(self._populations.device), self._populations
        )
        if not same:
            raise ValueError(
                "connectome.node_type must be that of the layer, which has one value for each "
                "population; pass a connectome with the same node_type"
            )

    def _steps_of_weight(self) -> list[nn.Module]:
        """Return the parametrizations of the weight."""
        if not parametrize.is_parametrized(self, "weight"):
            return []
        return list(self.parametrizations.weight)


def weight_parameter(layer: nn.Module) -> nn.Parameter:
    """Return the parameter behind the weight of a layer."""
    if parametrize.is_parametrized(layer, "weight"):
        parametrized: Any = layer.parametrizations
        original: nn.Parameter = parametrized.weight.original
        return original
    return layer.get_parameter("weight")


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


def _check_same_signs(before: Tensor, after: Tensor, origin: Tensor) -> None:
    stays = (origin >= 0).cpu()
    wrong = (before.cpu()[origin.cpu()[stays]] != after.cpu()[stays]).nonzero()
    if len(wrong):
        place = int(stays.nonzero()[int(wrong[0])])
        raise ValueError(
            "connectome must give synapses that stay the sign that the layer fixed with dale=True, "
            f"but that of weight {place} differs; pass the signs of the first connectome, or make "
            "a new layer"
        )


@torch.no_grad()
def _follow(parameter: nn.Parameter, origin: Tensor, new: Tensor) -> None:
    """Reorder a parameter and its gradient, which is 0 for new synapses."""
    values = follow(parameter, origin).masked_scatter_(origin < 0, new)
    grad = None if parameter.grad is None else follow(parameter.grad, origin)
    parameter.grad = None
    if values.shape == parameter.shape:
        parameter.copy_(values)
    else:
        _resize(parameter, values)
    parameter.grad = grad


def _resize(parameter: nn.Parameter, values: Tensor) -> None:
    """Give a parameter values of another shape; the optimizer knows it as this object.

    While a graph of an earlier call is alive, for example through a loss that is still referenced,
    it keeps the node that accumulates the gradient, which accepts the previous shape only. That
    node is separated from the parameter, and raises an error if the earlier graph uses it.
    """
    if parameter.requires_grad:
        with torch.enable_grad():
            node = torch.autograd.graph.get_gradient_edge(parameter).node
        node.register_prehook(_refuse_earlier_graph)
    # torch makes a new node after a change of the dtype, but not after one of the shape.
    other = torch.float16 if parameter.dtype == torch.float32 else torch.float32
    parameter.data = values.new_empty(0, dtype=other)
    parameter.data = values
    # Earlier graphs refuse the values that they saved, as after an operation in place.
    torch.autograd.graph.increment_version(parameter)


def _refuse_earlier_graph(_: Any) -> None:
    raise RuntimeError(
        "backward() reached the synapses that the layer had before it was rewired; call the layer "
        "again, and call backward() on the new loss"
    )


def follow(values: Tensor, origin: Tensor) -> Tensor:
    """Return values in the order that :meth:`ReplaceableSynapses.replace_synapses` returned.

    Args:
        values: One value per synapse [E], in the order before.
        origin: What the method or :func:`sparsebrain.nn.rewire` returned, [E'].

    Returns:
        [E'], 0 for new synapses.

    Raises:
        TypeError: An argument is not a tensor of the right dtype.
        ValueError: ``values`` does not have all of these positions.
    """
    tensors.tensor("origin", origin, ("E'",), dtypes=(torch.int64,))
    tensors.tensor("values", values, ("E",), dtypes=tensors.REAL, device=origin.device)
    if len(origin) and int(origin.max()) >= len(values):
        raise ValueError(
            f"values must have the positions up to {int(origin.max())} that origin holds, got "
            f"{len(values)} values; pass one value for each previous synapse"
        )
    if not len(values):
        return values.new_zeros(origin.shape)
    return torch.where(origin < 0, values.new_zeros(()), values[origin.clamp_min(0)])
