"""Edge lists in CSV and TSV: one row per synapse, and a table of the neurons beside them."""

import contextlib
import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from torch_geometric.data import Data

from graphs import paths
from graphs.io import edge_header, labeled_matrix, neuron_table, synapse_table
from graphs.io.columns import type_texts
from graphs.io.duplicates import Duplicates
from graphs.io.limits import check_bytes
from graphs.io.synapse_table import Options, connectome
from graphs.io.table_files import delimiter_of, neurons_of
from graphs.io.text_table import TextTable, write_rows


def beside(path: Path) -> tuple[Path, Path]:
    """Return the paths of the table of neurons and of the header.

    If `path` is a symbolic link with neither of them beside it, they are beside its target.
    """
    here, there = (
        (at.with_name(f"{at.stem}.neurons{at.suffix}"), at.with_name(f"{at.name}.json"))
        for at in (path, Path(os.path.realpath(path)))
    )
    return there if path.is_symlink() and not any(map(os.path.lexists, here)) else here


def write_csv(data: Data, file: BinaryIO, neurons: BinaryIO, stated: BinaryIO) -> None:
    """Write a valid connectome with commas."""
    _write(data, file, neurons, stated, ",")


def write_tsv(data: Data, file: BinaryIO, neurons: BinaryIO, stated: BinaryIO) -> None:
    """Write a valid connectome with tabs."""
    _write(data, file, neurons, stated, "\t")


def _write(data: Data, file: BinaryIO, neurons: BinaryIO, stated: BinaryIO, delimiter: str) -> None:
    """Write both tables and their header."""
    for name in ("names", "edge_type_names", "node_type_names"):
        longest = max(map(len, data.get(name, ())), default=0)
        if longest > csv.field_size_limit():
            raise ValueError(
                f"{name} must have at most {csv.field_size_limit()} characters each to be read "
                f"again, got {longest}; save it to an .npz file"
            )
    neuron_table.write(data, neurons, delimiter)
    write_rows(file, delimiter, synapse_columns(data), length=data.num_edges)
    edge_header.write(data, file, neurons, stated)


def synapse_columns(data: Data) -> dict[str, Any]:
    """Return the columns of a table of synapses, which `read` reads again."""
    columns: dict[str, Any] = dict(
        zip(("source", "target"), data.edge_index.cpu().numpy(), strict=True)
    )
    if neuron_table.named_apart(data):
        names = data["names"]
        columns = {role: [names[at] for at in ends.tolist()] for role, ends in columns.items()}
    if "edge_weight" in data:
        columns["weight"] = data.edge_weight.detach().cpu().numpy()
    if "edge_type" in data:
        columns["type"] = type_texts(data, "edge_type")
    if "edge_sign" in data:
        columns["sign"] = data.edge_sign.cpu().numpy().astype(np.int64)
    return columns


def read(
    file: BinaryIO,
    max_bytes: int,
    *,
    neurons: str | os.PathLike[str] | None = None,
    num_nodes: int | None = None,
    columns: Mapping[str, str | int | None] | None = None,
    neuron_columns: Mapping[str, str | int | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
    duplicates: Duplicates = "error",
    delimiter: str | None = None,
) -> Data:
    """Read an edge list of `write_csv` or another program.

    Args:
        file: The open edge list, whose size has been checked.
        max_bytes: The largest size of each other file.
        neurons: See `graphs.load`, as all further arguments.
        num_nodes: The number of neurons.
        columns: The columns of the edge list.
        neuron_columns: The columns of the table of neurons.
        transmitter_signs: The signs of transmitters.
        duplicates: Whether synapses may repeat.
        delimiter: The character between two values.

    Raises:
        ValueError: A table is damaged, or the tables do not belong together.
    """
    path = Path(file.name)
    if delimiter is None:
        delimiter = delimiter_of(path)
    options = Options(columns, neuron_columns, transmitter_signs, duplicates, num_nodes)
    stated: dict[str, Any] = {}
    population, left_out = neurons_of(neurons, options, max_bytes, delimiter)
    if neurons is None and num_nodes is None:
        with contextlib.ExitStack() as stack:
            opened, stated = _open_beside(path, max_bytes, stack)
            header = beside(path)[1].name
            edge_header.check(stated, "edges", "the edge list", file, header)
            if opened is not None:
                population, left_out = _read_beside(
                    opened, delimiter, options, max_bytes, stated, header
                )
    if population is None and neuron_columns:
        raise ValueError(
            "neuron_columns are columns of a table of neurons; pass neurons='neurons.csv' too"
        )
    headless = any(isinstance(choice, int) for choice in (columns or {}).values())
    rows = TextTable("the edge list", file, delimiter, exact=bool(stated), headless=headless)
    as_list = stated or columns or synapse_table.has_ends(rows)
    if not as_list and labeled_matrix.is_matrix(file, rows.header, delimiter):
        matrix, both = labeled_matrix.read(file, rows.header, delimiter, max_bytes)
        return connectome(matrix, population or both, options, left_out=left_out)
    if not as_list:
        labeled_matrix.refuse_unlabeled(file, rows.header, delimiter)
    return connectome(
        rows,
        population,
        options,
        stated=stated,
        left_out=left_out,
        check=lambda: _check_whole(file, rows, stated.get("num_edges")),
    )


def _read_beside(
    opened: BinaryIO,
    delimiter: str,
    options: Options,
    max_bytes: int,
    stated: dict[str, Any],
    header: str,
) -> tuple[neuron_table.Neurons, tuple[str, ...]]:
    """Return the neurons beside an edge list, and the columns that are not read."""
    what = "the table of neurons"
    check_bytes(f"{what} has", os.fstat(opened.fileno()).st_size, max_bytes)
    edge_header.check(stated, "neurons", what, opened, header)
    table = TextTable(what, opened, delimiter, exact=bool(stated))
    population = neuron_table.read(
        table,
        options.neuron_columns or {},
        options.transmitter_signs,
        stated.get("node_type_names"),
    )
    _check_whole(opened, table, stated.get("num_nodes"))
    return population, tuple(table.left_out)


def _open_beside(
    path: Path, max_bytes: int, stack: contextlib.ExitStack
) -> tuple[BinaryIO | None, dict[str, Any]]:
    """Open the table of neurons beside an edge list, if it exists, and read the header.

    The header is replaced first and read last, so that a new table is never read with an old
    header.
    """
    table_path, header_path = beside(path)
    opened = stack.enter_context(table_path.open("rb")) if table_path.is_file() else None
    stated = edge_header.read(header_path, max_bytes)
    if stated and opened is None:
        # The table may have been written in the meantime.
        fix = f"put it back, or delete {header_path.name!r}"
        opened = stack.enter_context(paths.file("path", table_path, fix).open("rb"))
    return opened, stated


def _check_whole(file: BinaryIO, table: TextTable, expected: int | None) -> None:
    """Compare a table that was read to its end with the number of rows in the header, if any."""
    if expected is None:
        return
    file.seek(-1, os.SEEK_END)
    if table.size != expected or file.read(1) != b"\n":
        raise ValueError(
            f"{table.what} is not whole: expected {expected} rows and the end of the last line, "
            f"got {table.size} rows; take a whole copy, or, if you have edited it, delete the "
            ".json "
            "file beside it"
        )
