"""Bundles of synapses of an error-diffusion network: sums along them, and gradients of them.

A *bundle* is the set of all synapses that lead into one stage from cells of one sign of one stage.
Where its targets have all synapses from the same rows, as the targets of inputs do, the synapses
are *blocks*, which are computed as dense matrices; otherwise they are sparse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sparsebrain import kernels
from sparsebrain.kernels import Structure
from sparsebrain.kernels.eager import is_watched
from sparsebrain.kernels.select import resolve

_MOST_BLOCKS = 8
"""A bundle of more blocks is sparse: each block costs a call."""

_LARGE = 2**13
"""Strengths of a block and network from which on one call per network is faster than one for all:
it needs no copy of all strengths, and skips samples whose error has the other sign.
"""


_PIECE = 128
"""Terms of a sum that one matrix product adds up. Longer sums may be split among threads, so that
their order would depend on the number of threads.
"""


class Block(NamedTuple):
    """Consecutive targets that have a synapse from each of the same consecutive rows."""

    first: int
    """The index of its first strength among those of the bundle and of one network."""
    targets: range
    rows: range

    def matrices(self, part: Tensor, networks: int) -> Tensor:
        """Return the strengths of a bundle that lie in the block: a view [K, targets, rows]."""
        height, width = len(self.targets), len(self.rows)
        return part.view(networks, -1)[:, self.first : self.first + height * width].view(
            networks, height, width
        )

    def read(self, state: Tensor) -> Tensor:
        """Return the rows that the block reads of a state [rows, B] or [K, rows, B]."""
        # narrow() takes half the time of a slice.
        return state.narrow(-2, self.rows.start, len(self.rows))


class Heard(NamedTuple):
    """What the targets of a stage hear from sources of one sign, as their gradient needs it."""

    post: Tensor
    """The factor of every target [K, targets, B]: slope times amine."""
    samples: Sequence[Tensor]
    """For each network, the numbers of the samples whose amine is not zero."""


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
    blocks: tuple[Block, ...]
    """Blocks that contain all synapses, sorted by target; empty if the bundle is sparse."""
    structure: Structure | None
    """The synapses of all networks together, with sources and targets each numbered from 0; None
    if there are blocks.
    """

    @property
    def is_matrix(self) -> bool:
        """Whether every target has a synapse from each of the rows."""
        return len(self.blocks) == 1 and len(self.blocks[0].targets) == self.targets

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
            return sums.view(self.networks, self.targets, state.size(-1))
        if self.is_matrix and state.dim() == 2:
            matrix = part.view(self.networks * self.targets, -1)
            sums = _multiply(matrix, self.blocks[0].read(state))
            return sums.view(self.networks, self.targets, -1)
        states = state.expand(self.networks, -1, -1)
        pieces, place = list[Tensor](), 0
        for block in self.blocks:
            pieces += self._silence(state, block.targets.start - place)
            pieces.append(_multiply(block.matrices(part, self.networks), block.read(states)))
            place = block.targets.stop
        pieces += self._silence(state, self.targets - place)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)

    def correlate(self, heard: Heard, state: Tensor, out: Tensor) -> None:
        """Write the product of post and the sources' state, summed over B, into ``out``."""
        post = heard.post
        if self.structure is not None:
            ends = self._columns(post), self._columns(state)
            if is_watched():
                out.copy_(kernels.correlate(self.structure, *ends))
            else:
                out.copy_(resolve("auto", post.device).correlate(self.structure, *ends))
            return
        states = state.expand(self.networks, -1, -1)
        for block in self.blocks:
            matrices = block.matrices(out, self.networks)
            of_block = post.narrow(1, block.targets.start, len(block.targets))
            read = block.read(states).transpose(1, 2)
            if matrices[0].numel() < _LARGE and post.size(2) <= _PIECE:
                torch.bmm(of_block, read, out=matrices)
                continue
            for matrix, one, samples, of_one in zip(
                matrices, of_block, heard.samples, read, strict=True
            ):
                _multiply_into(
                    matrix, one.index_select(1, samples), of_one.index_select(0, samples)
                )

    def _silence(self, state: Tensor, targets: int) -> list[Tensor]:
        """Return zero sums of targets that no block contains."""
        return [state.new_zeros(self.networks, targets, state.size(-1))] if targets else []

    def _columns(self, values: Tensor) -> Tensor:
        """Return the values of a stage as columns [N, B] of the structure, padded with zeros."""
        assert self.structure is not None
        flat = values.reshape(-1, values.size(-1))
        missing = self.structure.num_nodes - flat.size(0)
        return torch.cat([flat, flat.new_zeros(missing, flat.size(1))]) if missing else flat


def total(bundles: Sequence[Bundle], strength: Tensor, state: Tensor) -> Tensor:
    """Sum what arrives from + cells minus what arrives from - cells.

    Args:
        bundles: One or two bundles from the same stage into the same stage, + first.
        strength: The strengths of all bundles.
        state: The sources' state: [rows, B] if all networks share it, else [K, rows, B].

    Returns:
        The sums [K, targets, B].
    """
    first, *others = bundles
    if first.blocks and [each.blocks for each in others] == [first.blocks]:
        # Both cells of a pair have the same value, which halves the products.
        return _total_of_pairs(first, others[0], strength, state)
    sums = first.sums(first.part(strength), state)
    for each in others:
        sums = sums - each.sums(each.part(strength), state)
    return sums if first.positive else -sums


def _total_of_pairs(plus: Bundle, minus: Bundle, strength: Tensor, state: Tensor) -> Tensor:
    part, other, networks = plus.part(strength), minus.part(strength), plus.networks
    large = plus.size >= networks * _LARGE
    if not large or strength.requires_grad or torch.is_grad_enabled() or is_watched():
        return plus.sums(part - other, state)
    states = state.expand(networks, -1, -1)
    sums = state.new_zeros(networks, plus.targets, state.size(-1))
    for block in plus.blocks:
        # The difference of one network at a time remains in the cache.
        difference = part.new_empty(len(block.targets), len(block.rows))
        matrices = (block.matrices(each, networks) for each in (part, other))
        into = sums.narrow(1, block.targets.start, len(block.targets))
        for one, less, read, out in zip(*matrices, block.read(states), into, strict=True):
            _multiply_into(out, torch.sub(one, less, out=difference), read)
    return sums


def _multiply(one: Tensor, other: Tensor) -> Tensor:
    """Return one @ other, of matrices or of equally many matrices."""
    first, add = (torch.mm, torch.addmm) if one.dim() == 2 else (torch.bmm, torch.baddbmm)
    found: Tensor | None = None
    for left, right in zip(one.split(_PIECE, -1), other.split(_PIECE, -2), strict=True):
        found = first(left, right) if found is None else add(found, left, right)
    assert found is not None
    return found


def _multiply_into(out: Tensor, one: Tensor, other: Tensor) -> None:
    """Write one @ other, of matrices, into ``out``."""
    (left, *lefts), (right, *rights) = one.split(_PIECE, 1), other.split(_PIECE, 0)
    torch.mm(left, right, out=out)
    for left, right in zip(lefts, rights, strict=True):
        out.addmm_(left, right)


def find_blocks(read: Tensor, target: Tensor) -> tuple[Block, ...]:
    """Return the blocks of synapses, or none if there would be too many.

    Args:
        read: The rows [E] that the synapses of one network read.
        target: Their targets [E]; synapses are sorted by target, then by row.
    """
    targets, counts = target.unique_consecutive(return_counts=True)
    first = counts.cumsum(0) - counts
    low = read[first]
    place = torch.arange(len(read)) - first.repeat_interleave(counts)
    # The count alone does not prove completeness: synapses of two types may be parallel.
    if not torch.equal(read, low.repeat_interleave(counts) + place):
        return ()
    follows = (targets.diff() == 1) & (low.diff() == 0) & (counts.diff() == 0)
    begins = [0, *(1 + (~follows).nonzero().flatten()).tolist()]
    if len(begins) > _MOST_BLOCKS:
        return ()
    blocks = []
    for begin, end in zip(begins, [*begins[1:], len(targets)], strict=True):
        row, number = int(low[begin]), int(targets[begin])
        blocks.append(
            Block(
                int(first[begin]),
                range(number, number + end - begin),
                range(row, row + int(counts[begin])),
            )
        )
    return tuple(blocks)
