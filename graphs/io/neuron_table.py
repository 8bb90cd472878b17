"""The table of neurons that belongs to an edge list: one row per neuron."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.io.callings import are_numbers
from graphs.io.columns import Labels, signs, type_texts, types
from graphs.io.rows import Texts
from graphs.io.tables import Converter, Table
from graphs.io.text_table import write_rows

# Names of columns in published connectomes, in lower case. The name of the role has precedence.
NEURON_COLUMNS = {
    "neuron": (
        "id",
        "node",
        "neuron_id",
        "node_id",
        "cell_id",
        "root_id",
        "pt_root_id",
        "bodyid",
        "body",
    ),
    "name": ("neuron_name", "node_name", "cell_name", "label"),
    "type": (
        "node_type",
        "cell_type",
        "neuron_type",
        "class",
        "cell_class",
        "population",
        "primary_type",
    ),
    "sign": ("node_sign",),
    "transmitter": ("neurotransmitter", "nt_type", "nt"),
    "x": ("pos_x",),
    "y": ("pos_y",),
    "z": ("pos_z",),
}
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Neurons:
    """The neurons of a table.

    Attributes:
        count: The number of neurons.
        index: The number of each neuron by its identifier in the edge list.
        fields: Their fields of the contract.
    """

    count: int
    index: dict[str, int]
    fields: dict[str, Any]

    def name_of(self, number: int) -> str:
        """Return the identifier of a neuron in the edge list."""
        return next(text for text, each in self.index.items() if each == number)


def write(data: Data, file: BinaryIO, delimiter: str) -> None:
    """Write one row per neuron."""
    write_rows(file, delimiter, neuron_columns(data), length=data.num_nodes)


def neuron_columns(data: Data) -> dict[str, Any]:
    """Return the columns of a table of neurons, with their numbers unless all names differ."""
    columns: dict[str, Any] = {}
    if not named_apart(data):
        columns["neuron"] = range(data.num_nodes)
    if "names" in data:
        columns["name"] = data["names"]
    if "node_type" in data:
        columns["type"] = type_texts(data, "node_type")
    if "pos" in data:
        columns.update(zip(_AXES, data.pos.detach().cpu().numpy().T, strict=False))
    if "node_sign" in data:
        columns["sign"] = data.node_sign.cpu().numpy().astype(np.int64)
    return columns


def named_apart(data: Data) -> bool:
    """Return whether the names of neurons differ, so that an edge list can refer to them."""
    return "names" in data and len(set(data["names"])) == data.num_nodes


def read(
    table: Table,
    columns: Mapping[str, str | int | None],
    transmitter_signs: Mapping[str, float] | None,
    node_type_names: list[str] | None,
) -> Neurons:
    """Read a table of `write` or another program.

    Args:
        table: The table.
        columns: The column of some roles, or None for no column.
        transmitter_signs: The signs of further transmitters.
        node_type_names: The names of types in the header of `graphs.save`, if any.

    Raises:
        ValueError: A column is missing or damaged, or identifiers repeat.
    """
    roles = table.find(NEURON_COLUMNS, columns, "neuron_columns")
    # In a table of cell types, each type is a neuron.
    if "neuron" not in roles and "name" not in roles and "type" in roles:
        roles["neuron"] = roles.pop("type")
    key = "neuron" if "neuron" in roles else "name"
    if key not in roles:
        raise ValueError(
            f"{table.what} must have a column 'name', got "
            f"{', '.join(map(repr, table.header[:20]))}; "
            f"{table.advice('neuron_columns', 'name')}"
        )
    # A column of signs makes that of transmitters superfluous.
    used = {role: at for role, at in roles.items() if role != "transmitter" or "sign" not in roles}
    labels = {role: Labels() for role in used if role not in ("sign", *_AXES)}
    values = table.arrays(used, {role: _encoder(table, labels, key) for role in labels})
    texts = {role: labels[role].texts(values[role]) for role in used if role in ("neuron", "name")}
    index = {text: number for number, text in enumerate(texts[key])}
    if len(index) < table.size:
        rows = {text: len(texts[key]) - at for at, text in enumerate(reversed(texts[key]))}
        twice, text = next((at, text) for at, text in enumerate(texts[key], 1) if rows[text] < at)
        raise ValueError(
            f"the {key} of {table.what} must differ in each row, got {text[:50]!r} again in row "
            f"{twice}, as in row {rows[text]}; delete the row, or pass another column, "
            "neuron_columns={'neuron': ...}"
        )
    fields: dict[str, Any] = {"names": texts.get("name") or _names(texts[key], key)}
    if "type" in labels:
        told = types(labels["type"], values["type"], node_type_names, f"the type of {table.what}")
        fields["node_type"], fields["node_type_names"] = told
    if "transmitter" in labels:
        fields["node_sign"] = signs(
            labels["transmitter"], values["transmitter"], transmitter_signs, "neuron_columns"
        )
    if "sign" in used:
        fields["node_sign"] = values["sign"]
    axes = [values[axis] for axis in _AXES if axis in used]
    if axes:
        fields["pos"] = np.stack(axes, axis=1)
    return Neurons(table.size, index, fields)


def _encoder(table: Table, labels: dict[str, Labels], key: str) -> Converter:
    """Return the function that numbers the texts of a role."""

    def encode(role: str, texts: Texts) -> NDArray[np.int64]:
        if role == key:
            texts = table.names(role, texts)
        elif role == "type":
            texts = table.types(texts)
        return labels[role].encode(texts)

    return encode


def _names(keys: list[str], key: str) -> list[str] | None:
    """Return identifiers as names, or None if they are 0 to N - 1 in order."""
    return None if key == "neuron" and are_numbers(keys) else keys
