"""An order of the neurons in which connected neurons are close in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

from sparsebrain.equilibrium import Equilibrium
from sparsebrain.kernels import Structure
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.compressed import Compressed

# With fewer loops, converting the states costs more than it saves.
_LEAST_LOOPS = 4
# The states of fewer neurons fit into a core's own cache in any order.
_LEAST_NEURONS = 8192
# The least factor by which synapses must shorten, since weights are then not read in order.
_SHORTER = 4
# The share of the neurons that the search for an estimate visits, and how many at a time.
_SHARE = 8
_AT_ONCE = 1024
# Synapses whose lengths are computed at a time, so that they stay in the cache.
_BLOCK = 2**15


class Renumbering(NamedTuple):
    """A structure with renumbered neurons.

    Attributes:
        structure: The synapses in the new numbering.
        order: [N] int64; new neuron i is old neuron ``order[i]``.
        place: [N] int64, the inverse of ``order``.
    """

    structure: Structure
    order: Tensor
    place: Tensor

    def enter(self, inputs: LoopInputs) -> LoopInputs:
        """Convert the inputs of a loop, states [N, B] and vectors [N], to the new numbering."""
        # Contiguous rows are copied whole; transposed states would be gathered one by one.
        return inputs.map(lambda each: each.contiguous().index_select(0, self.order))

    def leave(self, state: Tensor) -> Tensor:
        """Convert a state [N, B] to the numbering of the connectome."""
        return state.index_select(0, self.place)

    def to(self, device: torch.device | str) -> Renumbering:
        """Return the same renumbering on another device."""
        return Renumbering(self.structure.to(device), self.order.to(device), self.place.to(device))


def renumber(structure: Structure, loops: int | Equilibrium) -> Renumbering | None:
    r"""Renumber neurons by reverse Cuthill-McKee, or return None if that would not be faster.

    The order keeps the ends of a synapse close, so that what a loop reads is still in the cache.
    Neurons at random places in a plane (300 thousand, 25 synapses each, batch 32, 20 loops) become
    1.6 times as fast forward and 1.8 times as fast forward and backward. Graphs without such an
    order become slower by a quarter, so a renumbering must shorten synapses four times, in the mean
    of \|source - target\| (``python -m benchmarks.layer sizes --graph places``). Where the first
    eighth of the search shows that they do not become shorter, the rest is left out.

    O(N + E) time and memory for bounded degrees. E. Cuthill, J. McKee, "Reducing the bandwidth of
    sparse symmetric matrices", Proceedings of the 24th ACM National Conference (1969) 157-172.
    """
    if isinstance(loops, int) and loops < _LEAST_LOOPS:
        return None
    neurons = structure.num_nodes
    if neurons < _LEAST_NEURONS or not structure.num_edges:
        return None
    device, structure = structure.device, structure.to("cpu")
    before = _mean_length(structure.by_target)
    # Not `structure.by_source`, which the structure would keep.
    views = (structure.by_target, structure.by_target.transposed())
    if _stays_long(views, before):
        return None
    order = reverse_cuthill_mckee(_either_way(views), symmetric_mode=True)
    place = np.empty(neurons, np.int64)
    place[order] = np.arange(neurons)
    if before < _SHORTER * _mean_length(structure.by_target, place.astype(np.int32)):
        return None
    moved = torch.from_numpy(place)
    return Renumbering(
        Structure(moved[structure.edge_index], neurons).to(device),
        torch.from_numpy(order.astype(np.int64)).to(device),
        moved.to(device),
    )


def _mean_length(rows: Compressed, place: NDArray[np.int32] | None = None) -> float:
    """Return the mean distance of both ends, after neurons move to their places."""
    own = np.arange(len(rows.pointer) - 1, dtype=np.int32)
    row = np.repeat(own if place is None else place, np.diff(rows.pointer.numpy()))
    far, total = rows.neuron.numpy(), 0
    for start in range(0, len(far), _BLOCK):
        block = slice(start, start + _BLOCK)
        other = far[block] if place is None else place[far[block]]
        total += int(np.abs(row[block] - other).sum(dtype=np.int64))
    return total / len(far)


def _stays_long(views: tuple[Compressed, Compressed], before: float) -> bool:
    """Estimate whether the order would not shorten synapses enough, from their mean length now.

    Cuthill and McKee number neurons by breadth-first search, so that a synapse becomes about as
    long as the queue of neurons that are found and not yet visited. On lattices, graphs in space
    and small worlds the mean length was 0.2 to 1.4 times the longest queue and 0.4 to 2.2 times the
    mean queue of the first eighth of the search.
    """
    # As Cuthill and McKee do, each component is entered where it has the fewest synapses.
    degree = views[0].pointer.diff() + views[1].pointer.diff()
    entries = _rising(degree.numpy())
    neurons = len(degree)
    visits = neurons // _SHARE
    found = np.zeros(neurons, bool)
    place = np.empty(neurons, np.int32)
    queue = np.empty(neurons, np.int32)
    visited, last, longest, total = 0, 0, 0, 0
    while visited < visits:
        if before < min(longest, 2 * total / (visits + _AT_ONCE)):
            # Even if the queue is empty from here on, both will be this long.
            return True
        if visited == last:
            queue[last] = next(each for each in entries if not found[each])
            found[queue[last]] = True
            last += 1
        now = queue[visited : min(last, visited + _AT_ONCE)]
        near = [_columns(rows, now) for rows in views]
        new = np.concatenate(near)
        new = new[~found[new]]
        # Of several synapses to a neuron, the last one counts.
        place[new] = np.arange(len(new), dtype=np.int32)
        new = new[place[new] == np.arange(len(new))]
        found[new] = True
        queue[last : last + len(new)] = new
        visited, last = visited + len(now), last + len(new)
        longest = max(longest, last - visited)
        total += (last - visited) * len(now)
    return before < min(longest, 2 * total / max(visited, 1))


def _rising(values: NDArray[np.int32]) -> Iterator[int]:
    """Yield the positions of values from the least to the greatest, and of equal ones in order."""
    if len(values):
        # The first is often the only one that is needed.
        yield int(values.argmin())
        yield from values.argsort(kind="stable").tolist()


def _columns(rows: Compressed, chosen: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the columns of all synapses in the chosen rows."""
    pointer, neuron = rows.pointer.numpy(), rows.neuron.numpy()
    first, count = pointer[chosen], pointer[chosen + 1] - pointer[chosen]
    start = first - (np.cumsum(count) - count)
    columns: NDArray[np.int32] = neuron[np.repeat(start, count) + np.arange(count.sum())]
    return columns


def _either_way(views: tuple[Compressed, Compressed]) -> csr_array[np.int8]:
    """Return the adjacency of neurons with a synapse in either direction."""
    ahead, back = map(_adjacency, views)
    return csr_array(ahead + back)


def _adjacency(rows: Compressed) -> csr_array[np.int8]:
    neurons = len(rows.pointer) - 1
    # Copies, because parallel synapses are merged in place.
    arrays = (np.ones(len(rows.neuron), np.int8), rows.neuron.numpy(), rows.pointer.numpy())
    matrix = csr_array(arrays, shape=(neurons, neurons), copy=True)
    matrix.sum_duplicates()
    matrix.data.fill(1)
    return matrix
