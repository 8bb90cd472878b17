"""One process's part of a connectome: its neurons, their incoming synapses, and the halo."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments, memory, paths, tensors
from graphs.contract import validate
from graphs.io.archives import check_archive
from graphs.io.atomic import write_atomically

Index = NDArray[np.int64]

MOST_PARTS = 2**20
"""The most parts of a partition."""

MOST_IDS = 2**62
"""The most neurons, and synapses, of a whole graph; numbers are 64-bit and form no larger keys."""

# The fields of a connectome that a part keeps, and their dtypes.
_FIELDS = {
    "edge_weight": np.float32,
    "edge_sign": np.float32,
    "edge_type": np.int64,
    "node_type": np.int64,
    "node_sign": np.float32,
    "pos": np.float32,
}
_ARRAYS = ("nodes", "owner", "edge_index", "synapse", "projections", "sizes", "graph")


class Part:
    """The neurons that one process owns, and all synapses onto them.

    The sources of these synapses that other processes own are the halo. Within a part, neurons have
    local numbers: owned and halo neurons together, in ascending order of their global numbers, so
    that sums over sources have the same order as in the whole graph.

    Make parts with :func:`sparsebrain.distributed.partition`, :meth:`load` or a generator of
    :mod:`sparsebrain.distributed.generators`.

    Args:
        rank: The number of this part.
        parts: The number of parts.
        nodes: The global numbers of the owned and halo neurons, ascending, [M] int64.
        owner: The part that owns each of them, [M] int64.
        data: The M neurons and all synapses onto owned ones, in local numbers; keeps the contract.
        synapse: The position of each synapse in the whole graph, [e] int64.
        num_nodes: The number of neurons of the whole graph.
        num_edges: The number of synapses of the whole graph.
        graph: A text that is the same for all parts of a graph, and only for these.
        num_edge_types: The number of edge types of the whole graph.
        num_node_types: The number of populations of the whole graph.
        projections: The source and target population of every projection of the whole graph, [2, P]
            int64, or None.

    Attributes:
        owned: The global numbers of the owned neurons, ascending, [n] int64.
        halo: The global numbers of the halo neurons, ascending, [h] int64.
        is_owned: Which of ``nodes`` are owned, [M] bool.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the arguments are not those of a part.
    """

    def __init__(
        self,
        rank: int,
        parts: int,
        nodes: Tensor,
        owner: Tensor,
        data: Data,
        synapse: Tensor,
        *,
        num_nodes: int,
        num_edges: int,
        graph: str,
        num_edge_types: int = 0,
        num_node_types: int = 0,
        projections: Tensor | None = None,
    ) -> None:
        self.parts = arguments.count("parts", parts, at_least=1, at_most=MOST_PARTS)
        self.rank = arguments.count("rank", rank, at_most=self.parts - 1)
        self.num_nodes = arguments.count("num_nodes", num_nodes, at_most=MOST_IDS)
        self.num_edges = arguments.count("num_edges", num_edges, at_most=MOST_IDS)
        self.num_edge_types = arguments.count("num_edge_types", num_edge_types)
        self.num_node_types = arguments.count("num_node_types", num_node_types)
        if not isinstance(graph, str):
            raise TypeError(
                f"graph must be a str, got {arguments.described(graph)}; pass graph='my graph', "
                "the same in every part"
            )
        self.graph = graph
        ids = (torch.int64,)
        self.nodes = tensors.tensor("nodes", nodes, ("M",), dtypes=ids)
        self.owner = tensors.tensor("owner", owner, (len(nodes),), dtypes=ids)
        self.data = validate(data)
        count = int(data.edge_index.shape[1])
        self.synapse = tensors.tensor("synapse", synapse, (count,), dtypes=ids)
        self.projections = projections
        if projections is not None:
            tensors.tensor("projections", projections, (2, "P"), dtypes=ids)
        self._check()
        self.is_owned = self.owner == self.rank
        self.owned, self.halo = self.nodes[self.is_owned], self.nodes[~self.is_owned]
        self._check_targets()

    def _check(self) -> None:
        for name, values, most in (
            ("nodes", self.nodes, self.num_nodes),
            ("owner", self.owner, self.parts),
            ("synapse", self.synapse, self.num_edges),
        ):
            if len(values) and not 0 <= int(values.min()) <= int(values.max()) < most:
                raise ValueError(
                    f"{name} must be from 0 to {most - 1}, got {int(values.min())} to "
                    f"{int(values.max())}; pass those of the whole graph"
                )
        if not bool((self.nodes.diff() > 0).all()):
            raise ValueError("nodes must be ascending, without repetition; pass nodes.unique()")
        if self.data.num_nodes != len(self.nodes):
            raise ValueError(
                f"data must have the {len(self.nodes)} neurons of nodes, got "
                f"{self.data.num_nodes}; pass data.num_nodes = len(nodes)"
            )

    def _check_targets(self) -> None:
        target = self.data.edge_index[1]
        if not bool(self.is_owned[target].all()):
            raise ValueError(
                "data must have no synapses onto the halo, whose synapses other parts hold; pass "
                "data.edge_index[:, owner[data.edge_index[1]] == rank]"
            )

    @classmethod
    def of(
        cls,
        rank: int,
        parts: int,
        owned: Index,
        source: Index,
        target: Index,
        owner_of: Callable[[Index], Index],
        synapse: Index,
        *,
        neuron_fields: Callable[[Index], dict[str, Tensor]] | None = None,
        synapse_fields: dict[str, Tensor] | None = None,
        **whole: Any,
    ) -> Part:
        """Make a part from synapses in global numbers, without the whole graph.

        Args:
            rank: The number of the part.
            parts: The number of parts.
            owned: The numbers of its neurons, ascending, [n].
            source: The source of each synapse, [e].
            target: The target of each synapse, one of ``owned``, [e].
            owner_of: A function from numbers of neurons [K] to the parts that own them [K].
            synapse: The position of each synapse in the whole graph, [e].
            neuron_fields: A function from numbers of neurons [K] to their fields, such as ``pos``.
            synapse_fields: Fields of the synapses, such as ``edge_weight`` [e].
            whole: Arguments of :class:`Part` that describe the whole graph.

        Returns:
            The part.
        """
        nodes = np.unique(np.concatenate([owned, source]))
        local = np.stack([np.searchsorted(nodes, source), np.searchsorted(nodes, target)])
        data = Data(edge_index=torch.from_numpy(local), num_nodes=len(nodes))
        fields = dict(synapse_fields or {})
        if neuron_fields is not None:
            fields |= neuron_fields(nodes)
        for name, values in fields.items():
            data[name] = values
        return cls(
            rank,
            parts,
            torch.from_numpy(nodes),
            torch.from_numpy(owner_of(nodes).astype(np.int64)),
            data,
            torch.from_numpy(np.ascontiguousarray(synapse, dtype=np.int64)),
            **whole,
        )

    def save(self, folder: str | Path) -> Path:
        """Write the part to ``part-RANK-of-PARTS.npz`` in a folder, which is made if necessary.

        The file is either complete or absent. Local numbers are stored in 32 bits.

        Returns:
            The path of the file.

        Raises:
            TypeError: If ``folder`` is not a path.
            OSError: If the file cannot be written.
        """
        place = paths.path("folder", folder)
        place.mkdir(parents=True, exist_ok=True)
        path = place / file_name(self.rank, self.parts)
        arrays: dict[str, NDArray[Any]] = {
            "nodes": self.nodes.numpy(),
            "owner": self.owner.numpy().astype(np.int32),
            "edge_index": self.data.edge_index.cpu().numpy().astype(np.int32),
            "synapse": self.synapse.numpy(),
            "sizes": np.array(
                [
                    self.rank,
                    self.parts,
                    self.num_nodes,
                    self.num_edges,
                    self.num_edge_types,
                    self.num_node_types,
                ]
            ),
            "graph": np.array(self.graph),
        }
        if self.projections is not None:
            arrays["projections"] = self.projections.numpy()
        for name in _FIELDS:
            if name in self.data:
                arrays[name] = self.data[name].detach().cpu().numpy()

        def write(aside: Path) -> None:
            with aside.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)

        write_atomically(path, write)
        return path

    @classmethod
    def load(cls, folder: str | Path, rank: int) -> Part:
        """Read the part of a process from the folder in which all parts were saved.

        Nothing in the file is executed, and its contents are checked.

        Args:
            folder: The folder.
            rank: The number of the part.

        Raises:
            TypeError: If an argument has the wrong type.
            FileNotFoundError: If the folder has no such part.
            ValueError: If it has parts of several partitions, or the file is damaged.

        Example:
            >>> import graphs, tempfile
            >>> from sparsebrain.distributed import Part, partition
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     paths = partition(graphs.grid_local((4, 4), 1), 2).save(folder)
            ...     part = Part.load(folder, rank=1)
            >>> part
            Part(1 of 2: 8 of 16 neurons, 50 synapses, halo 4)
        """
        place = paths.path("folder", folder)
        rank = arguments.count("rank", rank, at_most=MOST_PARTS - 1)
        found = sorted(each.name for each in place.glob(f"part-{rank}-of-*.npz"))
        if len(found) != 1:
            what = f"has {len(found)}: {', '.join(found)}" if found else "has none"
            error = ValueError if found else FileNotFoundError
            raise error(
                f"folder {str(place)!r} must have one file of part {rank}, and {what}; call "
                "partition(connectome, parts).save(folder), with a folder for each partition"
            )
        path = place / found[0]
        try:
            with path.open("rb") as file:
                return _read(cls, file)
        except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"folder has the damaged file {str(path)!r}: {error}; call part.save(folder) again"
            ) from error

    def __repr__(self) -> str:
        return (
            f"Part({self.rank} of {self.parts}: {len(self.owned)} of {self.num_nodes} neurons, "
            f"{len(self.synapse)} synapses, halo {len(self.halo)})"
        )


def file_name(rank: int, parts: int) -> str:
    """Return the name of the file of a part."""
    return f"part-{rank}-of-{parts}.npz"


def _read(cls: type[Part], file: BinaryIO) -> Part:
    names = check_archive(file, memory.available())
    missing = [name for name in _ARRAYS if name not in names and name != "projections"]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    with np.load(file, allow_pickle=False) as loaded:
        arrays = {name: loaded[name] for name in names}
    for name in ("nodes", "owner", "edge_index", "synapse", "sizes", "projections"):
        if name in arrays and arrays[name].dtype.kind != "i":
            raise ValueError(f"{name} must be integers, got {arrays[name].dtype}")
    sizes = arrays["sizes"].ravel().tolist()
    if len(sizes) != 6:
        raise ValueError(f"sizes must be 6 integers, got {len(sizes)}")
    rank, parts, num_nodes, num_edges, num_edge_types, num_node_types = sizes
    data = Data(
        edge_index=torch.from_numpy(arrays["edge_index"].astype(np.int64)),
        num_nodes=len(arrays["nodes"]),
    )
    for name, dtype in _FIELDS.items():
        if name in arrays:
            data[name] = torch.from_numpy(np.ascontiguousarray(arrays[name], dtype=dtype))
    projections = arrays.get("projections")
    return cls(
        rank,
        parts,
        torch.from_numpy(arrays["nodes"].astype(np.int64)),
        torch.from_numpy(arrays["owner"].astype(np.int64)),
        data,
        torch.from_numpy(arrays["synapse"].astype(np.int64)),
        num_nodes=num_nodes,
        num_edges=num_edges,
        graph=str(arrays["graph"]),
        num_edge_types=num_edge_types,
        num_node_types=num_node_types,
        projections=None if projections is None else torch.from_numpy(projections.astype(np.int64)),
    )
