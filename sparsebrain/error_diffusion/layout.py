"""The memory layout of an error-diffusion network: cells in stages, synapses in bundles.

All computation uses this encoding. A *stage* is a set of cells that are computed together: one
layer or, in a graph with cycles, all computed cells. The state of a stage has one row per cell. A
*bundle* is the set of all synapses that lead into one stage from cells of one sign, either from
the previous stage (``feed``) or from the same stage (``loop``). The strengths of a bundle are
contiguous, so that a complete bundle is a dense matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from sparsebrain.error_diffusion.bundles import Bundle, find_blocks
from sparsebrain.error_diffusion.cells import Roles
from sparsebrain.error_diffusion.recurrence import Recurrence, unite
from sparsebrain.kernels import Structure


@dataclass(frozen=True)
class Stage:
    """Cells that are computed together, first those of type +, and the bundles that lead to them.

    With ``bias``, the state of the stage has one more row at either end, so that the + cell of the
    bias pair is adjacent to the other + cells and the - cell to the other - cells.
    """

    cells: Tensor
    """The numbers of the cells in the connectome, on the CPU."""
    sign: Tensor
    """The types of the cells [n, 1]."""
    bias: bool
    feed: tuple[Bundle, ...]
    """Synapses from the previous stage, at most one bundle per sign, + first."""
    loop: tuple[Bundle, ...]
    """Synapses within the stage, in the same order."""
    recurrence: Recurrence | None
    """The same synapses as one matrix, if they are sparse."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Stage:
        """Return the stage on a device, with signs of the given dtype."""

        def moved(bundles: tuple[Bundle, ...]) -> tuple[Bundle, ...]:
            return tuple(
                replace(each, structure=each.structure and each.structure.to(device))
                for each in bundles
            )

        return replace(
            self,
            sign=self.sign.to(device, dtype),
            feed=moved(self.feed),
            loop=moved(self.loop),
            recurrence=self.recurrence and self.recurrence.to(device, dtype),
        )


def arrange(
    structure: Structure, roles: Roles, stage_of: Tensor, networks: int
) -> tuple[list[Stage], Tensor, Tensor]:
    """Sort cells into stages and synapses into bundles.

    Args:
        structure: The synapses of one network.
        roles: The roles of the cells.
        stage_of: The stage [N] of every cell, as :func:`number_stages` returns it. Stage 0 is held.
        networks: The number of networks K.

    Returns:
        Stages 1, 2, ... in the order of computation; the positions [E] of the strengths of
        network 0; and how far [E] they are from those of the next network.
    """
    source, target = structure.edge_index
    cells, place, heights = _sort_cells(roles, stage_of)
    read = _rows_read(structure, roles, stage_of, place, heights)

    # Sort synapses by bundle, then by target and by source. A bundle is a run of equal keys.
    key = 4 * stage_of[target] + 2 * (stage_of[source] == stage_of[target])
    key += roles.types[source] < 0
    order = torch.argsort(place[target] * max(heights) + read, stable=True)
    order = order[torch.argsort(key[order], stable=True)]
    keys, counts = key[order].unique_consecutive(return_counts=True)
    runs = dict(zip(keys.tolist(), order.split(counts.tolist()), strict=True))

    stages, last = list[Stage](), len(cells) - 1
    places, first = torch.empty(structure.num_edges, dtype=torch.int64), 0
    strides = torch.empty_like(places)
    for number in range(1, last + 1):
        feed, loop = list[Bundle](), list[Bundle]()
        for looped, negative in product((False, True), repeat=2):
            run = runs.get(4 * number + 2 * looped + negative)
            if run is None:
                continue
            bundle = _bundle(
                read[run],
                place[target[run]],
                positive=not negative,
                first=first,
                networks=networks,
                targets=len(cells[number]),
                height=heights[number if looped else number - 1],
                shared=number == 1 and not looped,
                loops=4 * number + 2 in runs or 4 * number + 3 in runs,
            )
            (loop if looped else feed).append(bundle)
            places[run] = torch.arange(first, first + len(run))
            strides[run] = len(run)
            first += bundle.size
        sign = roles.types[cells[number]].unsqueeze(1)
        bias = roles.bias and number < last
        recurrence = unite(loop, sign)
        stages.append(Stage(cells[number], sign, bias, tuple(feed), tuple(loop), recurrence))
    return stages, places, strides


def _sort_cells(roles: Roles, stage_of: Tensor) -> tuple[tuple[Tensor, ...], Tensor, list[int]]:
    """Return the cells of every stage (+ first), the place of each cell, and the state heights."""
    count = torch.bincount(stage_of)
    order = torch.argsort(2 * stage_of + (roles.types < 0), stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) - (count.cumsum(0) - count)[stage_of[order]]
    # Stage 0 has one row per held value. Both cells of a pair read the same row.
    place = torch.where(roles.row < 0, place, roles.row)
    heights = [roles.num_rows, *(count[1:] + 2 * int(roles.bias)).tolist()]
    # The last stage has no bias rows, because no stage reads them.
    heights[-1] = int(count[-1])
    return order.split(count.tolist()), place, heights


def _rows_read(
    structure: Structure, roles: Roles, stage_of: Tensor, place: Tensor, heights: list[int]
) -> Tensor:
    """Return the row [E] that each synapse reads in the state of its source."""
    source, target = structure.edge_index
    read = place[source]
    if not roles.bias:
        return read
    # In every state except the first and the last, row 0 is the + cell of the bias.
    stage = stage_of[source]
    read = read + ((stage > 0) & (stage < len(heights) - 1))
    # The bias cells are in stage 0, but every stage reads them from the previous state: the + cell
    # from row 0, as above, and the - cell from the last row.
    of_minus = (roles.row[source] == 0) & (roles.types[source] < 0) & (stage_of[target] > 1)
    return torch.where(of_minus, torch.tensor(heights)[stage_of[target] - 1] - 1, read)


def _bundle(
    read: Tensor,
    target: Tensor,
    *,
    positive: bool,
    first: int,
    networks: int,
    targets: int,
    height: int,
    shared: bool,
    loops: bool,
) -> Bundle:
    """Make a bundle of synapses that are sorted by target, then by the row that they read.

    Args:
        read: The rows [E].
        target: The targets [E], numbered within their stage.
        positive: The sign of the sources.
        first: The index of the first strength.
        networks: The number of networks K.
        targets: The number of targets per network.
        height: The number of rows in the sources' state, per network.
        shared: Whether all networks read one state.
        loops: Whether the stage has synapses from itself. Otherwise the compiled step computes it,
            which knows matrices and sparse bundles.
    """
    rows = range(int(read.min()), int(read.max()) + 1)
    blocks, structure = find_blocks(read, target), None
    if not loops and [len(block.targets) for block in blocks] != [targets]:
        blocks = ()
    if not blocks:
        network = torch.arange(networks).unsqueeze(1)
        source = read + network * (0 if shared else height)
        ends = torch.stack([source.flatten(), (target + network * targets).flatten()])
        structure = Structure(ends, max(height * (1 if shared else networks), networks * targets))
    size = networks * len(read)
    return Bundle(positive, first, size, networks, targets, rows, blocks, structure)


def number_stages(structure: Structure, roles: Roles, level: Tensor | None, loops: int) -> Tensor:
    """Return the stage [N] of every cell; stage 0 holds the cells with given values.

    Every layer is a stage of its own and computed once, provided that ``loops`` sweeps settle all
    layers and every synapse leads from one layer to the next. In all other networks the computed
    cells form a single stage.

    Args:
        structure: The synapses.
        roles: The roles of the cells.
        level: The result of :func:`longest_paths`.
        loops: The number of sweeps.
    """
    computed = roles.row < 0
    if level is None or int(level.max()) > loops:
        return computed.long()
    # A cell without synapses in belongs to the first layer.
    level = torch.where(computed, level.clamp(min=1), 0)
    source, target = structure.edge_index
    from_bias = (roles.row[source] == 0) & roles.bias
    if bool((from_bias | (level[target] == level[source] + 1)).all()):
        return level
    return computed.long()


def longest_paths(structure: Structure) -> Tensor | None:
    """Return the length [N] of the longest path to each cell, or None if there is a cycle."""
    level = torch.zeros(structure.num_nodes, dtype=torch.int64)
    left, depth = structure.edge_index, 0
    while left.size(1):
        # Remove the outgoing synapses of all cells without remaining inputs.
        hears = torch.zeros(structure.num_nodes, dtype=torch.bool)
        hears[left[1]] = True
        kept = left[:, hears[left[0]]]
        if kept.size(1) == left.size(1):
            return None
        left, depth = kept, depth + 1
        level[hears] = depth
    return level
