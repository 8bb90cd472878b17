"""The weights of a layer on several processes: who shares them, and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, distributed

from sparsebrain.distributed.agreement import answering
from sparsebrain.distributed.links import total
from sparsebrain.distributed.parts import Part
from sparsebrain.distributed.products import PartProduct, fetch, replicated
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.nn.connectome import read_node_types, read_shared_types

REPLICATED = ("type", "projection")
"""The groups of synapses that are spread over processes, each of which holds all weights."""

SHARINGS = ("synapse", "type", "projection", "source", "target")
"""The groups of synapses that can share a weight on several processes."""

# Columns of noise from which the gain of the variance is estimated.
_COLUMNS = 32
_CONTRACTION = 0.9


class WeightSharing(NamedTuple):
    """Which weight each synapse of a part has.

    Attributes:
        by: One of :data:`SHARINGS`.
        place: The weight of every synapse, [e] int64, or None if each has its own. With "source" it
            is the local number of the source.
        size: The number of weights of this process.
        numbers: Numbers of these weights in the whole graph, [size] int64.
    """

    by: str
    place: Tensor | None
    size: int
    numbers: Tensor

    def per_synapse(self, weight: Tensor, product: PartProduct, part: Part) -> Tensor:
        """Return the weight of every synapse [e], differentiable by autograd."""
        if self.place is None:
            return weight
        if self.by in REPLICATED:
            weight = replicated(weight, product.links.group)
        elif self.by == "source":
            own = part.is_owned.to(weight.device)
            halo = fetch(weight, product.links)
            nodes = weight.new_zeros(len(own)).index_put((own.nonzero().squeeze(1),), weight)
            weight = nodes.index_put(((~own).nonzero().squeeze(1),), halo)
        return weight.index_select(0, self.place.to(weight.device))


def share(part: Part, by: str) -> WeightSharing:
    """Return which weight each synapse of a part has.

    Raises:
        ValueError: If ``by`` is not possible on several processes, or a field is missing.
    """
    source, target = part.data.edge_index
    if by == "synapse":
        return WeightSharing(by, None, len(source), part.synapse)
    if by == "type":
        types = read_shared_types(part.data, "weight_sharing")
        return WeightSharing(by, types, part.num_edge_types, torch.arange(part.num_edge_types))
    if by == "source":
        return WeightSharing(by, source, len(part.owned), part.owned)
    if by == "target":
        row = part.is_owned.cumsum(0) - 1
        return WeightSharing(by, row[target], len(part.owned), part.owned)
    if by != "projection":
        raise ValueError(
            f"weight_sharing={by!r} would share weights between processes in pairs, which is not "
            "supported; pass weight_sharing='synapse'"
        )
    populations = read_node_types(part.data, "weight_sharing='projection'")
    assert part.projections is not None
    width = max(part.num_node_types, 1)
    known = part.projections[0] * width + part.projections[1]
    index = torch.searchsorted(known, populations[source] * width + populations[target])
    return WeightSharing(by, index, len(known), torch.arange(len(known)))


def value_of_weights(
    values: Tensor, sharing: WeightSharing, name: str, group: distributed.ProcessGroup
) -> Tensor:
    """Return values of synapses [e] as values of weights [size].

    Raises:
        ValueError: In all processes, if synapses that share a weight have different values.
    """
    if sharing.place is None:
        return values
    low = values.new_full((sharing.size,), math.inf).scatter_reduce(
        0, sharing.place, values, "amin"
    )
    high = values.new_full((sharing.size,), -math.inf).scatter_reduce(
        0, sharing.place, values, "amax"
    )
    wrong = torch.zeros(1)
    with answering():
        if sharing.by in REPLICATED:
            distributed.all_reduce(low, distributed.ReduceOp.MIN, group)
            distributed.all_reduce(high, distributed.ReduceOp.MAX, group)
        wrong += float((low < high).sum())
        distributed.all_reduce(wrong, group=group)
    if float(wrong):
        raise ValueError(
            f"weight_sharing={sharing.by!r} gives the synapses of a group one weight, but their "
            f"{name} differ; pass weight_sharing='synapse'"
        )
    return torch.where(high.isfinite(), high, 0.0)


@torch.no_grad()
def draw(
    part: Part,
    sharing: WeightSharing,
    product: PartProduct,
    like: Tensor,
    key: Tensor,
    *,
    signed: Callable[[Tensor], Tensor],
    loops: int | None,
    lipschitz: float,
    backend: str,
) -> Tensor:
    """Draw normal weights, the same for every number of parts.

    A weight is a hash of the key and of the number of its synapse or group in the whole graph. With
    a number of loops the weights are scaled so that linear loops keep the variance of the state, as
    in a :class:`~sparsebrain.GraphLayer`. For an equilibrium, ``loops=None``, the largest sum of
    absolute weights onto a neuron is at most 0.9 / Lip(f), so that every loop is a contraction in
    the maximum norm.

    Args:
        part: The part.
        sharing: Which weights there are.
        product: The product of the part.
        like: The weights, for their dtype and device.
        key: The key, int64 of shape [].
        signed: Applies fixed signs to magnitudes, or returns its argument.
        loops: The number of loops, or None.
        lipschitz: Lip(f).
        backend: The kernel backend.
    """
    numbers = sharing.numbers.to(like.device)
    weight = CounterNoise(key, 1.0).values(0, like.unsqueeze(1), numbers).squeeze(1)
    target = part.data.edge_index[1]
    if sharing.place is None:
        degree = torch.bincount(target, minlength=len(part.nodes))
        weight *= degree[target].to(weight).clamp_min(1).rsqrt()
    else:
        weight *= math.sqrt(part.num_nodes / max(part.num_edges, 1))
    weight = signed(weight)
    synapses = sharing.per_synapse(weight, product, part)
    if loops is None:
        row = (part.is_owned.cumsum(0) - 1)[target].to(like.device)
        sums = synapses.new_zeros(len(part.owned)).index_add_(0, row, synapses.abs())
        largest = torch.cat([sums, sums.new_zeros(1)]).max().reshape(1)
        with answering():
            distributed.all_reduce(largest, distributed.ReduceOp.MAX, product.links.group)
        return weight / max(1.0, lipschitz * float(largest) / _CONTRACTION)
    return weight / math.sqrt(_variance_gain(part, product, synapses, loops, backend))


def _variance_gain(
    part: Part, product: PartProduct, synapses: Tensor, loops: int, backend: str
) -> float:
    """Return what :func:`sparsebrain.nn.initialization.variance_gain` does, with other noise."""
    add_up = total(product.links.group)
    columns = synapses.new_empty((len(part.owned), _COLUMNS))
    key = torch.zeros((), dtype=torch.int64, device=synapses.device)
    state = CounterNoise(key, 1.0).values(0, columns, part.owned.to(synapses.device))
    log_scale = log_variance = 0.0
    for loop in range(loops):
        state = product(state, synapses, backend)
        power = state.double().square().mean(1)
        whole, reached = add_up(torch.stack([power.sum(), (power > 0).double().sum()])).tolist()
        if not whole:
            return math.exp(log_variance / loop) if loop else 1.0
        variance = whole / reached
        log_variance = log_scale + math.log(variance)
        # Normalizing keeps long runs from overflowing.
        state /= math.sqrt(variance)
        log_scale = log_variance
    return math.exp(log_variance / loops)
