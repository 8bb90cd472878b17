"""Synapses between blocks of cells: matrices where all are there, sparse where not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sparsebrain import kernels
from sparsebrain.kernels import Structure
from sparsebrain.kernels.layered import Wires
from sparsebrain.kernels.select import resolve


@dataclass(frozen=True)
class Bundle:
    """All synapses from the cells of one sign in one block to those of a block, K networks alike.

    Strengths lie network by network, in each by target and then source. A bundle is ``full`` where
    every target has a synapse from each of its ``rows``; it is then a matrix. Otherwise it has a
    ``structure`` in which sources and targets are numbered each from 0, of all networks at once.
    """

    positive: bool
    first: int
    """Where its strengths begin."""
    networks: int
    targets: int
    per_network: int
    """Synapses in each network."""
    shared: bool
    """Whether the sources are the same cells in all networks: inputs are."""
    rows: range
    structure: Structure | None

    @property
    def size(self) -> int:
        """Strengths of all networks."""
        return self.networks * self.per_network

    @property
    def end(self) -> int:
        """Where they end."""
        return self.first + self.size

    def wires(self) -> Wires:
        """The same for kernels that take a whole layer."""
        return Wires(self.first, self.rows.start, len(self.rows), self.structure)

    def sums(self, strength: Tensor, state: Tensor) -> Tensor:
        """What arrives at the targets, without signs: [K, targets, B].

        Args:
            strength: of these synapses alone, flat.
            state: of the block of the sources, [rows, B] where it is shared, else [K, rows, B].
        """
        if self.structure is None:
            return self.product(strength, state)
        columns = self._overlay(state)
        if torch.is_grad_enabled():
            sums = kernels.propagate(self.structure, strength, columns)
        else:
            # An operator of torch takes longer to call than a small layer to compute.
            backend = resolve("auto", columns.device)
            sums = backend.operator(self.structure, strength, transpose=False)(columns)
        sums = sums[: self.networks * self.targets]
        return sums.view(self.networks, self.targets, state.size(-1))

    def product(self, strength: Tensor, state: Tensor) -> Tensor:
        """The same by a matrix product, of a full bundle."""
        if self.shared:
            matrix = strength.view(self.networks * self.targets, -1)
            return (matrix @ self._read(state)).view(self.networks, self.targets, -1)
        return torch.bmm(strength.view(self.networks, self.targets, -1), self._read(state))

    def correlate(self, post: Tensor, state: Tensor, out: Tensor) -> None:
        """Write into ``out`` post [K, targets, B] times the state of the source, summed over B."""
        if self.structure is not None:
            backend = resolve("auto", post.device)
            ends = self._overlay(post), self._overlay(state)
            out.copy_(backend.correlate(self.structure, *ends))
        elif self.shared:
            matrix = out.view(self.networks * self.targets, -1)
            torch.mm(post.flatten(0, 1), self._read(state).t(), out=matrix)
        else:
            matrices = out.view(self.networks, self.targets, -1)
            torch.bmm(post, self._read(state).transpose(1, 2), out=matrices)

    def to(self, device: torch.device) -> Bundle:
        """The same on another device."""
        return (
            self if self.structure is None else replace(self, structure=self.structure.to(device))
        )

    def _read(self, state: Tensor) -> Tensor:
        """The rows of the sources; narrow takes half the time of a slice."""
        return state.narrow(-2, self.rows.start, len(self.rows))

    def _overlay(self, values: Tensor) -> Tensor:
        """Values of a block as the columns [N, B] of the structure, zeros below them."""
        assert self.structure is not None
        flat = values.reshape(-1, values.size(-1))
        missing = self.structure.num_nodes - flat.size(0)
        return torch.cat([flat, flat.new_zeros(missing, flat.size(1))]) if missing else flat


@dataclass(frozen=True)
class Sources:
    """The cells of a block as sources: which row of its state each one has."""

    row: Tensor
    """[N], -1 for cells that are not in the block."""
    height: int
    """Rows of the state in each network."""
    shared: bool


def bundle(
    sources: Sources,
    edges: Tensor,
    target_row: Tensor,
    targets: int,
    *,
    positive: bool,
    first: int,
    networks: int,
) -> tuple[Bundle, Tensor]:
    """Make a bundle of the synapses ``edges`` [2, E], and tell the place [E] of each in it.

    Args:
        sources: the block that they come from.
        edges: sources and targets in the numbers of the connectome.
        target_row: [N], which of the targets a cell is.
        targets: how many there are in each network.
        positive: the sign of all sources.
        first: where the strengths begin.
        networks: K.
    """
    row, target = sources.row[edges[0]], target_row[edges[1]]
    order = torch.argsort(target * sources.height + row)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    low, high = int(row.min()), int(row.max()) + 1
    structure = None
    if len(order) != targets * (high - low):
        copies = torch.arange(networks).unsqueeze(1)
        step = 0 if sources.shared else sources.height
        source = (row[order] + step * copies).flatten()
        reached = (target[order] + targets * copies).flatten()
        height = sources.height * (1 if sources.shared else networks)
        structure = Structure(torch.stack([source, reached]), max(height, networks * targets))
    made = Bundle(
        positive=positive,
        first=first,
        networks=networks,
        targets=targets,
        per_network=len(order),
        shared=sources.shared,
        rows=range(low, high),
        structure=structure,
    )
    return made, place
