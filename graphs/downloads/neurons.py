"""What the adapters of published tables share: columns of Arrow, and the connectome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.contract import Index, build_sorted, validate
from graphs.io.columns import known_signs, transmitter_name
from graphs.io.duplicates import combine

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Options:
    """How published tables become a connectome; see `graphs.fetch`.

    Attributes:
        min_synapses: The smallest number of synapses of a connection.
        transmitter_signs: The signs of transmitters in addition to the usual ones.
    """

    min_synapses: int = 1
    transmitter_signs: Mapping[str, float] | None = None


class Arrow:
    """The columns of a table of Arrow.

    Args:
        source: The path of a Feather file, or a `pyarrow.Table`.
        name: The name of the table in messages.
    """

    def __init__(self, source: Any, name: str | None = None) -> None:
        import pyarrow as pa  # noqa: PLC0415

        self._name = name or Path(source).name
        self._source = source
        if isinstance(source, Path):
            with pa.ipc.open_file(str(source)) as file:
                self._columns = file.schema.names
        else:
            self._columns = source.column_names

    def integers(self, column: str) -> Index:
        """Return a column of integers."""
        return self._read(column).astype(np.int64)

    def reals(self, column: str) -> NDArray[np.float64]:
        """Return a column of numbers, with 0 for those that are missing."""
        return np.nan_to_num(self._read(column).astype(np.float64))

    def texts(self, column: str) -> NDArray[np.object_]:
        """Return a column of texts, with "" for those that are missing."""
        import pyarrow as pa  # noqa: PLC0415

        values = self._chunks(column).cast(pa.string()).fill_null("")
        return values.to_numpy().astype(object)

    def _read(self, column: str) -> NDArray[Any]:
        values: NDArray[Any] = self._chunks(column).to_numpy()
        return values

    def _chunks(self, column: str) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        if column not in self._columns:
            raise ValueError(
                f"{self._name} has no column {column!r}, only {', '.join(self._columns)}; remove "
                "the file and call fetch again"
            )
        if isinstance(self._source, pa.Table):
            return self._source[column]
        # The other columns are not read; a memory map of all would count as memory of the process.
        options = pa.ipc.IpcReadOptions(included_fields=[self._columns.index(column)])
        with pa.ipc.open_file(str(self._source), options=options) as file:
            return file.read_all()[column]


def csv(file: BinaryIO, name: str) -> Arrow:
    """Return the columns of a CSV file."""
    import pyarrow.csv  # noqa: PLC0415

    return Arrow(pyarrow.csv.read_csv(file), name)


def numbers(identifiers: Index, known: Index, *, strict: bool = True) -> Index:
    """Return the place of each identifier among the sorted known ones.

    Args:
        identifiers: The identifiers [E].
        known: Those of the neurons [N], in ascending order.
        strict: Whether to refuse an identifier that is not known; its place is otherwise -1.

    Raises:
        ValueError: An identifier is not known.
    """
    places = np.searchsorted(known, identifiers)
    places[places == len(known)] = 0
    unknown = known[places] != identifiers
    if strict and unknown.any():
        raise ValueError(
            f"{int(unknown.sum())} synapses belong to neurons that the table of neurons does not "
            f"have, such as {identifiers[unknown][0]}; remove the files and call fetch again"
        )
    places[unknown] = -1
    return places


def connectome(
    identifiers: Index,
    source: Index,
    target: Index,
    count: Index,
    options: Options,
    transmitters: NDArray[Any] | None = None,
    *,
    cell_types: NDArray[np.object_] | None = None,
) -> Data:
    """Return the connectome of published tables, with the counts of one pair added up.

    Args:
        identifiers: The identifier of each neuron [N].
        source: The source of each row [E].
        target: The target of each row [E].
        count: The number of synapses of each row [E].
        options: The options.
        transmitters: The transmitter of each neuron [N].
        cell_types: The type of each neuron [N]; "" is unknown.
    """
    merged = combine(
        len(identifiers), source, target, duplicates="sum", edge_weight=count.astype(np.float32)
    )
    kept = merged["edge_weight"] >= options.min_synapses
    if not kept.all():
        merged = {name: each if each is None else each[kept] for name, each in merged.items()}
    fields: dict[str, Any] = {"names": [str(each) for each in identifiers.tolist()]}
    if cell_types is not None:
        named = np.where(cell_types == "", UNKNOWN, cell_types)
        names, fields["node_type"] = np.unique(named.astype(str), return_inverse=True)
        fields["node_type_names"] = names.tolist()
    if transmitters is not None:
        fields["transmitters"] = [str(each) for each in transmitters.tolist()]
        fields["node_sign"] = _signs(fields["transmitters"], options.transmitter_signs or {})
    edges = np.stack((merged.pop("source"), merged.pop("target")))
    return validate(build_sorted(len(identifiers), edges, **merged, **fields))


def _signs(transmitters: Sequence[str], chosen: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the sign of each neuron; ValueError for a chosen transmitter that no neuron has."""
    found = {transmitter_name(each) for each in set(transmitters)}
    missing = [name for name in chosen if transmitter_name(name) not in found]
    if missing:
        raise ValueError(
            "transmitter_signs must name transmitters of this connectome, got "
            f"{missing[0][:50]!r}; pass some of {', '.join(sorted(found - {UNKNOWN}))}"
        )
    known = known_signs(chosen)
    return np.array(
        [known.get(transmitter_name(each), 0.0) for each in transmitters], dtype=np.float32
    )
