"""Synapses in compressed-sparse-row form, and how it is made."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphs import ordering


class Compressed(NamedTuple):
    """The synapses in compressed-sparse-row form.

    Attributes:
        pointer: [N + 1], the start of each row.
        neuron: [E], the neuron at the far end of each synapse.
        order: [E], the synapse at each position; None if they are in this order already.
    """

    pointer: Tensor
    neuron: Tensor
    order: Tensor | None

    def arrange(self, values: Tensor) -> Tensor:
        """Reorder values [E] from the order of the synapses to that of the rows."""
        return values if self.order is None else values.index_select(0, self.order)

    def restore(self, values: Tensor) -> Tensor:
        """Reorder values [E] from the order of the rows to that of the synapses."""
        if self.order is None:
            return values
        return torch.empty_like(values).index_copy_(0, self.order.long(), values)

    def per_synapse(self, of_rows: Tensor) -> Tensor:
        """Return for every synapse the value of its row, [E], from values [N]."""
        size = len(self.neuron)
        return self.restore(of_rows.repeat_interleave(self.pointer.diff(), output_size=size))

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the row and the far end of every synapse, [E] each, in the dtype of the index."""
        far = self.neuron
        rows = torch.arange(len(self.pointer) - 1, dtype=far.dtype, device=far.device)
        return self.per_synapse(rows), self.restore(far)

    def is_sound(self) -> bool:
        """Return whether all indices are neurons and synapses, and the rows hold all synapses."""
        neurons, synapses = len(self.pointer) - 1, len(self.neuron)
        pointer = self.pointer
        return (
            int(pointer[0]) == 0
            and int(pointer[-1]) == synapses
            and bool((pointer[1:] >= pointer[:-1]).all())
            and _is_below(self.neuron, neurons)
            and (self.order is None or _is_below(self.order, synapses))
        )

    def transposed(self) -> Compressed:
        """Return the columns as rows, in O(N + E) time on a CPU; equal synapses keep their order.

        Raises:
            ValueError: If the arrays were changed and no longer are those of a structure.
        """
        if self.neuron.is_cpu:
            order = None if self.order is None else self.order.numpy()
            try:
                view = (self.pointer.numpy(), self.neuron.numpy(), order)
                return _as_tensors(ordering.transposed(view))
            except (IndexError, ValueError):
                raise ValueError(ASTRAY) from None
        if not self.is_sound():
            raise ValueError(ASTRAY)
        rows, far = self.ends()
        return _sort(far.long(), rows.long(), len(self.pointer) - 1)


ASTRAY = (
    "the index arrays of the structure lead to neurons or synapses that it does not have, since "
    "they were changed in place; make another structure with Structure(edge_index, num_nodes)"
)


def compress(edge_index: Tensor, num_nodes: int) -> Compressed:
    """Return checked synapses [2, E] int64 by target, then by source."""
    source, target = edge_index
    if edge_index.is_cpu:
        return _as_tensors(ordering.view(source.numpy(), target.numpy(), num_nodes))
    return _sort(target, source, num_nodes)


def _is_below(values: Tensor, limit: int) -> bool:
    if not values.numel():
        return True
    low, high = values.aminmax()
    return int(low) >= 0 and int(high) < limit


def _as_tensors(view: ordering.View) -> Compressed:
    pointer, neuron, order = view
    return Compressed(
        torch.from_numpy(pointer),
        torch.from_numpy(neuron),
        None if order is None else torch.from_numpy(order),
    )


def _sort(rows: Tensor, columns: Tensor, num_nodes: int) -> Compressed:
    """Return the synapses sorted by rows, then by columns, both [E] int64, on any device."""
    small = max(num_nodes, rows.numel()) < 2**31
    dtype = torch.int32 if small else torch.int64
    pointer = torch.zeros(num_nodes + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(torch.bincount(rows, minlength=num_nodes), 0, out=pointer[1:])
    order: Tensor | None = torch.argsort(rows * num_nodes + columns, stable=True).to(dtype)
    assert order is not None
    if not len(order) or bool((order.diff() == 1).all()):
        order = None
    columns = columns.to(dtype)
    return Compressed(
        pointer.to(dtype), columns if order is None else columns.index_select(0, order), order
    )
