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
from graphs.contract import build_sorted
from graphs.io import edge_header, neuron_table
from graphs.io.callings import near_alike
from graphs.io.columns import Labels, signs, type_texts, types
from graphs.io.duplicates import Duplicates, combine
from graphs.io.left_out import tell
from graphs.io.limits import check_bytes
from graphs.io.tables import Converter, Table, is_whole, write_rows

# Names of columns in published connectomes, in lower case. The name of the role has precedence.
SYNAPSE_COLUMNS = {
    "source": (
        *("pre", "src", "from", "source_id", "source_name", "source_node_id", "presynaptic"),
        *("pre_id", "pre_name", "pre_root_id", "pre_pt_root_id", "bodyid_pre"),
    ),
    "target": (
        *("post", "tar", "tgt", "dst", "to", "target_id", "target_name", "target_node_id"),
        *("postsynaptic", "post_id", "post_name", "post_root_id", "post_pt_root_id", "bodyid_post"),
    ),
    "weight": (
        *("edge_weight", "synapses", "n_synapses", "num_synapses", "count", "syn_count"),
        *("n_syn", "n_syn_total"),
    ),
    "type": ("edge_type", "synapse_type", "connection_type", "kind"),
    "sign": ("edge_sign",),
    "transmitter": ("neurotransmitter", "nt_type", "nt"),
}


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
    write_rows(file, delimiter, columns, length=data.num_edges)
    edge_header.write(data, file, neurons, stated)


def read(
    file: BinaryIO,
    max_bytes: int,
    *,
    neurons: str | os.PathLike[str] | None = None,
    num_nodes: int | None = None,
    columns: Mapping[str, str | None] | None = None,
    neuron_columns: Mapping[str, str | None] | None = None,
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
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    stated: dict[str, Any] = {}
    population = None
    with contextlib.ExitStack() as stack:
        opened = table = None
        if neurons is None and num_nodes is None:
            opened, stated = _open_beside(path, max_bytes, stack)
        elif neurons is not None:
            if num_nodes is not None:
                raise ValueError(
                    "num_nodes is the number of rows of the table of neurons; pass neurons= or "
                    "num_nodes=, not both"
                )
            opened = stack.enter_context(Path(neurons).open("rb"))
        header = beside(path)[1].name
        edge_header.check(stated, "edges", "the edge list", file, header)
        if opened is not None:
            what = "the table of neurons"
            check_bytes(f"{what} has", os.fstat(opened.fileno()).st_size, max_bytes)
            edge_header.check(stated, "neurons", what, opened, header)
            table = Table(what, opened, delimiter, exact=bool(stated))
            population = neuron_table.read(
                table, neuron_columns or {}, transmitter_signs, stated.get("node_type_names")
            )
            _check_whole(opened, table, stated.get("num_nodes"))
        elif neuron_columns:
            raise ValueError(
                "neuron_columns are columns of a table of neurons; pass neurons='neurons.csv' too"
            )
    rows = Table("the edge list", file, delimiter, exact=bool(stated))
    labels = Labels()
    find = _finder(rows, labels, population, num_nodes)
    synapses, edge_type_names = _read_synapses(
        rows, find, columns or {}, transmitter_signs, stated.get("edge_type_names")
    )
    _check_whole(file, rows, stated.get("num_edges"))
    if population is None:
        population = _implied(labels, synapses, num_nodes)
    left_out = [*rows.left_out, *(table.left_out if table is not None else ())]
    tell(left_out, "pass columns= or neuron_columns= for a column that has a role, see graphs.load")
    names = population.fields.get("names")
    merged = combine(population.count, **synapses, names=names, duplicates=duplicates)
    return build_sorted(
        population.count,
        np.stack((merged.pop("source"), merged.pop("target"))),
        **merged,
        **population.fields,
        edge_type_names=edge_type_names,
        shape=tuple(stated["shape"]) if "shape" in stated else None,
    )


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


def _check_whole(file: BinaryIO, table: Table, expected: int | None) -> None:
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


def _finder(
    rows: Table, labels: Labels, population: neuron_table.Neurons | None, num_nodes: int | None
) -> Converter:
    """Return the function that converts texts of a role into numbers of neurons."""
    if population is not None:
        index = population.index
        return lambda role, texts: rows.members(role, rows.names(role, texts), index)
    if num_nodes is not None:
        below = num_nodes  # Bound, because the lambda cannot narrow its type.
        return lambda role, texts: rows.indices(role, texts, below)
    return lambda role, texts: labels.encode(rows.names(role, texts))


def _check_ends(rows: Table, roles: Mapping[str, int]) -> None:
    """Refuse a table without one column of sources and another one of targets."""
    for role in ("source", "target"):
        if role not in roles:
            raise ValueError(
                f"{rows.what} must have a column {role!r}, got "
                f"{', '.join(map(repr, rows.header[:20]))}; "
                f"{rows.advice('columns', 'source', 'target')}"
            )
    if roles["source"] == roles["target"]:
        name = rows.header[roles["source"]]
        raise ValueError(
            f"source and target of {rows.what} must be two columns, got {name!r} for both; pass "
            "columns={'source': ..., 'target': ...} with the names of both"
        )


def _read_synapses(
    rows: Table,
    find: Converter,
    columns: Mapping[str, str | None],
    transmitter_signs: Mapping[str, float] | None,
    edge_type_names: list[str] | None,
) -> tuple[dict[str, Any], list[str] | None]:
    """Return the synapses as arguments of `combine`, and the names of their types."""
    roles = rows.find(SYNAPSE_COLUMNS, columns, "columns")
    _check_ends(rows, roles)
    if "sign" in roles:
        roles.pop("transmitter", None)
    labels = {role: Labels() for role in ("type", "transmitter") if role in roles}
    converters: dict[str, Converter] = {"source": find, "target": find}
    if "type" in labels:
        converters["type"] = lambda _, texts: labels["type"].encode(rows.types(texts))
    if "transmitter" in labels:
        converters["transmitter"] = lambda _, texts: labels["transmitter"].encode(texts)
    parts = rows.arrays(roles, converters)
    synapses = {role: parts[role] for role in ("source", "target")}
    for role in ("weight", "sign"):
        if role in roles:
            synapses[f"edge_{role}"] = parts[role]
    if "transmitter" in labels:
        synapses["edge_sign"] = signs(
            labels["transmitter"], parts["transmitter"], transmitter_signs, "columns"
        )
    if "type" in labels:
        synapses["edge_type"], edge_type_names = types(
            labels["type"], parts["type"], edge_type_names, f"the type of {rows.what}"
        )
    return synapses, edge_type_names


def _implied(
    labels: Labels, synapses: dict[str, Any], num_nodes: int | None
) -> neuron_table.Neurons:
    """Return the neurons of synapses without a table, and replace their codes in `synapses`."""
    if num_nodes is not None:
        return neuron_table.Neurons(num_nodes, {}, {})
    texts = list(labels.index)
    whole = all(map(is_whole, texts))
    if not whole:
        _refuse_near_alike(labels, synapses)
    keys: list[Any] = list(map(int, texts)) if whole else texts
    order = sorted(range(len(texts)), key=keys.__getitem__)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    for role in ("source", "target"):
        synapses[role] = rank[synapses[role]]
    names = [texts[at] for at in order]
    counted = names == [str(number) for number in range(len(names))]
    return neuron_table.Neurons(len(names), {}, {"names": None if counted else names})


def _refuse_near_alike(labels: Labels, synapses: dict[str, Any]) -> None:
    """Refuse two names that are most likely spellings of one."""
    pair = near_alike(labels.index)
    if pair is None:
        return
    here = [synapses[role] == labels.index[pair[1]] for role in ("source", "target")]
    row = int(np.flatnonzero(here[0] | here[1])[0])
    raise ValueError(
        f"the {'source' if here[0][row] else 'target'} of the edge list must be spelled alike in "
        f"all rows, got {pair[1][:50]!r} in row {row + 1} and {pair[0][:50]!r}, which differ only "
        "by case, leading zeros, or invisible or full-width characters; if both are neurons, list "
        "them in a table and pass neurons='neurons.csv'"
    )
