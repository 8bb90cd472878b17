"""The layout in which the fly brain model of Shiu et al. (2024) stores a connectome.

``Completeness_*.csv`` has the identifier of one neuron per row in its first column. The synapses
are in ``Connectivity_*.parquet`` or ``Connectivity_*.csv``, one pair of neurons per row:
``Presynaptic_Index`` and ``Postsynaptic_Index`` are rows of the first table, counted from 0, and
``Excitatory x Connectivity`` is the signed number of synapses. Further columns are not read.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.contract import build_sorted
from graphs.io.arrow_file import library, unpacked
from graphs.io.callings import fault, is_whole, spelled
from graphs.io.duplicates import Duplicates, combine
from graphs.io.left_out import to_float32
from graphs.io.limits import check_bytes, check_neurons
from graphs.io.text_table import TextTable

COLUMNS = {
    "source": "Presynaptic_Index",
    "target": "Postsynaptic_Index",
    "weight": "Excitatory x Connectivity",
}
_NEURONS, _SYNAPSES = "Completeness_", "Connectivity_"
_SUFFIXES = (".parquet", ".csv")
_BYTES_PER_SYNAPSE = 24
_BATCH = 2**18


def find(path: Path) -> Path | None:
    """Return the file with the synapses if a path is a folder or file of this layout, or None.

    Raises:
        FileNotFoundError: A folder has several files of synapses; the message says which to pass.
    """
    # Unlike `Path.is_dir`, this answers for names that no file can have.
    if os.path.isdir(path):
        found = sorted(
            each
            for each in path.iterdir()
            if each.name.startswith(_SYNAPSES) and each.suffix in _SUFFIXES
        )
        if len(found) > 1:
            raise FileNotFoundError(
                f"the folder {str(path)!r} has several connectomes, "
                f"{', '.join(each.name for each in found)}; pass the path of one of these files"
            )
        return found[0] if found else None
    is_synapses = path.name.startswith(_SYNAPSES) and os.path.isfile(path)
    if is_synapses and path.suffix == ".csv":
        # An edge list may have any name.
        with path.open("rb") as file:
            is_synapses = COLUMNS["source"].encode() in file.readline(2**16)
    return path if is_synapses and path.suffix in _SUFFIXES else None


def beside(path: Path) -> tuple[Path]:
    """Return the path of the table of neurons that belongs to a file of synapses."""
    return (path.with_name(f"{_NEURONS}{path.stem.removeprefix(_SYNAPSES)}.csv"),)


def read(file: BinaryIO, max_bytes: int, *, duplicates: Duplicates = "error") -> Data:
    """Read the synapses, and the neurons beside them.

    Args:
        file: The open file of synapses, whose size has been checked.
        max_bytes: The largest size of the other file, and of the synapses in memory.
        duplicates: See `graphs.load`.

    Raises:
        ValueError: A table is damaged, or they do not belong together.
        ModuleNotFoundError: pyarrow is needed and not installed.
    """
    (neurons,) = beside(Path(file.name))
    if not neurons.is_file():
        raise ValueError(f"the neurons are missing; put {neurons.name!r} beside it")
    with neurons.open("rb") as opened:
        check_bytes(f"{neurons.name} has", os.fstat(opened.fileno()).st_size, max_bytes)
        names = _read_names(neurons.name, opened)
    check_neurons(len(names), max_bytes)
    read_columns = _read_parquet if file.name.endswith(".parquet") else _read_csv
    columns = read_columns(file, len(names), max_bytes)
    merged = combine(
        len(names),
        columns["source"],
        columns["target"],
        edge_weight=columns["weight"],
        names=names,
        duplicates=duplicates,
    )
    weight = merged["edge_weight"]
    return build_sorted(
        len(names),
        np.stack((merged["source"], merged["target"])),
        edge_weight=weight,
        edge_sign=np.sign(weight),
        names=names,
    )


def _read_names(what: str, file: BinaryIO) -> list[str]:
    """Return the first column, below a header unless the first row is an identifier itself."""
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{what} must be text in UTF-8; save it as UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""))
    names = [spelled(row[0].strip()) for row in rows if row]
    if names and not is_whole(names[0]):
        del names[0]
    for row, name in enumerate(names, 1):
        if reason := fault(name):
            raise ValueError(
                f"{what} must begin each row with the identifier of a neuron, got {name[:50]!r} in "
                f"row {row}: {reason}"
            )
    if len(set(names)) < len(names):
        first = {name: len(names) - at for at, name in enumerate(reversed(names))}
        row, name = next((at, name) for at, name in enumerate(names, 1) if first[name] < at)
        raise ValueError(
            f"{what} must list each neuron once, got {name!r} again in row {row}; delete the row, "
            "and number the synapses accordingly"
        )
    return names


def _read_csv(file: BinaryIO, num_nodes: int, max_bytes: int) -> dict[str, NDArray[Any]]:
    table = TextTable("the table of synapses", file, ",", exact=False)
    places = {role: _place(name, table.header) for role, name in COLUMNS.items()}
    index = {str(number): number for number in range(num_nodes)}

    def rows_of(role: str, texts: tuple[str, ...]) -> NDArray[np.int64]:
        return table.members(role, table.names(role, texts), index)

    return table.arrays(places, {"source": rows_of, "target": rows_of})


def _read_parquet(file: BinaryIO, num_nodes: int, max_bytes: int) -> dict[str, NDArray[Any]]:
    with library("parquet").ParquetFile(file) as table:
        for name in COLUMNS.values():
            _place(name, table.schema_arrow.names)
        length = table.metadata.num_rows
        check_bytes(f"its {length} synapses take", length * _BYTES_PER_SYNAPSE, max_bytes)
        check_bytes("it unpacks to", unpacked(table.metadata), max_bytes)
        arrays: dict[str, NDArray[Any]] = {
            "source": np.empty(length, np.int64),
            "target": np.empty(length, np.int64),
            "weight": np.empty(length, np.float32),
        }
        start = 0
        for batch in table.iter_batches(_BATCH, columns=list(COLUMNS.values()), use_threads=False):
            stop = start + len(batch)
            for role, name in COLUMNS.items():
                check: Callable[[str, Any, int], NDArray[Any]] = _weights
                if role != "weight":
                    check = partial(_numbers, num_nodes=num_nodes)
                arrays[role][start:stop] = check(name, batch.column(name), start)
            start = stop
    return arrays


def _place(name: str, header: list[str]) -> int:
    """Return the position of a column."""
    places = [at for at, each in enumerate(header) if each == name]
    if len(places) != 1:
        raise ValueError(
            f"the table of synapses must have one column {name!r}, got "
            f"{', '.join(map(repr, header[:20]))}; rename a column to it"
        )
    return places[0]


def _numbers(name: str, column: Any, start: int, num_nodes: int) -> NDArray[np.int64]:
    """Return the neurons of a piece of a column."""
    values = _plain(name, column, start)
    wrong = np.ones(len(values), bool)
    if values.dtype.kind in "iu":
        wrong = (values < 0) | (values >= num_nodes)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{name} must hold rows of the table of neurons, integers in [0, {num_nodes}), got "
            f"{values[at]!s:.50} in row {start + at + 1}; add the neuron to that table, or "
            "correct the row"
        )
    return values.astype(np.int64)


def _weights(name: str, column: Any, start: int) -> NDArray[np.float32]:
    """Return the signed counts of a piece of a column."""
    values = _plain(name, column, start)
    wrong = np.ones(len(values), bool)
    if values.dtype.kind in "iuf":
        weights = to_float32(name, values)
        wrong = ~np.isfinite(weights)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{name} must hold numbers that are finite in float32, got {values[at]!s:.50} in row "
            f"{start + at + 1}; correct the row"
        )
    return weights


def _plain(name: str, column: Any, start: int) -> NDArray[Any]:
    if column.null_count:
        at = column.is_null().to_numpy(zero_copy_only=False).argmax()
        raise ValueError(
            f"{name} must have a value in every row, got none in row {start + at + 1}; delete the "
            "row"
        )
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
