"""Gibbs sampling of neurons that are spread over processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed

from graphs import arguments, tensors
from sparsebrain.distributed.agreement import group_of, require_same, together
from sparsebrain.distributed.colors import color_together
from sparsebrain.distributed.links import Links
from sparsebrain.distributed.partitions import Partition, part_of
from sparsebrain.distributed.parts import Part
from sparsebrain.kernels.counter import uniforms
from sparsebrain.kernels.sampling import MOST_SWEEPS, check_binary
from sparsebrain.kernels.select import check_backend, resolve
from sparsebrain.kernels.structure import Structure


class DistributedGibbs:
    """Gibbs sampling as :func:`sparsebrain.kernels.gibbs`, on several processes.

    Neurons of one color are drawn at once in all processes; then each process sends the new states
    of this color that others read. Colors and random numbers are those of the whole graph, so the
    chains are too.

    Args:
        part: The part of this process, or the whole partition. Self-loops are not allowed.
        group: The processes, one for each part; all processes by default.

    Attributes:
        part: The part of this process.
        owned: The global numbers of its neurons, ascending, [n] int64.
        colors: The color of each owned neuron, [n] int64.

    Raises:
        TypeError: In all processes, if an argument has the wrong type.
        ValueError: In all processes, if there is a self-loop, or the parts are of different graphs.
        RuntimeError: If torch.distributed is not initialized, or a process has ended.

    Example:
        >>> import graphs, torch
        >>> from torch import distributed
        >>> from sparsebrain.distributed import DistributedGibbs, partition
        >>> store = distributed.HashStore()
        >>> distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        >>> ring = graphs.grid_local(6, 1, periodic=True, self_loops=False)
        >>> sampler = DistributedGibbs(partition(ring, 1))
        >>> state = torch.zeros(6, 100, dtype=torch.uint8)
        >>> state = sampler.sample(torch.ones(12), -torch.ones(6), state, sweeps=10, seed=0)
        >>> state.shape
        torch.Size([6, 100])
        >>> distributed.destroy_process_group()
    """

    def __init__(
        self, part: Part | Partition, *, group: distributed.ProcessGroup | None = None
    ) -> None:
        self.group = group_of(group)
        place = (distributed.get_rank(self.group), distributed.get_world_size(self.group))
        self.part: Part = together(self.group, lambda: _without_loops(part_of(part, *place)))
        own = self.part
        fix = "pass the parts of one partition(connectome, parts)"
        require_same(self.group, {"part, its graph,": (own.graph, fix)})
        owner = own.owner[~own.is_owned]
        links = Links(self.group, own.owned, own.halo, owner)
        self.colors, of_halo, self._count = color_together(own, links)
        self._places = own.is_owned.nonzero().squeeze(1)
        halo = (~own.is_owned).nonzero().squeeze(1)
        self._steps: list[tuple[Tensor, Links, Tensor]] = []
        for color in range(self._count):
            chosen = of_halo == color
            some = Links(self.group, own.owned, own.halo[chosen], owner[chosen])
            self._steps.append(((self.colors == color).nonzero().squeeze(1), some, halo[chosen]))
        self._links, self._halo = links, halo

    @property
    def owned(self) -> Tensor:
        """The global numbers of the neurons of this process, ascending, [n] int64."""
        return self.part.owned

    @torch.no_grad()
    def sample(
        self,
        weight: Tensor,
        bias: Tensor,
        state: Tensor,
        *,
        sweeps: int,
        seed: int,
        offset: int = 0,
        clamped: Tensor | None = None,
        backend: str = "auto",
    ) -> Tensor:
        """Draw every neuron ``sweeps`` times, together with all other processes.

        Args:
            weight: The weights of the synapses onto owned neurons, [e], float32 or float64, in the
                order of ``part.data.edge_index``.
            bias: [n], in the dtype of ``weight``.
            state: The chains of the owned neurons, [n, B] uint8 of 0 and 1.
            sweeps: The number of sweeps, as for :func:`sparsebrain.kernels.gibbs`.
            seed: As there.
            offset: As there.
            clamped: [n] bool, neurons that keep their state; None for no neuron.
            backend: As there.

        Returns:
            [n, B] uint8, the chains of the owned neurons after the last sweep.

        Raises:
            TypeError: In all processes, if an argument has the wrong type.
            ValueError: In all processes, if an argument has the wrong value, or the calls differ.
            RuntimeError: If a process has ended.
        """
        count = len(self.owned)

        def check() -> tuple[int, int, int, Any]:
            tensors.tensor("weight", weight, (len(self.part.synapse),), finite=True)
            tensors.tensor(
                "bias", bias, (count,), dtypes=(weight.dtype,), finite=True, like="weight"
            )
            tensors.tensor("state", state, (count, "B"), dtypes=(torch.uint8,))
            check_binary("state", state)
            if clamped is not None:
                tensors.tensor("clamped", clamped, (count,), dtypes=(torch.bool,))
            return (
                arguments.count("sweeps", sweeps, at_most=MOST_SWEEPS),
                arguments.count("seed", seed, at_least=-(2**63), at_most=2**64 - 1),
                arguments.count("offset", offset),
                resolve(check_backend(backend), weight.device),
            )

        sweeps, seed, offset, kernels = together(self.group, check)
        same = "make the same call in every process"
        require_same(
            self.group,
            {
                "the number of chains in state": (state.shape[1], same),
                "sweeps": (sweeps, same),
                "seed": (seed, same),
                "offset": (offset, same),
                "backend": (kernels.name, same),
            },
        )
        free = torch.ones(count, dtype=torch.bool) if clamped is None else ~clamped
        steps = []
        for members, links, halo in self._steps:
            drawn = members[free[members]]
            here = torch.zeros(len(self.part.nodes), dtype=torch.bool)
            here[self._places[drawn]] = True
            synapses = here[self.part.data.edge_index[1]].nonzero().squeeze(1)
            matrix = Structure(self.part.data.edge_index[:, synapses], len(self.part.nodes))
            product = kernels.operator(matrix, weight[synapses], transpose=False)
            steps.append((drawn, product, links, halo))
        x = weight.new_zeros((len(self.part.nodes), state.shape[1]))
        x[self._places] = state.to(x.dtype)
        x[self._halo] = self._links.exchange(state).to(x.dtype)
        for sweep in range(offset, offset + sweeps):
            for drawn, product, links, halo in steps:
                places = self._places[drawn]
                field = product(x).index_select(0, places) + bias[drawn].unsqueeze(1)
                u = uniforms(seed, sweep, self.owned[drawn], x.size(1)).to(x.dtype)
                # As in the kernels: u < 1 / (1 + exp(-field)), without the division.
                after = (u + u * torch.exp(-field.clamp(-80, 80)) < 1).to(x.dtype)
                x[places] = after
                own = x.index_select(0, self._places).to(torch.uint8)
                x[halo] = links.exchange(own).to(x.dtype)
        return x[self._places].to(torch.uint8)

    def __repr__(self) -> str:
        return f"DistributedGibbs({self.part!r}, {self._count} colors)"


def _without_loops(part: Part) -> Part:
    source, target = part.data.edge_index
    at_self = (source == target).nonzero()
    if len(at_self):
        neuron = int(part.nodes[source[int(at_self[0])]])
        raise ValueError(
            f"part has the self-loop {neuron} -> {neuron}, which would be a bias; pass "
            "self_loops=False to the generator, and add its weight to the bias"
        )
    return part
