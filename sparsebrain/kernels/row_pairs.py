"""Rows of synapses in pairs, for the compiled loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sparsebrain.kernels.structure import Structure

LEAST_SHARED = 0.7
"""The share of the synapses that pairs must have in common to be worth it, as on grids."""
LEAST_COLUMNS = 1024
"""Loops times batch below which a call does not pay for a search of pairs."""
MOST_BYTES = 512 * 1024
"""The largest state of a tile for which loads, and not memory, limit the loops."""
VECTOR = 64
"""Bytes of a vector; narrower columns are computed row by row."""


class RowPairs(NamedTuple):
    """Each row with the next one; what both read from the same neuron is loaded once.

    Attributes:
        pair: [N / 2 + 1, 3] int32: where the places of a pair begin, the neurons that both rows
            read, and the other synapses of its first row.
        neuron: [E] int32, the neuron at the far end of each synapse.
        order: [E] int32, the synapse at each place.
    """

    pair: Tensor
    neuron: Tensor
    order: Tensor


def find(
    module: Any,
    call: Any,
    structure: Structure,
    dtype: torch.dtype,
    batch: int,
    *,
    tile: int,
    loops: int,
    by_source: bool = False,
) -> RowPairs | None:
    """Return the pairs of a structure, or None where rows of their own are faster.

    A structure keeps its answer, which takes O(E) time.

    Args:
        module: The compiled kernels.
        call: The structure as the module reads it.
        structure: The synapses.
        dtype: That of the states.
        batch: B, the columns of the states.
        tile: The columns that are computed together.
        loops: How often they are read.
        by_source: Whether rows are sources instead of targets.
    """
    if (
        batch % (VECTOR // dtype.itemsize)
        or loops * batch < LEAST_COLUMNS
        or structure.num_nodes * min(batch, tile) * dtype.itemsize > MOST_BYTES
        or not 0 < structure.num_edges < 2**31
    ):
        return None
    if by_source not in structure.paired:
        structure.paired[by_source] = _pair(module, call, structure, by_source)
    pairs: RowPairs | None = structure.paired[by_source]
    return pairs


def _pair(module: Any, call: Any, structure: Structure, by_source: bool) -> RowPairs | None:
    edges = structure.num_edges
    if 2 * module.count_shared(call, by_source) < LEAST_SHARED * edges:
        return None
    pairs = RowPairs(
        torch.empty((structure.num_nodes + 1) // 2 + 1, 3, dtype=torch.int32),
        torch.empty(edges, dtype=torch.int32),
        torch.empty(edges, dtype=torch.int32),
    )
    found = module.pair_rows(call, by_source, [each.data_ptr() for each in pairs])
    return pairs if found else None
