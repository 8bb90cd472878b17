"""Partitions of a connectome: which process owns which neurons."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, paths, tensors
from graphs.contract import checked
from graphs.ordering import canonical_order
from sparsebrain.distributed.parts import MOST_PARTS, Part, file_name

Index = NDArray[np.int64]
Method = Literal["blocks", "rcm", "metis"]

_FLOAT = 4
_PER_NEURON = ("pos", "node_type", "node_sign")
_PER_SYNAPSE = ("edge_weight", "edge_type", "edge_sign")


@dataclass(frozen=True)
class PartitionReport:
    """The size of every part, and what its process receives at every loop.

    Attributes:
        method: The method of the partition.
        neurons: The owned neurons of each part.
        synapses: The synapses of each part.
        halo: The neurons of other parts that each part reads.
        bytes_per_loop: The bytes that each process receives at every loop, for one sample in
            float32.
        halo_share: All halo neurons together, as a share of all neurons.
        imbalance: The most synapses of a part, relative to the mean; 1 is balanced.
    """

    method: str
    neurons: tuple[int, ...]
    synapses: tuple[int, ...]
    halo: tuple[int, ...]
    bytes_per_loop: tuple[int, ...]
    halo_share: float
    imbalance: float

    def to_dict(self) -> dict[str, Any]:
        """Return all values by name."""
        return asdict(self)

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("part", "neurons", "synapses", "halo", "bytes/loop")]
        columns = (self.neurons, self.synapses, self.halo, self.bytes_per_loop)
        rows += [(str(i), *map(str, each)) for i, each in enumerate(zip(*columns, strict=True))]
        lines = ["".join(f"{cell:>12}" for cell in row) for row in rows]
        lines.append(f"halo {self.halo_share:.1%} of the neurons, imbalance {self.imbalance:.2f}")
        return "\n".join(lines)


class Partition:
    """A connectome whose neurons are assigned to parts; made by :func:`partition`.

    Attributes:
        connectome: The whole connectome.
        assignment: The part of every neuron, [N] int64.
        parts: The number of parts.
        method: The method.
    """

    def __init__(self, connectome: Data, assignment: Tensor, parts: int, method: str) -> None:
        self.connectome, self.assignment = connectome, assignment
        self.parts, self.method = parts, method
        source, target = connectome.edge_index.cpu().numpy()
        types = connectome.edge_type.cpu().numpy() if "edge_type" in connectome else None
        self._order = canonical_order(len(assignment), source, target, types)
        self._part_of_synapse = assignment.numpy()[target[self._order]]

    def owned(self, rank: int) -> Tensor:
        """Return the numbers of the neurons of a part, ascending, [n] int64.

        Raises:
            TypeError: If ``rank`` is not an integer.
            ValueError: If there is no such part.
        """
        rank = arguments.count("rank", rank, at_most=self.parts - 1)
        return (self.assignment == rank).nonzero().squeeze(1)

    @cached_property
    def graph(self) -> str:
        """A SHA-256 of the synapses, all fields and the assignment."""
        digest = hashlib.sha256(f"{len(self.assignment)} {self.parts}".encode())
        for name in ("edge_index", *_PER_SYNAPSE, *_PER_NEURON):
            if name in self.connectome:
                digest.update(name.encode())
                digest.update(self.connectome[name].detach().cpu().contiguous().numpy().data)
        digest.update(self.assignment.numpy().data)
        return digest.hexdigest()

    @cached_property
    def report(self) -> PartitionReport:
        """The size of every part and its communication."""
        source = self.connectome.edge_index[0].cpu().numpy()[self._order]
        assignment = self.assignment.numpy()
        halo = []
        for rank in range(self.parts):
            read = np.unique(source[self._part_of_synapse == rank])
            halo.append(int((assignment[read] != rank).sum()))
        neurons = np.bincount(assignment, minlength=self.parts).tolist()
        synapses = np.bincount(self._part_of_synapse, minlength=self.parts).tolist()
        mean = max(sum(synapses) / self.parts, 1e-300)
        return PartitionReport(
            self.method,
            tuple(neurons),
            tuple(synapses),
            tuple(halo),
            tuple(_FLOAT * each for each in halo),
            sum(halo) / max(len(assignment), 1),
            max(synapses) / mean if sum(synapses) else 1.0,
        )

    def part(self, rank: int) -> Part:
        """Return the part of a process.

        Raises:
            TypeError: If ``rank`` is not an integer.
            ValueError: If there is no such part, or torch's int32 cannot number its neurons.
        """
        owned = self.owned(rank).numpy()
        data, assignment = self.connectome, self.assignment.numpy()
        chosen = self._order[self._part_of_synapse == rank]
        at = torch.from_numpy(chosen)
        source, target = data.edge_index.cpu().numpy()[:, chosen]

        def fields_of(nodes: Index) -> dict[str, Tensor]:
            here = torch.from_numpy(nodes)
            return {name: data[name].cpu()[here] for name in _PER_NEURON if name in data}

        return Part.of(
            rank,
            self.parts,
            owned,
            source,
            target,
            lambda nodes: assignment[nodes],
            chosen,
            neuron_fields=fields_of,
            synapse_fields={name: data[name].cpu()[at] for name in _PER_SYNAPSE if name in data},
            num_nodes=len(assignment),
            num_edges=len(self._order),
            graph=self.graph,
            num_edge_types=_count(data, "edge_type"),
            num_node_types=_count(data, "node_type"),
            projections=_projections(data),
        )

    def save(self, folder: str | Path) -> list[Path]:
        """Write one ``.npz`` file for each part, each complete or absent.

        Args:
            folder: A folder for the parts of this partition, which is made if necessary.

        Returns:
            The paths of the files.

        Raises:
            TypeError: If ``folder`` is not a path.
            ValueError: If it has parts of a partition into another number of parts.
            OSError: If a file cannot be written.
        """
        place = paths.path("folder", folder)
        refuse_others(place, self.parts)
        return [self.part(rank).save(place) for rank in range(self.parts)]

    def __repr__(self) -> str:
        return (
            f"Partition({len(self.assignment)} neurons, {len(self._order)} synapses, "
            f"parts={self.parts}, method={self.method!r})"
        )


def refuse_others(folder: Path, parts: int) -> None:
    """Raise ValueError if a folder has parts of a partition into another number of parts."""
    known = {file_name(rank, parts) for rank in range(parts)}
    others = sorted(each.name for each in folder.glob("part-*-of-*.npz") if each.name not in known)
    if others:
        raise ValueError(
            f"folder {str(folder)!r} has parts of another partition, such as {others[0]}; pass an "
            "empty folder"
        )


def partition(connectome: Data, parts: int, method: Method | Tensor = "blocks") -> Partition:
    """Assign the neurons of a connectome to processes.

    A process computes the synapses onto its neurons, so parts are balanced by synapses and neurons
    together.

    Args:
        connectome: The connectome, as for a :class:`~sparsebrain.GraphLayer`.
        parts: The number of parts, one per process. Parts may be empty.
        method: "blocks" cuts the neurons into contiguous ranges of their numbers. "rcm" orders them
            by the reverse Cuthill-McKee algorithm [1]_ first, so that connected neurons are close.
            "metis" minimizes the number of cut synapses [2]_; it needs the extra ``metis``. A
            tensor [N] of integers gives the part of every neuron.

    Returns:
        The partition; its ``owned(rank)`` are the neurons of a process, and ``report`` tells sizes
        and communication. Takes O(N + E) time and memory with "blocks" and "rcm".

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has the wrong shape or value.
        ImportError: If "metis" is asked for and pymetis is missing.

    References:
        .. [1] E. Cuthill, J. McKee, "Reducing the bandwidth of sparse symmetric matrices", ACM
           national conference (1969) 157-172.
        .. [2] G. Karypis, V. Kumar, "A fast and high quality multilevel scheme for partitioning
           irregular graphs", SIAM Journal on Scientific Computing 20 (1998) 359-392.

    Example:
        >>> import graphs
        >>> from sparsebrain.distributed import partition
        >>> halves = partition(graphs.grid_local((4, 4), 1), 2)
        >>> halves.owned(1).tolist()
        [8, 9, 10, 11, 12, 13, 14, 15]
        >>> print(halves.report)
                part     neurons    synapses        halo  bytes/loop
                   0           8          50           4          16
                   1           8          50           4          16
        halo 50.0% of the neurons, imbalance 1.00
    """
    num_nodes, edges, *_ = checked(connectome)
    parts = arguments.count("parts", parts, at_least=1, at_most=MOST_PARTS)
    if isinstance(method, Tensor):
        tensors.tensor("method", method, (num_nodes,), dtypes=tensors.INTEGERS)
        assignment = method.detach().cpu().long()
        if num_nodes and not 0 <= int(assignment.min()) <= int(assignment.max()) < parts:
            raise ValueError(
                f"method must hold parts from 0 to {parts - 1}, got {int(assignment.min())} to "
                f"{int(assignment.max())}; pass parts={int(assignment.max()) + 1}"
            )
        return Partition(connectome, assignment.clone(), parts, "tensor")
    if not isinstance(method, str):
        raise TypeError(
            f"method must be {', '.join(map(repr, get_args(Method)))} or a tensor [N], got "
            f"{arguments.described(method)}; pass method='blocks'"
        )
    arguments.option("method", method, get_args(Method))
    cost = np.bincount(edges[1], minlength=num_nodes) + 1
    if method == "metis":
        found = _metis(num_nodes, edges, parts, cost)
    elif method == "rcm":
        order = _close_order(num_nodes, edges)
        found = np.empty(num_nodes, dtype=np.int64)
        found[order] = _blocks(cost[order], parts)
    else:
        found = _blocks(cost, parts)
    return Partition(connectome, torch.from_numpy(found), parts, method)


def check_partition(partition: Any, num_nodes: int, edge_index: Tensor, name: str) -> None:
    """Raise TypeError or ValueError unless it is a partition of a connectome.

    Args:
        partition: What the caller passed.
        num_nodes: The number of neurons of the connectome.
        edge_index: Its synapses [2, E].
        name: What to call the connectome, such as "the layer's connectome".
    """
    if not isinstance(partition, Partition):
        raise TypeError(
            f"partition must be a Partition, got {arguments.described(partition)}; pass "
            "partition=sparsebrain.distributed.partition(connectome, parts)"
        )
    if num_nodes != len(partition.assignment) or not torch.equal(
        edge_index.cpu(), partition.connectome.edge_index.cpu()
    ):
        raise ValueError(
            f"partition must be one of {name}, with its synapses in their order; pass "
            "partition(connectome, parts) of the connectome that it was made from"
        )


def part_of(part: Any, rank: int, size: int) -> Part:
    """Return the part of a process, of a part or a partition.

    Args:
        part: What the caller passed.
        rank: The number of the process.
        size: The number of processes.

    Raises:
        TypeError: If it is neither a part nor a partition.
        ValueError: If it is that of another process, or of another number of processes.
    """
    if not isinstance(part, Part | Partition):
        raise TypeError(
            f"part must be a Part or a Partition, got {arguments.described(part)}; pass "
            "part=sparsebrain.distributed.partition(connectome, parts)"
        )
    if part.parts != size:
        raise ValueError(
            f"part must be one of as many parts as there are processes, {size}, got one of "
            f"{part.parts}; start {part.parts} processes, or call partition(connectome, {size})"
        )
    own = part.part(rank) if isinstance(part, Partition) else part
    if own.rank != rank:
        raise ValueError(
            f"part must be that of this process, {rank}, got part {own.rank}; pass "
            f"part=Part.load(folder, rank={rank})"
        )
    return own


def _blocks(cost: Index, parts: int) -> Index:
    """Cut a sequence into ranges of about equal cost; return the range of each element."""
    before = np.cumsum(cost) - cost
    total = max(int(cost.sum()), 1)
    # In floating point: the product of two large counts may exceed 64 bits.
    return np.minimum((before + cost / 2) / total * parts, parts - 1).astype(np.int64)


def _symmetric(num_nodes: int, edges: Index) -> Any:
    """Return the pairs of different connected neurons, in both directions, as a CSR array."""
    source, target = edges[:, edges[0] != edges[1]]
    ends = (np.concatenate([source, target]), np.concatenate([target, source]))
    ones = np.ones(len(ends[0]), dtype=np.int8)
    return coo_array((ones, ends), shape=(num_nodes, num_nodes)).tocsr()


def _close_order(num_nodes: int, edges: Index) -> Index:
    if not num_nodes:
        return np.empty(0, dtype=np.int64)
    order = reverse_cuthill_mckee(_symmetric(num_nodes, edges), symmetric_mode=True)
    return np.asarray(order, dtype=np.int64)


def _metis(num_nodes: int, edges: Index, parts: int, cost: Index) -> Index:
    try:
        import pymetis  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "method='metis' needs pymetis; run pip install 'sparsebrain[metis]', or pass "
            "method='rcm'"
        ) from error
    if parts == 1 or not num_nodes:
        return np.zeros(num_nodes, dtype=np.int64)
    matrix = _symmetric(num_nodes, edges)
    adjacency = pymetis.CSRAdjacency(matrix.indptr, matrix.indices)
    _, found = pymetis.part_graph(parts, adjacency, vweights=cost.tolist())
    return np.asarray(found, dtype=np.int64)


def _count(data: Data, name: str) -> int:
    return int(data[name].max()) + 1 if name in data and len(data[name]) else 0


def _projections(data: Data) -> Tensor | None:
    """Return the source and target population of every projection, in order, [2, P]."""
    if "node_type" not in data:
        return None
    pairs: Tensor = data.node_type.cpu()[data.edge_index.cpu()].unique(dim=1)
    return pairs
