"""SONATA, circuits in HDF5: one population of edges, and its nodes in the same or another file."""

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
from graphs.io.arrays import are_labels
from graphs.io.checksum import check_seal
from graphs.io.duplicates import Duplicates, combine
from graphs.io.hdf5 import Columns, library, open_columns
from graphs.io.left_out import tell
from graphs.io.limits import check_bytes, check_neurons
from graphs.io.networkx import EDGE_FIELDS, GRAPH_FIELDS, NODE_FIELDS

_MAGIC = 0x0A7A
_POPULATION = "default"
_AXES = ("x", "y", "z")
# The dataset with JSON for fields that SONATA does not have; other programs ignore it.
_TOLD = "connectome"
_LONGEST_NAME = 255
_AGAIN = "take a whole copy of the file, or write it again with graphs.save"
_STORED = {
    "node": {"node_sign": "node_sign", "names": "name", **{axis: axis for axis in _AXES}},
    "edge": {"edge_weight": "syn_weight", "edge_sign": "edge_sign"},
}
_UNTYPED = -1
# Datasets of every population and their indices, which are not properties.
_FRAME = ("_type_id", "_group_id", "_group_index", "node_id", "indices", "indicies")


@dataclass(frozen=True)
class _Nodes:
    """The nodes of a population.

    Attributes:
        count: The number of nodes.
        fields: Their fields of the contract.
        left_out: Their properties that no field holds, as texts for a warning.
    """

    count: int
    fields: dict[str, Any]
    left_out: list[str]


def write(data: Data, file: BinaryIO) -> None:
    """Write a valid connectome."""
    h5py = library()
    # HDF5 reads what it writes, but `file` may be open for writing only.
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
    """Write the datasets that SONATA requires of every population."""
    group = root.create_group(f"{kind}s/{_POPULATION}")
    group[f"{kind}_type_id"] = np.full(length, _UNTYPED) if types is None else types
    group[f"{kind}_group_id"] = np.zeros(length, dtype=np.uint32)
    group[f"{kind}_group_index"] = np.arange(length, dtype=np.uint64)
    if kind == "node":
        group["node_id"] = np.arange(length, dtype=np.uint64)


def _packed(names: list[str]) -> NDArray[Any] | None:
    """Return names as text of a fixed length, or None if HDF5 would change or pad them."""
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
    """Read a file of `write` or another program.

    Args:
        file: The open file, whose size has been checked.
        max_bytes: The largest size of the file of nodes, and of all datasets together.
        population: See `graphs.load`, as all further arguments.
        neurons: The file of nodes.
        num_nodes: The number of neurons.
        duplicates: Whether synapses may repeat.

    Raises:
        ValueError: A file is damaged or too large, or nodes or properties are missing.
    """
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
            try:
                homes = stack.enter_context(open_columns(opened, max_bytes))
            except OSError as error:
                raise ValueError(
                    f"neurons must be a file of SONATA, got {os.fspath(neurons)!r}, which is "
                    f"damaged or not HDF5 ({error}); pass neurons='nodes.h5'"
                ) from error
        nodes = {name: _nodes(homes, name, told) for name in owners}
    count, fields = _place(ends, owners, nodes, num_nodes)
    check_neurons(count, max_bytes)
    for name, each in ends.items():
        if len(each) and each.max() >= count:
            largest = int(each.max())
            fix = f"pass num_nodes={largest + 1} or more, or neurons= with all nodes"
            if any(nodes.values()):
                fix = "pass neurons= a file with all nodes"
            elif are_labels(largest, len(each)):
                fix = "number the nodes from 0, as SONATA does"
            raise ValueError(f"{name}_node_id must be in [0, {count}), got {largest}; {fix}")
    fields.update({name: told[name] for name in (*GRAPH_FIELDS, "names") if name in told})
    source, target = (each.astype(np.int64) for each in ends.values())
    names = fields.get("names")
    merged = combine(count, source, target, **synapses, names=names, duplicates=duplicates)
    for found in nodes.values():
        if found is not None:
            left_out += found.left_out
            if len(nodes) > 1:
                left_out += [f"{name!r} of nodes of two populations" for name in found.fields]
    tell(left_out, "rename data that belongs to a field as SONATA does")
    return build(count, **merged, **fields)


def _unread(columns: Columns, population: Any, kind: str) -> list[str]:
    """Return the properties of a population that no field holds, as texts for a warning."""
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
    """Return the JSON of `write`, or an empty dict if another program wrote the file.

    Raises:
        ValueError: The JSON is damaged.
    """
    dataset = columns.find(columns.root, _TOLD, library().Dataset)
    if dataset is None:
        return {}
    if dataset.shape != () or dataset.dtype.kind != "S":
        raise ValueError(
            f"{_TOLD!r} must be one text, got {dataset.dtype} {dataset.shape}; {_AGAIN}"
        )
    try:
        told = json.loads(columns.values(dataset))
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ValueError(f"{_TOLD!r} must be a dict in JSON; {_AGAIN}")
    kinds = {"shape": int}
    for name in (*GRAPH_FIELDS, "names", "fields"):
        values = told.get(name, [])
        kind = kinds.get(name, str)
        if not isinstance(values, list) or not all(type(each) is kind for each in values):
            raise ValueError(f"{name!r} in {_TOLD!r} must be a list of {kind.__name__}; {_AGAIN}")
    if "shape" in told:
        told["shape"] = tuple(told["shape"])
    return told


def _population(columns: Columns, name: str | None) -> Any:
    """Return the edges of a population.

    Args:
        columns: The columns of the file.
        name: The name of the population, or None for the only one.

    Raises:
        ValueError: There is no such population, or there are several.
    """
    h5py = library()
    edges = columns.find(columns.root, "edges", h5py.Group)
    known = list(edges) if edges is not None else []
    if name is None and len(known) == 1:
        name = known[0]
    if name is None or name not in known:
        raise ValueError(
            f"population must be one of the edges' populations, "
            f"{', '.join(map(repr, known[:10])) or 'of which there are none'}, got {name!r}"
            + (f"; pass population={known[0]!r}" if known else "; pass the file of SONATA's edges")
        )
    return columns.find(edges, name, h5py.Group)


def _ends(columns: Columns, edges: Any) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return the ends of synapses, as numbers in their populations, and the names of these.

    Raises:
        ValueError: A dataset is missing, or a number is negative or too large.
    """
    ends: dict[str, NDArray[Any]] = {}
    owners = []
    for name in ("source", "target"):
        dataset = f"{name}_node_id"
        length = len(ends["source"]) if ends else None
        column = columns.column(edges, dataset, "iu", length)
        if column is None:
            raise ValueError(
                f"{edges.name} has no {dataset}, which SONATA requires; pass the file of SONATA's "
                "edges"
            )
        if len(column) and (column.min() < 0 or column.max() >= 2**62):
            raise ValueError(
                f"{dataset} must be a node >= 0, got {column.min()} to {column.max()}; number the "
                "nodes from 0"
            )
        ends[name] = column
        owner = edges[dataset].attrs.get("node_population", "")
        owners.append(owner.decode() if isinstance(owner, bytes) else str(owner))
    return ends, tuple(owners)


def _nodes(columns: Columns, name: str, told: dict[str, Any]) -> _Nodes | None:
    """Return the nodes of a population, or None if the file does not have it.

    Raises:
        ValueError: A dataset is missing or damaged, or the nodes are not in order.
    """
    h5py = library()
    nodes = columns.find(columns.root, "nodes", h5py.Group)
    group = columns.find(nodes, name, h5py.Group) if nodes is not None and name else None
    if group is None:
        return None
    types = columns.find(group, "node_type_id", h5py.Dataset)
    if types is None or types.shape is None or len(types.shape) != 1:
        raise ValueError(
            f"{group.name} must have node_type_id with one axis, which SONATA requires; "
            "add it, -1 for each node"
        )
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
    """Return the fields of a population from its types and from its only group of properties.

    Raises:
        ValueError: There are several groups, or one is damaged.
    """
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
    """Return a property in the order of its population; `rows` are the positions in the group."""
    if rows is None:
        rows = np.arange(length)
    if len(column) != length or (length and (rows.min() < 0 or rows.max() >= length)):
        raise ValueError(
            f"{name} must have {length} values, each at one index, got {len(column)}; write the "
            "values in the order of the population, without group indices"
        )
    return column[rows]


def _place(
    ends: dict[str, NDArray[Any]],
    owners: tuple[str, ...],
    nodes: dict[str, _Nodes | None],
    num_nodes: int | None,
) -> tuple[int, dict[str, Any]]:
    """Return the number of neurons and their fields; targets in a second population come after it.

    Raises:
        ValueError: The number of neurons is stated twice, or the file has no nodes.
    """
    if len(nodes) == 1:
        found = nodes[owners[0]]
        if num_nodes is not None:
            if found is not None:
                raise ValueError(
                    f"num_nodes is {found.count} in the file, got num_nodes={num_nodes}; leave "
                    "num_nodes= out"
                )
            return arguments.count("num_nodes", num_nodes), {}
        if found is not None:
            return found.count, found.fields
        return max((int(each.max()) + 1 for each in ends.values() if len(each)), default=0), {}
    sizes = [each.count for each in nodes.values() if each is not None]
    if num_nodes is not None or len(sizes) < len(nodes):
        raise ValueError(
            f"its sources are {owners[0]!r} and its targets {owners[1]!r}, whose nodes it does not "
            "have; pass neurons='nodes.h5', a file with both, and leave num_nodes= out"
        )
    for (name, each), size in zip(ends.items(), sizes, strict=True):
        if len(each) and each.max() >= size:
            raise ValueError(
                f"{name}_node_id must be in [0, {size}), got {each.max()}; pass neurons= a file "
                "with "
                "all nodes"
            )
    ends["target"] = ends["target"] + np.asarray(sizes[0], dtype=ends["target"].dtype)
    fields = {"node_type": np.repeat([0, 1], sizes), "node_type_names": list(owners)}
    return sum(sizes), fields
