"""The index arrays of a directed graph, checked and sorted once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch_geometric import EdgeIndex

from graphs import arguments, tensors
from graphs.ordering import View, canonical_order, survey, views
from sparsebrain.kernels.coloring import Colors, color_greedily

MOST_NEURONS = 2**31 - 1
"""The most neurons of a structure; the number of synapses has no such limit."""


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


class Arranged(NamedTuple):
    """Weights in the order of some rows, and the key of those that they copy.

    ``key`` [chunks, words] int32 is made of the values themselves, because writes through ``.data``
    change no version of a tensor.
    """

    weight: Tensor
    key: Tensor


class Structure:
    """The synapses of a connectome, indexed by target and by source.

    Every kernel takes a ``Structure``, so that indices are checked and sorted once and not at every
    call. Parallel synapses (the same source and target twice) are allowed; their contributions add
    up.

    Args:
        edge_index: [2, E], of any integer dtype and in any order; row 0 holds sources, row 1
            targets.
        num_nodes: N, the number of neurons, including those without synapses; at most 2^31 - 1.

    Attributes:
        edge_index: [2, E] int64, in the given order.
        num_nodes: The number of neurons N.
        num_edges: E, the number of synapses.
        by_target: Rows are targets and ``neuron`` holds sources: the matrix W of ``propagate``.
        by_source: Rows are sources and ``neuron`` holds targets: its transpose.
        prepared: What a backend keeps for its next call, and a key of everything that it is made
            of except the index arrays; or None.

    Raises:
        TypeError: If ``edge_index`` is not an integer tensor, or ``num_nodes`` not an int.
        ValueError: If the shape is not [2, E], an index is outside [0, N), or N neurons do not fit
            into memory.

    Note:
        Index arrays are int32 where N and E allow it. Construction takes O(N + E) time
        on a CPU.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure
        >>> structure = Structure(torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
        >>> structure
        Structure(num_nodes=3, num_edges=3)
    """

    __slots__ = (
        "_colors",
        "_kept",
        "_watched",
        "by_source",
        "by_target",
        "edge_index",
        "num_edges",
        "num_nodes",
        "prepared",
    )

    def __init__(self, edge_index: Tensor, num_nodes: int) -> None:
        num_nodes = arguments.count("num_nodes", num_nodes, at_most=MOST_NEURONS)
        # Two pointer arrays, which are built in 64 bits.
        tensors.room(
            f"num_nodes={num_nodes}", 16 * num_nodes, "pass 1 + the largest number in edge_index"
        )
        edge_index = _checked(edge_index, num_nodes)
        self.edge_index = edge_index
        self.num_nodes, self.num_edges = num_nodes, edge_index.size(1)
        self._kept: dict[tuple[torch.dtype, bool], Arranged] = {}
        self._watched: list[tuple[Tensor, int, Any, int]] | None = None
        self._colors: Colors | None = None
        self.prepared: tuple[Any, Any] | None = None
        source, target = edge_index
        self.by_target, self.by_source = _compress_both(source, target, num_nodes)

    @property
    def device(self) -> torch.device:
        """The device of the index arrays."""
        return self.edge_index.device

    def arrays(self) -> list[Tensor]:
        """Return all index arrays in the order that operators take; an empty one is None."""
        absent = self.edge_index.new_empty(0)
        compressed = (*self.by_target, *self.by_source)
        return [self.edge_index, *(absent if array is None else array for array in compressed)]

    def colors(self) -> Colors:
        """Return a coloring of the neurons, made at the first call in O(N + E) time.

        No two neurons that share a synapse, in either direction, have the same color.

        Example:
            >>> import torch
            >>> from sparsebrain.kernels import Structure
            >>> ring = Structure(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), num_nodes=4)
            >>> [each.tolist() for each in ring.colors().classes()]
            [[0, 2], [1, 3]]
        """
        if self._colors is None:
            self._colors = color_greedily([rows[:2] for rows in (self.by_target, self.by_source)])
        return self._colors

    def check_arrays(self) -> None:
        """Check that the index arrays still have the sizes and the memory of this structure.

        Raises:
            ValueError: They were resized or freed in place.
        """
        if self._watched is None:
            arrays = [array for array in self.arrays() if array.numel()]
            _check_arrays(self.arrays(), self.num_nodes)
            self._watched = [
                (each, each.data_ptr(), each.untyped_storage(), each.nbytes) for each in arrays
            ]
        for array, address, storage, size in self._watched:
            if array.data_ptr() != address or storage.nbytes() < size:
                raise ValueError(
                    "the index arrays of the structure were resized or freed; make another one "
                    "with Structure(edge_index, num_nodes)"
                )

    @classmethod
    def from_arrays(cls, arrays: Sequence[Tensor], num_nodes: int) -> Structure:
        """Make a structure from the result of :meth:`arrays`.

        Only sizes and dtypes are checked; the operators check the contents.

        Raises:
            TypeError: If ``arrays`` is not a list of tensors, or ``num_nodes`` not an int.
            ValueError: If the arrays are not those of a structure of ``num_nodes`` neurons.
        """
        num_nodes = arguments.count("num_nodes", num_nodes, at_most=MOST_NEURONS)
        _check_arrays(arrays, num_nodes)
        structure = cls.__new__(cls)
        structure.edge_index, pointer, neuron, order, back, target, turned = arrays
        structure.num_nodes, structure.num_edges = num_nodes, structure.edge_index.size(1)
        structure._kept, structure._watched = {}, None
        structure._colors = structure.prepared = None
        structure.by_target = Compressed(pointer, neuron, order if order.numel() else None)
        structure.by_source = Compressed(back, target, turned if turned.numel() else None)
        return structure

    def to(self, device: torch.device | str) -> Structure:
        """Return the same structure with its index arrays on another device.

        Raises:
            TypeError: If ``device`` is neither a string nor a ``torch.device``.
            ValueError: If torch does not know or find the device.
        """
        device = tensors.device("device", device)
        if device == self.device:
            return self
        return self.from_arrays([array.to(device) for array in self.arrays()], self.num_nodes)

    def take(self, dtype: torch.dtype, *, by_source: bool = False) -> Arranged | None:
        """Take the arranged weights of a dtype, so that no other thread overwrites them.

        They are in the order of the rows of ``by_target``, or of ``by_source``.
        """
        return self._kept.pop((dtype, by_source), None)

    def keep(self, arranged: Arranged, *, by_source: bool = False) -> None:
        """Keep arranged weights for the next call."""
        self._kept[arranged.weight.dtype, by_source] = arranged

    def __reduce__(self) -> tuple[Any, ...]:
        # What is kept between calls is made again where it is needed.
        return Structure.from_arrays, (self.arrays(), self.num_nodes)

    def __repr__(self) -> str:
        return f"Structure(num_nodes={self.num_nodes}, num_edges={self.num_edges})"


# An order is empty if the synapses are already in it.
_MAY_LACK = (False, False, False, True, False, False, True)


def _check_arrays(arrays: Sequence[Tensor], num_nodes: int) -> None:
    """Raise unless the arrays have the sizes, dtypes and device of a structure's.

    Every call of an operator comes through here, so the common case is decided first, and an error
    is described afterwards.
    """
    if not isinstance(arrays, list | tuple) or not all(isinstance(a, Tensor) for a in arrays):
        raise TypeError(
            f"arrays must be a list of tensors, got {arrays!r:.60}; pass structure.arrays()"
        )
    if len(arrays) != 7:
        raise ValueError(
            f"arrays must be the seven of a structure, got {len(arrays)}; pass structure.arrays()"
        )
    edge_index, pointer, *_ = arrays
    dtype, device = pointer.dtype, edge_index.device
    edges = edge_index.size(1) if edge_index.dim() == 2 else -1
    sizes = (2 * edges, num_nodes + 1, edges, edges, num_nodes + 1, edges, edges)
    fits = edge_index.dtype is torch.int64 and (dtype is torch.int32 or dtype is torch.int64)
    for array, size, may_lack in zip(arrays, sizes, _MAY_LACK, strict=True):
        values = array.numel()
        if may_lack and not values:
            continue
        fits = (
            fits
            and values == size
            and (array.dtype is dtype or array is edge_index)
            and array.device == device
            and array.is_contiguous()
        )
    if fits:
        return
    told = ", ".join(f"{list(array.shape)} {array.dtype} on {array.device}" for array in arrays)
    raise ValueError(
        f"arrays are not the index arrays of a structure of num_nodes={num_nodes}: {told}; pass "
        "structure.arrays(), contiguous and on one device"
    )


def plain_tensor(edge_index: Any) -> Any:
    """Return PyG's ``EdgeIndex`` as an ordinary tensor without its dispatch, others unchanged."""
    return edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index


def _checked(edge_index: Tensor, num_nodes: int) -> Tensor:
    fix = "pass edge_index.t() if its rows are pairs of source and target"
    edge_index = tensors.tensor(
        "edge_index", plain_tensor(edge_index), (2, "E"), dtypes=tensors.INTEGERS, fix=fix
    )
    # A copy, so that later changes of the argument cannot bring an unchecked index to a kernel.
    edge_index = edge_index.detach().to(
        torch.int64, copy=True, memory_format=torch.contiguous_format
    )
    if edge_index.is_cpu:
        source, target = edge_index.numpy()
        outside = survey(source, target, num_nodes).outside is not None
    else:
        outside = bool(((edge_index < 0) | (edge_index >= num_nodes)).any())
    if outside:
        low, high = (int(bound) for bound in edge_index.aminmax())
        wrong = low if low < 0 else high
        raise ValueError(
            f"edge_index holds neuron {wrong}, but num_nodes={num_nodes} allows 0 to "
            f"{num_nodes - 1}; "
            + (f"pass num_nodes={high + 1}" if low >= 0 and high < MOST_NEURONS else "drop it")
        )
    return edge_index


def _compress_both(source: Tensor, target: Tensor, num_nodes: int) -> tuple[Compressed, Compressed]:
    """Return the rows of all targets and those of all sources, by counting on a CPU."""
    if source.device.type != "cpu":
        return _compress(target, source, num_nodes), _compress(source, target, num_nodes)
    sources, targets = source.numpy(), target.numpy()
    found = views(sources, targets, num_nodes)
    if found is not None:
        by_target, by_source = map(_as_tensors, found)
        return by_target, by_source
    if survey(sources, targets, num_nodes).rising:
        by_target = _compress(target, source, num_nodes, ordered=True)
        return by_target, _transpose(by_target)
    if survey(targets, sources, num_nodes).rising:
        by_source = _compress(source, target, num_nodes, ordered=True)
        return _transpose(by_source), by_source
    order = torch.from_numpy(canonical_order(num_nodes, sources, targets))
    by_target = _compress(target, source, num_nodes, order=order)
    return by_target, _transpose(by_target)


def _as_tensors(view: View) -> Compressed:
    pointer, neuron, order = view
    return Compressed(
        torch.from_numpy(pointer),
        torch.from_numpy(neuron),
        None if order is None else torch.from_numpy(order),
    )


def _compress(
    rows: Tensor,
    columns: Tensor,
    num_nodes: int,
    *,
    ordered: bool = False,
    order: Tensor | None = None,
) -> Compressed:
    """Return the synapses sorted by rows, then by columns.

    Args:
        rows: [E] int64.
        columns: [E] int64.
        num_nodes: The number of neurons N.
        ordered: Whether the synapses are known to be in this order.
        order: The permutation that sorts them, if it is known.
    """
    small = max(num_nodes, rows.numel()) < 2**31
    dtype = torch.int32 if small else torch.int64
    pointer = torch.zeros(num_nodes + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(torch.bincount(rows, minlength=num_nodes), 0, out=pointer[1:])
    columns = columns.to(dtype)
    if not ordered and order is None:
        order = torch.argsort(rows * num_nodes + columns, stable=True)
    order = None if order is None else _unless_identity(order.to(dtype))
    if order is not None:
        columns = columns.index_select(0, order)
    return Compressed(pointer.to(dtype), columns, order)


def _transpose(rows: Compressed) -> Compressed:
    """Return the columns of sorted rows as rows; their order is again stable."""
    pointer, neuron, order = rows
    dtype, size = pointer.dtype, len(pointer) - 1
    if order is None:
        order = torch.arange(len(neuron), dtype=dtype, device=neuron.device)
    arrays = (order.numpy(), neuron.numpy(), pointer.numpy())
    # A counting sort, which keeps the order of the rows within each column.
    columns = csr_array(arrays, shape=(size, size)).tocsc()
    pointer, neuron, order = (
        torch.from_numpy(array).to(dtype)
        for array in (columns.indptr, columns.indices, columns.data)
    )
    return Compressed(pointer, neuron, _unless_identity(order))


def _unless_identity(order: Tensor) -> Tensor | None:
    """Return a permutation, or None if it changes nothing."""
    if not len(order) or (int(order[0]) == 0 and bool((order.diff() == 1).all())):
        return None
    return order
