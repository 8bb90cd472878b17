"""Cells in blocks that are computed one after the other, for error diffusion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from sparsebrain.kernels import Structure
from sparsebrain.kernels.layered import Layer, Layered, Wires
from sparsebrain.models.bundles import Bundle, Sources, bundle
from sparsebrain.models.roles import Roles


@dataclass(frozen=True)
class Block:
    """Cells that are computed together: those of a layer, or all that loops tie to each other.

    Cells of type + come first. With a ``bias`` the state, as later blocks read it, has a row of the
    bias before its cells and one behind them, for the + and the - cell of the pair.
    """

    cells: Tensor
    """Their numbers in the connectome."""
    sign: Tensor
    """Their types [n, 1]."""
    bias: bool
    feed: tuple[Bundle, ...]
    """Synapses from the block before."""
    loop: tuple[Bundle, ...]
    """Synapses within."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Block:
        """The same on another device, with types in that dtype."""
        return replace(
            self,
            cells=self.cells.to(device),
            sign=self.sign.to(device, dtype),
            feed=tuple(each.to(device) for each in self.feed),
            loop=tuple(each.to(device) for each in self.loop),
        )

    def layer(self, height: int, read: int, *, shared: bool) -> Layer:
        """The same for kernels; ``height`` rows a network are before, ``read`` is the output."""
        wires = {each.positive: each.wires() for each in self.feed}
        reads = (self.cells == read).nonzero().flatten().tolist()
        return Layer(
            targets=len(self.cells),
            positive=int((self.sign > 0).sum()),
            height=height,
            shared=shared,
            bias=self.bias,
            read=reads[0] if reads else -1,
            plus=wires.get(True, Wires()),
            minus=wires.get(False, Wires()),
        )


def layered(blocks: list[Block], roles: Roles, output: int) -> Layered | None:
    """Layers for kernels; None where cells of a block send to each other."""
    if any(block.loop for block in blocks):
        return None
    rows = int(roles.feature.max()) + 1
    heights = [rows, *(len(each.cells) + 2 * int(each.bias) for each in blocks)]
    return Layered.of(
        [
            block.layer(height, output, shared=not number)
            for number, (block, height) in enumerate(zip(blocks, heights[:-1], strict=True))
        ],
        networks=roles.networks,
        features=rows - int(roles.bias),
        bias=roles.bias,
    )


def arrange(structure: Structure, roles: Roles, depth: int | None) -> tuple[list[Block], Tensor]:
    """Blocks of the cells that are computed, and the place [K, E] of every synapse's strength.

    Layers are a block each, and each is computed once, if ``depth`` sweeps settle them all. What
    has cycles, or synapses over a layer, is one block.
    """
    source, target = structure.edge_index
    level = None if depth is None else _levels(structure, roles, depth)
    number = (roles.feature < 0).long() if level is None else level
    last = int(number.max())
    by_block = torch.argsort(number[target], stable=True).split(
        torch.bincount(number[target], minlength=last + 1).tolist()
    )
    places = _Places(structure.edge_index, roles, structure.num_edges)
    before = Sources(roles.feature, int(roles.feature.max()) + 1, shared=True)
    blocks = []
    for current in range(1, last + 1):
        cells = _positive_first((number == current).nonzero().flatten(), roles.types)
        within = Sources(_numbered(cells, structure.num_nodes), len(cells), shared=False)
        inside = number[source[by_block[current]]] == current
        blocks.append(
            Block(
                cells=cells,
                sign=roles.types[cells].unsqueeze(1),
                bias=roles.bias and current < last,
                feed=places.bundles(before, by_block[current][~inside], within),
                loop=places.bundles(within, by_block[current][inside], within),
            )
        )
        before = _as_sources(cells, roles, bias=blocks[-1].bias)
    return blocks, places.place


class _Places:
    """Hands out the places of strengths, bundle by bundle."""

    def __init__(self, edge_index: Tensor, roles: Roles, num_edges: int) -> None:
        self.edge_index, self.roles, self.first = edge_index, roles, 0
        self.place = torch.empty(roles.networks, num_edges, dtype=torch.int64)

    def bundles(self, sources: Sources, chosen: Tensor, targets: Sources) -> tuple[Bundle, ...]:
        """The synapses ``chosen``, those from + cells first."""
        made = []
        positive = self.roles.types[self.edge_index[0, chosen]] > 0
        for sign in (True, False):
            few = chosen[positive == sign]
            if not len(few):
                continue
            each, place = bundle(
                sources,
                self.edge_index[:, few],
                targets.row,
                targets.height,
                positive=sign,
                first=self.first,
                networks=self.roles.networks,
            )
            network = torch.arange(each.networks).unsqueeze(1)
            self.place[:, few] = each.first + each.per_network * network + place
            self.first = each.end
            made.append(each)
        return tuple(made)


def depth_of(structure: Structure) -> int | None:
    """Synapses on the longest path, None if there is a cycle."""
    source, target = structure.edge_index
    if bool((source == target).any()):
        return None
    size = structure.num_nodes
    matrix = coo_array(
        (torch.ones(len(source)).numpy(), (source.numpy(), target.numpy())), (size,) * 2
    )
    if int(connected_components(matrix, connection="strong")[0]) < size:
        return None
    return int(_longest_paths(structure, size)[0].max())


def _levels(structure: Structure, roles: Roles, depth: int) -> Tensor | None:
    """The layer of every cell, 0 for those that are held; None if these are no layers."""
    level, settled = _longest_paths(structure, depth)
    if not settled:
        return None
    held = roles.feature >= 0
    # A cell without synapses in has the value of an empty sum, as those of the first layer.
    level = torch.where(held, 0, level.clamp(min=1))
    source, target = structure.edge_index
    bias = roles.feature[source] == 0 if roles.bias else torch.zeros_like(source, dtype=torch.bool)
    if not bool((bias | (level[target] == level[source] + 1)).all()):
        return None
    return level


def _longest_paths(structure: Structure, most: int) -> tuple[Tensor, bool]:
    """The most synapses on a path to each cell, and whether none has more than ``most``."""
    source, target = structure.edge_index
    level = torch.zeros(structure.num_nodes, dtype=torch.int64)
    for _ in range(most + 1):
        longer = level.scatter_reduce(0, target, level[source] + 1, "amax")
        if torch.equal(longer, level):
            return level, True
        level = longer
    return level, False


def _positive_first(cells: Tensor, types: Tensor) -> Tensor:
    return torch.cat([cells[types[cells] > 0], cells[types[cells] < 0]])


def _numbered(cells: Tensor, num_nodes: int, start: int = 0) -> Tensor:
    row = torch.full((num_nodes,), -1)
    row[cells] = torch.arange(start, start + len(cells))
    return row


def _as_sources(cells: Tensor, roles: Roles, *, bias: bool) -> Sources:
    """How the next block reads these cells: between the rows of the pair of the bias."""
    row = _numbered(cells, len(roles.types), start=int(bias))
    if bias:
        pair = (roles.feature == 0).nonzero().flatten()
        row[pair] = torch.where(roles.types[pair] > 0, 0, len(cells) + 1)
    return Sources(row, len(cells) + 2 * int(bias), shared=False)
