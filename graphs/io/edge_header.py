"""The header of an edge list: JSON with everything that its tables cannot hold."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from torch_geometric.data import Data

from graphs.io.checksum import digest
from graphs.io.limits import check_bytes

# Version 1 had no checksums and no version number.
_VERSION = 2
_COUNTS = ("num_nodes", "num_edges")
_LISTS = {"edge_type_names": str, "node_type_names": str, "shape": int}
_PARTS = ("edges", "neurons")


class PartsDifferError(ValueError):
    """The tables and the header were not, or not yet, written by one call of `graphs.save`."""


def write(data: Data, edges: BinaryIO, neurons: BinaryIO, stated: BinaryIO) -> None:
    """Write the header of the complete tables `edges` and `neurons`."""
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
    """Return the header that `write` has written, or an empty dict if there is none.

    Raises:
        ValueError: The file is damaged, too large, or of a newer version.
    """
    try:
        with path.open("rb") as file:
            check_bytes(f"{path.name!r} has", os.fstat(file.fileno()).st_size, max_bytes)
            raw = file.read()
    except FileNotFoundError:
        return {}
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    good = isinstance(found, dict) and all(type(found.get(name)) is int for name in _COUNTS)
    for name, kind in _LISTS.items() if good else ():
        values = found.get(name, [])
        good = good and isinstance(values, list) and all(type(each) is kind for each in values)
    if good and set(found) - {*_COUNTS, *_LISTS}:
        version = found.get("version")
        if type(version) is int and version > _VERSION:
            raise ValueError(
                f"{path.name!r}, which belongs to it, has version {version}, but this program "
                "reads "
                f"up to {_VERSION}; update the program, or delete that file to read the tables as "
                "those of another program"
            )
        good = version == _VERSION and _has_digests(found)
    if not good:
        raise ValueError(
            f"{path.name!r}, which belongs to it, is damaged or not JSON of graphs.save; take a "
            "whole "
            "copy, or delete that file to read the tables as those of another program"
        )
    return found


def check(told: dict[str, Any], part: str, what: str, file: BinaryIO, header: str) -> None:
    """Compare a table with its checksum in the header.

    Args:
        told: The header, see `read`.
        part: "edges" or "neurons".
        what: The name of the table in messages.
        file: The open table.
        header: The name of the file of the header.

    Raises:
        PartsDifferError: The checksums differ.
    """
    if "sha256" in told and digest(file) != told["sha256"][part]:
        raise PartsDifferError(
            f"{what} is not the one that {header!r} was saved with: its checksum differs; save the "
            f"connectome again, or take whole copies of its files; if you have edited {what}, "
            f"delete {header!r} to read the tables as those of another program"
        )


def _own_digest(told: dict[str, Any]) -> str:
    """Return the checksum of a header without this checksum."""
    parts = {name: told["sha256"][name] for name in _PARTS}
    text = json.dumps({**told, "sha256": parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _has_digests(told: dict[str, Any]) -> bool:
    """Return whether a header has all checksums and fits its own one."""
    digests = told.get("sha256")
    if not isinstance(digests, dict) or set(digests) != {*_PARTS, "header"}:
        return False
    return bool(digests["header"] == _own_digest(told))
