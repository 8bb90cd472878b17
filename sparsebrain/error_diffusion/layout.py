"""How an error-diffusion network lies in memory: cells in stages, synapses in bundles.

This is the only encoding that is computed with. A *stage* is a set of cells that are computed
together: a layer, or all cells where there are cycles. The state of a stage has one row per cell.
A *bundle* is the set of all synapses that lead into one stage from cells of one sign, either of the
stage before (``feed``) or of the same stage (``loop``). The strengths of a bundle are contiguous,
so a bundle in which no synapse is missing is a matrix, and any other one is sparse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from sparsebrain import kernels
from sparsebrain.error_diffusion.cells import Roles
from sparsebrain.kernels import Structure
from sparsebrain.kernels.select import resolve


@dataclass(frozen=True)
class Bundle:
    """All synapses into a stage from the + cells, or from the - cells, of one stage.

    The strengths of network 0 come first, then those of network 1, and so on; within a network they
    are sorted by target and then by source.
    """

    positive: bool
    """The sign of the sources."""
    first: int
    """Where the strengths begin among those of all bundles."""
    size: int
    """The number of strengths, over all networks."""
    networks: int
    targets: int
    """The number of targets per network."""
    rows: range
    """The rows of the sources' state that the bundle reads."""
    structure: Structure | None
    """None if every target has a synapse from each of the rows. Otherwise the synapses of all
    networks at once; sources and targets are both numbered from 0."""

    def part(self, strength: Tensor) -> Tensor:
        """The strengths of this bundle, a view of those of all bundles."""
        return strength.narrow(0, self.first, self.size)

    def sums(self, part: Tensor, state: Tensor) -> Tensor:
        """What arrives at the targets, [K, targets, B], before any sign.

        Args:
            part: the strengths of this bundle.
            state: the sources' state: [rows, B] if all networks share it, else [K, rows, B].
        """
        if self.structure is not None:
            columns = self._columns(state)
            if torch.is_grad_enabled():
                sums = kernels.propagate(self.structure, part, columns)
            else:
                # An operator of torch takes longer to call than a small stage to compute.
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
            backend = resolve("auto", post.device)
            ends = self._columns(post), self._columns(state)
            out.copy_(backend.correlate(self.structure, *ends))
        elif state.dim() == 2:
            matrix = out.view(self.networks * self.targets, -1)
            torch.mm(post.flatten(0, 1), self._read(state).t(), out=matrix)
        else:
            matrices = out.view(self.networks, self.targets, -1)
            torch.bmm(post, self._read(state).transpose(1, 2), out=matrices)

    def _read(self, state: Tensor) -> Tensor:
        # Narrow takes half the time of a slice.
        return state.narrow(-2, self.rows.start, len(self.rows))

    def _columns(self, values: Tensor) -> Tensor:
        """Values of a stage as the columns [N, B] of the structure, padded with zeros."""
        assert self.structure is not None
        flat = values.reshape(-1, values.size(-1))
        missing = self.structure.num_nodes - flat.size(0)
        return torch.cat([flat, flat.new_zeros(missing, flat.size(1))]) if missing else flat


@dataclass(frozen=True)
class Stage:
    """Cells that are computed together, those of type + first, and what they hear.

    With ``bias``, the stage's state has one more row at either end, so that the + cell of the bias
    pair lies beside the other + cells, and the - cell beside the other - cells.
    """

    cells: Tensor
    """Their numbers in the connectome, on the CPU."""
    sign: Tensor
    """Their types [n, 1]."""
    bias: bool
    feed: tuple[Bundle, ...]
    """Synapses from the stage before, at most one bundle per sign, + first."""
    loop: tuple[Bundle, ...]
    """Synapses within the stage, likewise."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Stage:
        """Move to a device, with signs in that dtype."""

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
        structure: the synapses of one network.
        roles: what the cells are.
        stage_of: [N], the stage of every cell as :func:`number_stages` returns it; stage 0 is held.
        networks: K.

    Returns:
        Stages 1, 2, ... in the order in which they are computed, and the places [K, E] of the
        strengths of all synapses.
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
    """The cells of every stage, + first; each cell's place among them; each state's height."""
    count = torch.bincount(stage_of)
    order = torch.argsort(2 * stage_of + (roles.types < 0), stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) - (count.cumsum(0) - count)[stage_of[order]]
    # Stage 0 has a row per value that is held, which both cells of a pair read.
    place = torch.where(roles.row < 0, place, roles.row)
    heights = [roles.num_rows, *(count[1:] + 2 * int(roles.bias)).tolist()]
    # No stage reads the bias from the last one.
    heights[-1] = int(count[-1])
    return order.split(count.tolist()), place, heights


def _rows_read(
    structure: Structure, roles: Roles, stage_of: Tensor, place: Tensor, heights: list[int]
) -> Tensor:
    """The row [E] that each synapse reads in the state of its source."""
    source, target = structure.edge_index
    read = place[source]
    if not roles.bias:
        return read
    # In the states between the first and the last one, row 0 is the + cell of the bias.
    stage = stage_of[source]
    read = read + ((stage > 0) & (stage < len(heights) - 1))
    # Cells of the bias are in stage 0, but every stage reads them in the state before its own: the
    # + cell in row 0 as above, and the - cell in the last row.
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
    """A bundle of synapses, which are sorted by target and then by the row that they read.

    Args:
        read: the rows [E].
        target: the targets [E], numbered within their stage.
        positive: the sign of the sources.
        first: where the strengths begin.
        networks: K.
        targets: the number of targets per network.
        height: the number of rows in the sources' state, per network.
        shared: whether all networks read one state.
    """
    low, high = int(read.min()), int(read.max()) + 1
    width, structure = high - low, None
    # Their number alone does not say that none is missing: synapses of two types may be parallel.
    matrix = torch.arange(len(read))
    if len(read) != targets * width or not torch.equal(target * width + read - low, matrix):
        network = torch.arange(networks).unsqueeze(1)
        source = read + network * (0 if shared else height)
        ends = torch.stack([source.flatten(), (target + network * targets).flatten()])
        structure = Structure(ends, max(height * (1 if shared else networks), networks * targets))
    size = networks * len(read)
    return Bundle(positive, first, size, networks, targets, range(low, high), structure)


def number_stages(structure: Structure, roles: Roles, level: Tensor | None, loops: int) -> Tensor:
    """The stage [N] of every cell, 0 for cells that are held.

    Every layer is a stage, computed once, where ``loops`` sweeps settle all layers and every
    synapse leads from one layer to the next. All other networks are swept as one stage.

    Args:
        structure: the synapses.
        roles: what the cells are.
        level: what :func:`longest_paths` returned.
        loops: the number of sweeps.
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
    """The largest number [N] of synapses on a path to each cell; None if there is a cycle."""
    level = torch.zeros(structure.num_nodes, dtype=torch.int64)
    left, depth = structure.edge_index, 0
    while left.size(1):
        # Remove the synapses of all cells that hear nothing any more.
        hears = torch.zeros(structure.num_nodes, dtype=torch.bool)
        hears[left[1]] = True
        kept = left[:, hears[left[0]]]
        if kept.size(1) == left.size(1):
            return None
        left, depth = kept, depth + 1
        level[hears] = depth
    return level
