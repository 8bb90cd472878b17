"""SONATA, circuits in HDF5: one population of edges, and its nodes in the same file or another."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build
from graphs.io.checksum import check_seal
from graphs.io.duplicates import Duplicates, combine
from graphs.io.hdf5 import Columns, library, open_columns
from graphs.io.left_out import tell
from graphs.io.limits import check_bytes, check_neurons
from graphs.io.networkx import EDGE_FIELDS, GRAPH_FIELDS, NODE_FIELDS

_MAGIC = 0x0A7A
_POPULATION = "default"
_AXES = ("x", "y", "z")
# What SONATA has no place for, as JSON; other programs pass it over.
_TOLD = "connectome"
_LONGEST_NAME = 255
_STORED = {
    "node": {"node_sign": "node_sign", "names": "name", **{axis: axis for axis in _AXES}},
    "edge": {"edge_weight": "syn_weight", "edge_sign": "edge_sign"},
}
_UNTYPED = -1
# What every population has, and indices into it, which say nothing new.
_FRAME = ("_type_id", "_group_id", "_group_index", "node_id", "indices", "indicies")


@dataclass(frozen=True)
class _Nodes:
    """How many nodes a population has, their fields of the contract, and what has none."""

    count: int
    fields: dict[str, Any]
    left_out: list[str]


def write(data: Data, file: BinaryIO) -> None:
    """Write a connectome that keeps the contract."""
    h5py = library()
    # HDF5 reads what it writes, and `file` is open for writing only.
    buffer = io.BytesIO()
    columns = {
        field.name: data[field.name].detach().cpu().numpy()
        for field in (*NODE_FIELDS, *EDGE_FIELDS)
        if field.name in data
    }
    told: dict[str, Any] = {name: list(data[name]) for name in GRAPH_FIELDS if name in data}
    told["fields"] = sorted(columns)
    with h5py.File(buffer, "w") as root:
        root.attrs["magic"] = np.uint32(_MAGIC)
        root.attrs["version"] = np.array([0, 1], dtype=np.uint32)
        _write_ids(root, "node", columns.get("node_type"), data.num_nodes)
        _write_ids(root, "edge", columns.get("edge_type"), data.num_edges)
        nodes: dict[str, Any] = {}
        if "pos" in columns:
            nodes.update(zip(_AXES, columns["pos"].T, strict=False))
        packed = _packed(data["names"]) if "names" in data else None
        if packed is not None:
            nodes["name"] = packed
        elif "names" in data:
            told["names"] = data["names"]
        for kind, values in (("node", nodes), ("edge", {})):
            group = root.create_group(f"{kind}s/{_POPULATION}/0")
            stored = _STORED[kind].items()
            values.update({at: columns[name] for name, at in stored if name in columns})
            for name, column in values.items():
                group[name] = column
        population = root[f"edges/{_POPULATION}"]
        for name, ends in zip(("source", "target"), data.edge_index.cpu().numpy(), strict=True):
            population[f"{name}_node_id"] = ends.astype(np.uint64)
            population[f"{name}_node_id"].attrs["node_population"] = _POPULATION
        root[_TOLD] = np.bytes_(json.dumps(told).encode())
    file.write(buffer.getbuffer())


def _write_ids(root: Any, kind: str, types: NDArray[np.int64] | None, length: int) -> None:
    """Write what SONATA asks of every population."""
    group = root.create_group(f"{kind}s/{_POPULATION}")
    group[f"{kind}_type_id"] = np.full(length, _UNTYPED) if types is None else types
    group[f"{kind}_group_id"] = np.zeros(length, dtype=np.uint32)
    group[f"{kind}_group_index"] = np.arange(length, dtype=np.uint64)
    if kind == "node":
        group["node_id"] = np.arange(length, dtype=np.uint64)


def _packed(names: list[str]) -> NDArray[Any] | None:
    """Return names as text of a fixed length, or None where HDF5 would change or pad them much."""
    if any("\0" in name for name in names):
        return None
    try:
        raw = [name.encode() for name in names]
    except UnicodeEncodeError:
        return None
    longest = max(map(len, raw), default=0)
    if not 0 < longest <= _LONGEST_NAME:
        return None
    return np.array(raw, dtype=library().string_dtype("utf-8", longest))


def read(
    file: BinaryIO,
    max_bytes: int,
    *,
    population: str | None = None,
    neurons: str | os.PathLike[str] | None = None,
    num_nodes: int | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Read what `write` or another program wrote, of at most `max_bytes`, which files.py checks."""
    with contextlib.ExitStack() as stack:
        homes = columns = stack.enter_context(open_columns(file, max_bytes))
        told = _told(columns)
        edges = _population(columns, population)
        ends, owners = _ends(columns, edges)
        synapses = _properties(columns, edges, "edge", len(ends["source"]), told)
        left_out = _unread(columns, edges, "edge")
        if neurons is not None:
            opened = stack.enter_context(Path(neurons).open("rb"))
            check_bytes("the file of nodes has", os.fstat(opened.fileno()).st_size, max_bytes)
            check_seal(opened)
            homes = stack.enter_context(open_columns(opened, max_bytes))
        nodes = {name: _nodes(homes, name, told) for name in owners}
    count, fields = _place(ends, owners, nodes, num_nodes)
    check_neurons(count, max_bytes)
    for name, each in ends.items():
        if len(each) and each.max() >= count:
            raise ValueError(
                f"{name}_node_id must be in [0, {count}), got {each.max()}; pass num_nodes="
                f"{each.max() + 1} or more, or neurons= with all nodes"
            )
    fields.update({name: told[name] for name in (*GRAPH_FIELDS, "names") if name in told})
    source, target = (each.astype(np.int64) for each in ends.values())
    names = fields.get("names")
    merged = combine(count, source, target, **synapses, names=names, duplicates=duplicates)
    for found in nodes.values():
        if found is not None:
            left_out += found.left_out
            if len(nodes) > 1:
                left_out += [f"{name!r} of nodes of two populations" for name in found.fields]
    tell(left_out, "put what belongs to one into the properties that SONATA names")
    return build(count, **merged, **fields)


def _unread(columns: Columns, population: Any, kind: str) -> list[str]:
    """Name the properties of a population that no field is made of."""
    h5py = library()
    stored = _STORED[kind].values()
    left_out = []
    for name in population:
        if name.isdecimal():
            group = columns.find(population, name, h5py.Group)
            left_out += [f"{each!r} of {kind}s" for each in group if each not in stored]
        elif not name.endswith(_FRAME):
            left_out.append(f"{name!r} of {kind}s")
    return left_out


def _told(columns: Columns) -> dict[str, Any]:
    """Return what `write` has put beside SONATA; nothing in another program's file."""
    dataset = columns.find(columns.root, _TOLD, library().Dataset)
    if dataset is None:
        return {}
    if dataset.shape != () or dataset.dtype.kind != "S":
        raise ValueError(f"{_TOLD!r} must be one text, got {dataset.dtype} {dataset.shape}")
    told = json.loads(columns.values(dataset))
    kinds = {"shape": int}
    for name in (*GRAPH_FIELDS, "names", "fields"):
        values = told.get(name, [])
        kind = kinds.get(name, str)
        if not isinstance(values, list) or not all(type(each) is kind for each in values):
            raise ValueError(f"{name!r} in {_TOLD!r} must be a list of {kind.__name__}")
    if "shape" in told:
        told["shape"] = tuple(told["shape"])
    return told


def _population(columns: Columns, name: str | None) -> Any:
    """Return the edges of a name, or the only ones."""
    h5py = library()
    edges = columns.find(columns.root, "edges", h5py.Group)
    known = list(edges) if edges is not None else []
    if name is None and len(known) == 1:
        name = known[0]
    if name is None or name not in known:
        raise ValueError(
            f"expected edges of {'one population' if name is None else repr(name)}, got those of "
            f"{', '.join(map(repr, known[:10])) or 'none'}"
            + (f"; pass population={known[0]!r}" if known else "; save them with graphs.save")
        )
    return columns.find(edges, name, h5py.Group)


def _ends(columns: Columns, edges: Any) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return the nodes of both ends in their populations, and the names of these."""
    ends: dict[str, NDArray[Any]] = {}
    owners = []
    for name in ("source", "target"):
        dataset = f"{name}_node_id"
        length = len(ends["source"]) if ends else None
        column = columns.column(edges, dataset, "iu", length)
        if column is None:
            raise ValueError(f"{edges.name} has no {dataset}, which SONATA asks for")
        if len(column) and (column.min() < 0 or column.max() >= 2**62):
            raise ValueError(f"{dataset} must be a node >= 0, got {column.min()} to {column.max()}")
        ends[name] = column
        owner = edges[dataset].attrs.get("node_population", "")
        owners.append(owner.decode() if isinstance(owner, bytes) else str(owner))
    return ends, tuple(owners)


def _nodes(columns: Columns, name: str, told: dict[str, Any]) -> _Nodes | None:
    """Return the nodes of a population, or None if the file has none of that name."""
    h5py = library()
    nodes = columns.find(columns.root, "nodes", h5py.Group)
    group = columns.find(nodes, name, h5py.Group) if nodes is not None and name else None
    if group is None:
        return None
    types = columns.find(group, "node_type_id", h5py.Dataset)
    if types is None or types.shape is None or len(types.shape) != 1:
        raise ValueError(f"{group.name} must have a row node_type_id, which SONATA asks for")
    count = types.shape[0]
    numbers = columns.column(group, "node_id", "iu", count)
    if numbers is not None and (numbers != np.arange(count)).any():
        at = int(np.flatnonzero(numbers != np.arange(count))[0])
        raise ValueError(
            f"{group.name}/node_id must be 0 to {count - 1} in order, got {numbers[at]} at "
            f"position {at}; sort the nodes by node_id"
        )
    fields = _properties(columns, group, "node", count, told)
    return _Nodes(count, fields, _unread(columns, group, "node"))


def _properties(
    columns: Columns, population: Any, kind: str, length: int, told: dict[str, Any]
) -> dict[str, Any]:
    """Return the fields of a population: its types, and what its only group of properties has."""
    h5py = library()
    fields: dict[str, Any] = {}
    types = columns.column(population, f"{kind}_type_id", "iu", length)
    typed = f"{kind}_type" in told["fields"] if "fields" in told else True
    if types is not None and typed and ("fields" in told or (types != _UNTYPED).any()):
        fields[f"{kind}_type"] = types.astype(np.int64)
    groups = [name for name in population if name.isdecimal()]
    if len(groups) > 1:
        raise ValueError(
            f"{population.name} has its properties in {len(groups)} groups; merge them into one"
        )
    if not groups:
        return fields
    group = columns.find(population, groups[0], h5py.Group)
    rows = columns.column(population, f"{kind}_group_index", "iu", length)
    found: dict[str, NDArray[Any]] = {}
    for name, stored in _STORED[kind].items():
        column = columns.column(group, stored, "S" if name == "names" else "iuf", None)
        if column is not None:
            found[name] = _in_order(f"{group.name}/{stored}", column, rows, length)
    if "names" in found:
        fields["names"] = [name.decode() for name in found.pop("names").tolist()]
    found = {name: column.astype(np.float32) for name, column in found.items()}
    point = [found.pop(axis) for axis in _AXES if axis in found]
    if point:
        fields["pos"] = np.stack(point, axis=1)
    return fields | found


def _in_order(
    name: str, column: NDArray[Any], rows: NDArray[Any] | None, length: int
) -> NDArray[Any]:
    """Return a property in the order of its population, which says where in the group each is."""
    if rows is None:
        rows = np.arange(length)
    if len(column) != length or (length and (rows.min() < 0 or rows.max() >= length)):
        raise ValueError(f"{name} must have {length} values, each at one index, got {len(column)}")
    return column[rows]


def _place(
    ends: dict[str, NDArray[Any]],
    owners: tuple[str, ...],
    nodes: dict[str, _Nodes | None],
    num_nodes: int | None,
) -> tuple[int, dict[str, Any]]:
    """Return how many neurons there are, and their fields; number those of two populations."""
    if len(nodes) == 1:
        found = nodes[owners[0]]
        if num_nodes is not None:
            if found is not None:
                raise ValueError(f"its nodes are {found.count}; leave num_nodes= out")
            return arguments.count("num_nodes", num_nodes), {}
        if found is not None:
            return found.count, found.fields
        return max((int(each.max()) + 1 for each in ends.values() if len(each)), default=0), {}
    sizes = [each.count for each in nodes.values() if each is not None]
    if num_nodes is not None or len(sizes) < len(nodes):
        raise ValueError(
            f"its sources are {owners[0]!r} and its targets {owners[1]!r}, whose nodes it does not "
            "have; pass neurons='nodes.h5', a file with both, and no num_nodes="
        )
    for (name, each), size in zip(ends.items(), sizes, strict=True):
        if len(each) and each.max() >= size:
            raise ValueError(f"{name}_node_id must be in [0, {size}), got {each.max()}")
    ends["target"] = ends["target"] + np.asarray(sizes[0], dtype=ends["target"].dtype)
    fields = {"node_type": np.repeat([0, 1], sizes), "node_type_names": list(owners)}
    return sum(sizes), fields
