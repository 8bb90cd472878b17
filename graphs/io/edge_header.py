"""What no table of an edge list can tell, and which tables it belongs to: JSON beside them."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from torch_geometric.data import Data

from graphs.io.checksum import digest
from graphs.io.limits import check_bytes

# The first one had no checksums and did not say its number.
_VERSION = 2
_COUNTS = ("num_nodes", "num_edges")
_LISTS = {"edge_type_names": str, "node_type_names": str, "shape": int}
_PARTS = ("edges", "neurons")


class PartsDifferError(ValueError):
    """The tables and the header are not of one call of `graphs.save`, or not yet."""


def write(data: Data, edges: BinaryIO, neurons: BinaryIO, stated: BinaryIO) -> None:
    """Write what belongs to the tables `edges` and `neurons`, which are whole."""
    told: dict[str, Any] = {"version": _VERSION}
    told.update(num_nodes=data.num_nodes, num_edges=data.num_edges)
    told.update({name: data[name] for name in _LISTS if name in data})
    told["sha256"] = {}
    for name, file in zip(_PARTS, (edges, neurons), strict=True):
        file.flush()
        told["sha256"][name] = digest(file)
    told["sha256"]["header"] = _own_digest(told)
    stated.write(json.dumps(told).encode() + b"\n")


def read(path: Path, max_bytes: int) -> dict[str, Any]:
    """Return what `write` has told of the tables, or nothing where it has not written them."""
    try:
        with path.open("rb") as file:
            check_bytes(f"{path.name!r} has", os.fstat(file.fileno()).st_size, max_bytes)
            raw = file.read()
    except FileNotFoundError:
        return {}
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    good = isinstance(found, dict) and all(type(found.get(name)) is int for name in _COUNTS)
    for name, kind in _LISTS.items() if good else ():
        values = found.get(name, [])
        good = good and isinstance(values, list) and all(type(each) is kind for each in values)
    if good and set(found) - {*_COUNTS, *_LISTS}:
        version = found.get("version")
        if type(version) is int and version > _VERSION:
            raise ValueError(
                f"{path.name!r}, which belongs to it, has the version {version}, and this program "
                f"reads up to {_VERSION}; update it, or delete that file to read the tables as "
                "another program's"
            )
        good = version == _VERSION and _has_digests(found)
    if not good:
        raise ValueError(
            f"{path.name!r}, which belongs to it, is damaged, or no JSON that graphs.save has "
            "written; delete that file to read the tables as another program's"
        )
    return found


def check(told: dict[str, Any], part: str, what: str, file: BinaryIO, header: str) -> None:
    """Compare a table, `part` "edges" or "neurons", with what its `header` tells of it."""
    if "sha256" in told and digest(file) != told["sha256"][part]:
        raise PartsDifferError(
            f"{what} is not the one that {header!r} was saved with: its checksum differs; save the "
            f"connectome anew, or take whole copies of its files; if you have edited {what}, "
            f"delete {header!r}, and the tables are read as another program's"
        )


def _own_digest(told: dict[str, Any]) -> str:
    """Return the checksum of all that a header tells but this."""
    parts = {name: told["sha256"][name] for name in _PARTS}
    text = json.dumps({**told, "sha256": parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _has_digests(told: dict[str, Any]) -> bool:
    """Whether a header has all checksums, and is what its own one was computed from."""
    digests = told.get("sha256")
    if not isinstance(digests, dict) or set(digests) != {*_PARTS, "header"}:
        return False
    return bool(digests["header"] == _own_digest(told))
