"""The memory layout of an error-diffusion network: cells in stages, synapses in bundles.

All computation uses this encoding. A *stage* is a set of cells that are computed together: one
layer or, in a graph with cycles, all computed cells. The state of a stage has one row per cell. A
*bundle* is the set of all synapses that lead into one stage from cells of one sign, either from
the previous stage (``feed``) or from the same stage (``loop``). The strengths of a bundle are
contiguous, so that a complete bundle is a dense matrix; any other bundle is sparse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from sparsebrain import kernels
from sparsebrain.error_diffusion.cells import Roles
from sparsebrain.kernels import Structure
from sparsebrain.kernels.eager import is_watched
from sparsebrain.kernels.select import resolve


@dataclass(frozen=True)
class Bundle:
    """All synapses into a stage from the + cells, or from the - cells, of one stage.

    The strengths of network 0 come first, then those of network 1, and so on. Within a network they
    are sorted by target, then by source.
    """

    positive: bool
    """The sign of the sources."""
    first: int
    """The index of its first strength among the strengths of all bundles."""
    size: int
    """The number of strengths, over all networks."""
    networks: int
    targets: int
    """The number of targets per network."""
    rows: range
    """The rows of the sources' state that the bundle reads."""
    structure: Structure | None
    """None if every target has a synapse from each of the rows. Otherwise the synapses of all
    networks together, with sources and targets each numbered from 0.
    """

    def part(self, strength: Tensor) -> Tensor:
        """Return the strengths of this bundle as a view of the strengths of all bundles."""
        return strength.narrow(0, self.first, self.size)

    def sums(self, part: Tensor, state: Tensor) -> Tensor:
        """Sum the inputs of the targets, before any sign is applied.

        Args:
            part: The strengths of this bundle.
            state: The sources' state: [rows, B] if all networks share it, else [K, rows, B].

        Returns:
            The sums [K, targets, B].
        """
        if self.structure is not None:
            columns = self._columns(state)
            if torch.is_grad_enabled() or is_watched():
                sums = kernels.propagate(self.structure, part, columns)
            else:
                # Calling a torch operator takes longer than computing a small stage.
                backend = resolve("auto", columns.device)
                sums = backend.operator(self.structure, part, transpose=False)(columns)
            sums = sums[: self.networks * self.targets]
        elif state.dim() == 2:
            sums = part.view(self.networks * self.targets, -1) @ self._read(state)
        else:
            sums = torch.bmm(part.view(self.networks, self.targets, -1), self._read(state))
        return sums.view(self.networks, self.targets, state.size(-1))

    def correlate(self, post: Tensor, state: Tensor, out: Tensor) -> None:
        """Write post [K, targets, B] times the sources' state, summed over B, into ``out``."""
        if self.structure is not None:
            ends = self._columns(post), self._columns(state)
            if is_watched():
                out.copy_(kernels.correlate(self.structure, *ends))
            else:
                out.copy_(resolve("auto", post.device).correlate(self.structure, *ends))
        elif state.dim() == 2:
            matrix = out.view(self.networks * self.targets, -1)
            torch.mm(post.flatten(0, 1), self._read(state).t(), out=matrix)
        else:
            matrices = out.view(self.networks, self.targets, -1)
            torch.bmm(post, self._read(state).transpose(1, 2), out=matrices)

    def _read(self, state: Tensor) -> Tensor:
        # narrow() takes half the time of a slice.
        return state.narrow(-2, self.rows.start, len(self.rows))

    def _columns(self, values: Tensor) -> Tensor:
        """Return the values of a stage as columns [N, B] of the structure, padded with zeros."""
        assert self.structure is not None
        flat = values.reshape(-1, values.size(-1))
        missing = self.structure.num_nodes - flat.size(0)
        return torch.cat([flat, flat.new_zeros(missing, flat.size(1))]) if missing else flat


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

    def to(self, device: torch.device, dtype: torch.dtype) -> Stage:
        """Return the stage on a device, with signs of the given dtype."""

        def moved(bundles: tuple[Bundle, ...]) -> tuple[Bundle, ...]:
            return tuple(
                replace(each, structure=each.structure and each.structure.to(device))
                for each in bundles
            )

        sign = self.sign.to(device, dtype)
        return replace(self, sign=sign, feed=moved(self.feed), loop=moved(self.loop))


def arrange(
    structure: Structure, roles: Roles, stage_of: Tensor, networks: int
) -> tuple[list[Stage], Tensor]:
    """Sort cells into stages and synapses into bundles.

    Args:
        structure: The synapses of one network.
        roles: The roles of the cells.
        stage_of: The stage [N] of every cell, as :func:`number_stages` returns it. Stage 0 is held.
        networks: The number of networks K.

    Returns:
        Stages 1, 2, ... in the order of computation, and the positions [K, E] of the strengths of
        all synapses.
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
    places, first = torch.empty(networks, structure.num_edges, dtype=torch.int64), 0
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
            )
            (loop if looped else feed).append(bundle)
            places[:, run] = torch.arange(first, first + bundle.size).view(networks, -1)
            first += bundle.size
        sign = roles.types[cells[number]].unsqueeze(1)
        bias = roles.bias and number < last
        stages.append(Stage(cells[number], sign, bias, tuple(feed), tuple(loop)))
    return stages, places


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
    """
    low, high = int(read.min()), int(read.max()) + 1
    width, structure = high - low, None
    # The count alone does not prove completeness: synapses of two types may be parallel.
    matrix = torch.arange(len(read))
    if len(read) != targets * width or not torch.equal(target * width + read - low, matrix):
        network = torch.arange(networks).unsqueeze(1)
        source = read + network * (0 if shared else height)
        ends = torch.stack([source.flatten(), (target + network * targets).flatten()])
        structure = Structure(ends, max(height * (1 if shared else networks), networks * targets))
    size = networks * len(read)
    return Bundle(positive, first, size, networks, targets, range(low, high), structure)


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
