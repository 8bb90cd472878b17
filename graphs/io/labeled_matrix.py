"""Adjacency matrices as text, with the names of neurons on both sides."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from graphs.io.callings import are_numbers, fault, spelled
from graphs.io.frame_table import CodedColumn, FrameTable
from graphs.io.limits import check_bytes
from graphs.io.neuron_table import Neurons
from graphs.io.tables import is_number

_PEEK = 20
_BYTES_PER_SYNAPSE = 24


def is_matrix(file: BinaryIO, header: list[str], delimiter: str) -> bool:
    """Return whether the first column has labels of the header, above numbers."""
    if len(header) < 3:
        return False
    labels = set(map(spelled, header[1:]))
    rows = list(islice(_rows(file, delimiter), _PEEK))
    # `read` tells which cells are empty.
    numbers = all(is_number(cell) or not cell.strip() for row in rows for cell in row[1:])
    return numbers and any(spelled(row[0].strip()) in labels for row in rows if row)


def refuse_unlabeled(file: BinaryIO, header: list[str], delimiter: str) -> None:
    """Refuse a table that has the form of a matrix without names in its rows.

    Raises:
        ValueError: The table has as many rows as columns, all of numbers.
    """
    size = len(header)
    if size < 3:
        return
    count = 0
    for count, row in enumerate(_rows(file, delimiter), 1):
        if count > size or len(row) != size or not all(map(is_number, row)):
            return
    if count == size:
        raise ValueError(
            f"it looks like an adjacency matrix without the names of neurons in its rows, got "
            f"{size} rows of {size} numbers; begin each row with the name of a neuron, or call "
            "graphs.from_numpy(frame.set_axis(frame.columns)) with frame = pandas.read_csv(path); "
            f"pass columns={{'source': {header[0]!r}, 'target': {header[1]!r}}} with the names of "
            "the columns if each row is a synapse"
        )


def read(
    file: BinaryIO, header: list[str], delimiter: str, max_bytes: int
) -> tuple[FrameTable, Neurons]:
    """Return the synapses of a matrix, whose rows are sources, and its neurons in their order.

    Args:
        file: The open file.
        header: The first row.
        delimiter: The character between two values.
        max_bytes: The largest size of the synapses in memory.

    Raises:
        ValueError: Labels differ between rows and columns, or values are not finite numbers.
    """
    columns = list(map(spelled, header[1:]))
    for label in header[1:]:
        if reason := fault(label.strip()):
            raise ValueError(
                f"the matrix must have the names of neurons in its header, got {label[:50]!r}; "
                f"{reason}"
            )
    names: list[str] = []
    parts: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    size = 0
    for number, row in enumerate(_rows(file, delimiter), 1):
        if len(row) != len(header):
            raise ValueError(
                f"the matrix must have {len(header)} values in each row, as its header has, got "
                f"{len(row)} in row {number}; add or delete values of that row"
            )
        label = row[0].strip()
        if reason := fault(label):
            raise ValueError(
                f"the matrix must begin each row with the name of a neuron, got {label[:50]!r} in "
                f"row {number}; {reason}"
            )
        names.append(spelled(label))
        values = _numbers(row[1:], number, columns)
        places = np.flatnonzero(values)
        size += len(places)
        check_bytes("its synapses take", size * _BYTES_PER_SYNAPSE, max_bytes)
        parts.append((places, values[places]))
    _check_labels(names, columns)
    index = {name: number for number, name in enumerate(names)}
    order = np.array([index[name] for name in columns], dtype=np.int64)
    source = np.repeat(np.arange(len(parts)), [len(places) for places, _ in parts])
    target = order[np.concatenate([places for places, _ in parts])]
    weight = np.concatenate([values for _, values in parts])
    cells = [CodedColumn(names, source), CodedColumn(names, target), CodedColumn(weight)]
    table = FrameTable("the matrix", ["source", "target", "weight"], cells.__getitem__)
    return table, Neurons(len(names), index, {"names": None if are_numbers(names) else names})


def _rows(file: BinaryIO, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows below the header."""
    file.seek(0)
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    try:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        next(rows, None)
        yield from filter(None, rows)
    finally:
        text.detach()


def _numbers(texts: list[str], row: int, columns: list[str]) -> NDArray[np.float64]:
    try:
        values = np.array(texts, dtype=np.float64)
        wrong = np.flatnonzero(~np.isfinite(values)).tolist()
    except ValueError:
        wrong = [at for at, text in enumerate(texts) if not is_number(text)]
    if wrong:
        raise ValueError(
            f"the matrix must hold finite numbers, 0 for no synapse, got {texts[wrong[0]][:50]!r} "
            f"in row {row}, column {columns[wrong[0]][:50]!r} ({len(wrong)} in this row); write 0 "
            "if that means no synapse, as frame.fillna(0) does in pandas"
        )
    return values


def _check_labels(rows: list[str], columns: list[str]) -> None:
    for what, labels in (("rows", rows), ("columns", columns)):
        count = Counter(labels)
        if len(count) < len(labels):
            twice = next(label for label in labels if count[label] > 1)
            raise ValueError(
                f"the matrix must have different labels for its {what}, got {twice[:50]!r} twice; "
                "rename one of them"
            )
    in_rows, in_columns = set(rows), set(columns)
    only = {
        "rows": [label for label in rows if label not in in_columns],
        "columns": [label for label in columns if label not in in_rows],
    }
    told = [
        f"{labels[0][:50]!r} and {len(labels) - 1} more in the {what} only"
        for what, labels in only.items()
        if labels
    ]
    if told:
        raise ValueError(
            f"the matrix must have the same labels for its rows and its columns, got "
            f"{' and '.join(told)}; if neurons without a row or a column have no synapses there, "
            "call frame = pandas.read_csv(path, index_col=0, dtype={0: str}), labels = "
            "frame.index.union(frame.columns) and graphs.from_numpy(frame.reindex(index=labels, "
            "columns=labels, fill_value=0))"
        )
