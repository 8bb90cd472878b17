"""Tables in Parquet, Feather and Arrow's own files, read by pyarrow at bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.io.arrow_messages import check_messages
from graphs.io.duplicates import Duplicates
from graphs.io.frame_table import Column, Encoded, FrameTable
from graphs.io.limits import check_bytes

# A value, its code and what is computed from them.
_BYTES_PER_ROW = 24
_MOST_HEADER = 2**24
_MOST_DECIMAL = 32
_TEXT = ("string", "large_string", "string_view")
_PARQUET, _ARROW, _FEATHER_1 = b"PAR1", b"ARROW1", b"FEA1"


class ArrowColumn(Column):
    """A column of pyarrow.

    Args:
        values: A `pyarrow.ChunkedArray`.
    """

    def __init__(self, values: Any) -> None:
        self._values = values

    def encode(self) -> Encoded:
        """Return the different values of the column."""
        import pyarrow as pa  # noqa: PLC0415

        values = self._values
        if pa.types.is_nested(values.type):
            # Refused because of the type of its values.
            return Encoded(values.slice(0, 1).to_pylist(), np.zeros(len(values), np.int64))
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        chunks = values.unify_dictionaries().chunks
        if not chunks:
            return Encoded([], np.empty(0, np.int64))
        found: list[Any] = chunks[0].dictionary.to_pylist()
        kind = chunks[0].type.value_type
        if pa.types.is_floating(kind):
            # A float of Python does not tell which integers its original could hold.
            scalar = kind.to_pandas_dtype()
            found = [None if value is None else scalar(value) for value in found]
        codes = [
            each.indices.cast(pa.int64()).fill_null(len(found)).to_numpy(zero_copy_only=False)
            for each in chunks
        ]
        joined = np.concatenate(codes)
        # A dictionary may have more values than the rows.
        used = np.bincount(joined, minlength=len(found) + 1) > 0
        values = [
            value for value, there in zip([*found, None], used.tolist(), strict=True) if there
        ]
        return Encoded(values, (np.cumsum(used) - 1)[joined])

    def numbers(self) -> NDArray[np.float64] | None:
        """Return the values as float64, or None if they are no numbers."""
        import pyarrow as pa  # noqa: PLC0415

        kind = self._values.type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return None
        values: NDArray[np.float64] = self._values.to_numpy().astype(np.float64)
        return values


def table(what: str, file: BinaryIO, max_bytes: int) -> FrameTable:
    """Open a table.

    Args:
        what: The name of the table in messages.
        file: The open file.
        max_bytes: The largest size of the columns that are read, in memory.

    Raises:
        ValueError: The file is of another format, damaged, or too large.
        ModuleNotFoundError: pyarrow is needed and not installed.
    """
    return READERS[Path(file.name).suffix.lower()](what, file, max_bytes)


def read(
    file: BinaryIO,
    max_bytes: int,
    *,
    neurons: str | None = None,
    num_nodes: int | None = None,
    columns: Mapping[str, str | int | None] | None = None,
    neuron_columns: Mapping[str, str | int | None] | None = None,
    transmitter_signs: Mapping[str, float] | None = None,
    duplicates: Duplicates = "error",
) -> Data:
    """Read a table of synapses; the arguments are those of `edge_list.read`.

    Raises:
        ValueError: A table is damaged.
        ModuleNotFoundError: pyarrow is needed and not installed.
    """
    # It opens files of these formats, too.
    from graphs.io.synapse_table import Options, connectome  # noqa: PLC0415
    from graphs.io.table_files import neurons_of  # noqa: PLC0415

    options = Options(columns, neuron_columns, transmitter_signs, duplicates, num_nodes)
    rows = table("the edge list", file, max_bytes)
    population, left_out = neurons_of(neurons, options, max_bytes)
    if population is None and neuron_columns:
        raise ValueError(
            "neuron_columns are columns of a table of neurons; pass neurons='neurons.parquet' too"
        )
    return connectome(rows, population, options, left_out=left_out)


def _parquet(what: str, file: BinaryIO, max_bytes: int) -> FrameTable:
    begin = file.read(4)
    if begin != _PARQUET:
        raise ValueError("it is not in Parquet; take a whole copy, or use the suffix of its format")
    parquet = library("parquet")
    file.seek(0)
    limits = {"thrift_string_size_limit": _MOST_HEADER, "thrift_container_size_limit": _MOST_HEADER}
    with parquet.ParquetFile(file, memory_map=False, pre_buffer=False, **limits) as opened:
        schema, metadata = opened.schema_arrow, opened.metadata
        leaves = [opened.schema.column(at) for at in range(len(opened.schema))]
        wide = {leaf.path for leaf in leaves if leaf.length > _MOST_DECIMAL}
    check_bytes("it unpacks to", unpacked(metadata), max_bytes)
    rows = metadata.num_rows
    check_bytes(f"its {rows} rows take", rows * _BYTES_PER_ROW, max_bytes)
    names = list(schema.names)

    def column(at: int) -> ArrowColumn:
        name = names[at]
        for field in schema:
            # pyarrow reads the parts of a column together with it, and knows them by their names.
            if f"{field.name}.".startswith(f"{name}.") or name.startswith(f"{field.name}."):
                _check_type(what, field, is_long=field.name in wide)
        file.seek(0)
        # A text that repeats is stored once in the file, and must be in memory.
        text = [name] if str(schema.field(at).type) in _TEXT else None
        with parquet.ParquetFile(file, read_dictionary=text, pre_buffer=False, **limits) as opened:
            read = opened.read([name], use_threads=False)
        return ArrowColumn(read.column(read.column_names.index(name)))

    return FrameTable(what, names, column)


def unpacked(metadata: Any) -> int:
    """Return the size of all columns, as a file in Parquet states it."""
    # The metadata of a single column end the process if they are damaged.
    groups = range(metadata.num_row_groups)
    return sum(int(metadata.row_group(at).total_byte_size) for at in groups)


def _feather(what: str, file: BinaryIO, max_bytes: int) -> FrameTable:
    begin = file.read(8)
    if begin.startswith(_FEATHER_1):
        raise ValueError(
            "it is in version 1 of Feather; write it again with pyarrow.feather.write_feather("
            "pyarrow.feather.read_table(path), path)"
        )
    if not begin.startswith(_ARROW):
        raise ValueError("it is not in Feather; take a whole copy, or use the suffix of its format")
    ipc = library("ipc")
    check_messages(ipc, file, max_bytes)
    with ipc.open_stream(file) as opened:
        schema = opened.schema

    def column(at: int) -> ArrowColumn:
        # Views of text may overlap, so that a few bytes stand for long texts.
        field = schema.field(at)
        _check_type(what, field, is_long="view" in str(field.type))
        return _feather_column(ipc, file, at)

    return FrameTable(what, list(schema.names), column)


def _is_plain(kind: Any) -> bool:
    """Return whether values of a type take a few bytes each, or are text."""
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    if types.is_dictionary(kind):
        return not types.is_dictionary(kind.value_type) and _is_plain(kind.value_type)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return number or types.is_boolean(kind) or types.is_null(kind) or str(kind) in _TEXT


def _check_type(what: str, field: Any, *, is_long: bool = False) -> None:
    """Refuse a column by its type, before its values are read.

    Args:
        what: The name of the table in messages.
        field: The column in the schema of pyarrow.
        is_long: Whether the file may have longer values than the type says.

    Raises:
        ValueError: Its values are no numbers and no text, and may take any memory.
    """
    if is_long or not _is_plain(field.type):
        raise ValueError(
            f"the column {field.name[:50]!r} of {what} must have integers, floats, booleans or "
            f"text (string, large_string), got {str(field.type)[:50]}; write the file again with "
            "one of these types, or without that column"
        )


def _feather_column(ipc: ModuleType, file: BinaryIO, at: int) -> ArrowColumn:
    """Return one column of a file whose messages have been checked."""
    import pyarrow as pa  # noqa: PLC0415

    file.seek(8)
    options = ipc.IpcReadOptions(included_fields=[at], use_threads=False)
    with ipc.open_stream(file, options=options) as opened:
        read = pa.Table.from_batches(list(opened), schema=opened.schema)
    # Arrow trusts the offsets in a file.
    read.validate(full=True)
    return ArrowColumn(read.column(0))


READERS: dict[str, Callable[[str, BinaryIO, int], FrameTable]] = {
    ".parquet": _parquet,
    ".feather": _feather,
}


def library(name: str) -> ModuleType:
    """Return a module of pyarrow.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.ipc  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "files in Parquet and Feather need pyarrow; call pip install 'sparsebrain[arrow]' or "
            "pip install pyarrow"
        ) from None
    found: ModuleType = getattr(pyarrow, name)
    return found
