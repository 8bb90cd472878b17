"""The index arrays of a directed graph, checked and sorted once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.utils.weak import TensorWeakRef
from torch_geometric import EdgeIndex

from graphs import arguments, tensors
from graphs.ordering import survey
from sparsebrain.kernels.coloring import Colors, color_greedily
from sparsebrain.kernels.compressed import ASTRAY, Compressed, compress
from sparsebrain.kernels.row_pairs import RowPairs
from sparsebrain.kernels.transforms import in_torch_func, untraced

MOST_NEURONS = 2**31 - 1
"""The most neurons of a structure; the number of synapses has no such limit."""


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
        num_nodes: The number of neurons N.
        num_edges: E, the number of synapses.
        by_target: Rows are targets and ``neuron`` holds sources: the matrix W of ``propagate``.
        paired: The pairs in which a backend reads the rows, by whether they are sources, or None
            where it reads each row alone; empty until it looks for them.
        prepared: What a backend keeps for its next call, and a key of everything that it is made
            of except the index arrays; or None.

    Raises:
        TypeError: If ``edge_index`` is not an integer tensor, or ``num_nodes`` not an int.
        ValueError: If the shape is not [2, E], an index is outside [0, N), or N neurons do not fit
            into memory.

    Note:
        Only ``by_target`` is always kept: 4 bytes a synapse if the synapses are given in the order
        of their targets and sources, else 8. ``by_source``, which takes 8 more, or 4 if the
        synapses are given in the order of their sources, is made when it is first used: by the
        first backward pass, which is therefore slower than later ones. ``edge_index`` is made anew
        whenever it is read. Index arrays are int32 where N and E allow it. Construction takes
        O(N + E) time on a CPU.

    Example:
        >>> import torch
        >>> from sparsebrain.kernels import Structure
        >>> structure = Structure(torch.tensor([[0, 1, 2], [1, 2, 0]]), num_nodes=3)
        >>> structure
        Structure(num_nodes=3, num_edges=3)
    """

    __slots__ = (
        "__weakref__",
        "_by_source",
        "_colors",
        "_edges",
        "_kept",
        "_watched",
        "by_target",
        "num_edges",
        "num_nodes",
        "paired",
        "prepared",
    )

    def __init__(self, edge_index: Tensor, num_nodes: int) -> None:
        num_nodes = arguments.count("num_nodes", num_nodes, at_most=MOST_NEURONS)
        # Two pointer arrays, which are built in 64 bits.
        tensors.room(
            f"num_nodes={num_nodes}", 16 * num_nodes, "pass 1 + the largest number in edge_index"
        )
        self._set(compress(_checked(edge_index, num_nodes), num_nodes))

    def _set(self, by_target: Compressed) -> None:
        self.by_target = by_target
        self.num_nodes, self.num_edges = len(by_target.pointer) - 1, len(by_target.neuron)
        # A dictionary, whose `setdefault` gives all threads the same arrays.
        self._by_source: dict[str, Compressed] = {}
        self._kept: dict[tuple[torch.dtype, bool, bool], Arranged] = {}
        self.paired: dict[bool, RowPairs | None] = {}
        self._watched: tuple[Compressed | None, list[_Watched]] | None = None
        self._edges: tuple[TensorWeakRef, int] | None = None
        self._colors: Colors | None = None
        self.prepared: tuple[Any, Any] | None = None
        if type(by_target.pointer) is Tensor:
            _existing[by_target.pointer.data_ptr()] = self

    @property
    def edge_index(self) -> Tensor:
        """The synapses [2, E] int64, in the given order; O(N + E) time for each access.

        While a tensor that was returned before exists and is unchanged, it is returned again.
        """
        # Tensors that belong to a transform must not outlive it.
        if torch.compiler.is_compiling() or in_torch_func():
            return self._given_edges()
        if self._edges is not None:
            reference, version = self._edges
            known = reference()
            if known is not None and known._version == version:
                return known
        with untraced():
            edges = self._given_edges()
        self._edges = None if edges.is_inference() else (TensorWeakRef(edges), edges._version)
        return edges

    def _given_edges(self) -> Tensor:
        if not torch.compiler.is_compiling() and not self.by_target.is_sound():
            raise ValueError(ASTRAY)
        target, source = self.by_target.ends()
        return torch.stack((source, target)).long()

    @property
    def by_source(self) -> Compressed:
        """Rows are sources and ``neuron`` holds targets: the transpose of ``by_target``.

        Made at the first access, in O(N + E) time on a CPU.

        Raises:
            ValueError: If ``by_target`` was changed in place.
        """
        found = self._by_source.get("")
        return found or self._by_source.setdefault("", self.by_target.transposed())

    @property
    def has_by_source(self) -> bool:
        """Whether ``by_source`` exists already."""
        return bool(self._by_source)

    @property
    def device(self) -> torch.device:
        """The device of the index arrays."""
        return self.by_target.pointer.device

    def arrays(self) -> list[Tensor]:
        """Return ``by_target`` as operators take it; an order of None is an empty tensor."""
        pointer, neuron, order = self.by_target
        return [pointer, neuron, pointer.new_empty(0) if order is None else order]

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
        back = self._by_source.get("")
        if self._watched is None or self._watched[0] is not back:
            _check_arrays(self.arrays(), self.num_nodes)
            arrays = [*self.by_target, *(() if back is None else back)]
            self._watched = (
                back,
                [
                    (each, each.data_ptr(), each.untyped_storage(), each.nbytes)
                    for each in arrays
                    if each is not None and each.numel()
                ],
            )
        for array, address, storage, size in self._watched[1]:
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
        if isinstance(arrays, list | tuple) and len(arrays) == _OLD:
            arrays = arrays[1:4]
        _check_arrays(arrays, num_nodes)
        structure = cls.__new__(cls)
        pointer, neuron, order = arrays
        structure._set(Compressed(pointer, neuron, order if order.numel() else None))
        return structure

    @classmethod
    def of(cls, arrays: Sequence[Tensor]) -> Structure:
        """Return the structure that the result of :meth:`arrays` came from, or an equal one.

        What a structure keeps for its next call, such as ``by_source``, is then found again.

        Raises:
            TypeError: As :meth:`from_arrays`.
            ValueError: As :meth:`from_arrays`.
        """
        if len(arrays) == _ARRAYS and type(arrays[0]) is Tensor:
            known = _existing.get(arrays[0].data_ptr())
            if known is not None and all(map(_is_same, known.arrays(), arrays)):
                known.check_arrays()
                return known
        return cls.from_arrays(arrays, max(arrays[0].numel() - 1, 0) if arrays else 0)

    def to(self, device: torch.device | str) -> Structure:
        """Return the same structure with its index arrays on another device.

        Raises:
            TypeError: If ``device`` is neither a string nor a ``torch.device``.
            ValueError: If torch does not know or find the device.
        """
        device = tensors.device("device", device)
        if device == self.device:
            return self
        moved = self.from_arrays([array.to(device) for array in self.arrays()], self.num_nodes)
        back = self._by_source.get("")
        if back is not None:
            moved._by_source[""] = Compressed._make(
                None if each is None else each.to(device) for each in back
            )
        return moved

    def take(
        self, dtype: torch.dtype, *, by_source: bool = False, paired: bool = False
    ) -> Arranged | None:
        """Take the arranged weights of a dtype, so that no other thread overwrites them.

        They are in the order of the rows of ``by_target``, or of ``by_source``, or of their pairs.
        """
        return self._kept.pop((dtype, by_source, paired), None)

    def keep(self, arranged: Arranged, *, by_source: bool = False, paired: bool = False) -> None:
        """Keep arranged weights for the next call."""
        self._kept[arranged.weight.dtype, by_source, paired] = arranged

    def __reduce__(self) -> tuple[Any, ...]:
        # What is kept between calls is made again where it is needed.
        return Structure.from_arrays, (self.arrays(), self.num_nodes)

    def __repr__(self) -> str:
        return f"Structure(num_nodes={self.num_nodes}, num_edges={self.num_edges})"


_ARRAYS = 3
_OLD = 7
"""As many arrays were pickled before ``by_source`` and ``edge_index`` were made on demand."""

_Watched = tuple[Tensor, int, Any, int]

_existing: WeakValueDictionary[int, Structure] = WeakValueDictionary()
"""All structures by the address of their pointers, which no other memory has while they exist."""


def _is_same(one: Tensor, other: Tensor) -> bool:
    return (
        one.data_ptr() == other.data_ptr()
        and one.shape == other.shape
        and one.dtype is other.dtype
        and one.device == other.device
        and other.is_contiguous()
    )


def _check_arrays(arrays: Sequence[Tensor], num_nodes: int) -> None:
    """Raise unless the arrays have the sizes, dtypes and device of a structure's.

    Every call of an operator comes through here, so the common case is decided first, and an error
    is described afterwards.
    """
    if not isinstance(arrays, list | tuple) or not all(isinstance(a, Tensor) for a in arrays):
        raise TypeError(
            f"arrays must be a list of tensors, got {arrays!r:.60}; pass structure.arrays()"
        )
    if len(arrays) != _ARRAYS:
        raise ValueError(
            f"arrays must be the three of a structure, got {len(arrays)}; pass structure.arrays()"
        )
    pointer, neuron, order = arrays
    dtype, device, edges = pointer.dtype, pointer.device, neuron.numel()
    fits = dtype is torch.int32 or dtype is torch.int64
    for array, size in ((pointer, num_nodes + 1), (neuron, edges), (order, edges)):
        if array is order and not array.numel():
            continue
        fits = (
            fits
            and array.shape == (size,)
            and array.dtype is dtype
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
