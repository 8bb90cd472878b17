"""Connectomes from a table of synapses and maybe one of neurons, in files or dataframes."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.contract import build_sorted
from graphs.io import neuron_table
from graphs.io.callings import are_numbers, is_whole, near_alike, ordered
from graphs.io.columns import Labels, signs, types
from graphs.io.duplicates import Duplicates, combine
from graphs.io.left_out import tell, warn
from graphs.io.tables import Converter, Table

# Names of columns in published connectomes, in lower case. The name of the role has precedence.
SYNAPSE_COLUMNS = {
    "source": (
        *("pre", "src", "from", "source_id", "source_name", "source_node_id", "presynaptic"),
        *("pre_id", "pre_name", "pre_root_id", "pre_pt_root_id", "bodyid_pre", "body_pre"),
        *("origin", "neuron_1", "pre_neuron", "pre_cell", "presynaptic_id", "pre_skeleton_id"),
    ),
    "target": (
        *("post", "tar", "tgt", "dst", "to", "target_id", "target_name", "target_node_id"),
        *("postsynaptic", "post_id", "post_name", "post_root_id", "post_pt_root_id", "bodyid_post"),
        *("body_post", "neuron_2", "post_neuron", "post_cell", "postsynaptic_id"),
        "post_skeleton_id",
    ),
    "weight": (
        *("edge_weight", "synapses", "n_synapses", "num_synapses", "count", "syn_count"),
        *("n_syn", "n_syn_total", "number_of_connections", "nbr", "synapse_count"),
    ),
    "type": ("edge_type", "synapse_type", "connection_type", "kind"),
    "sign": ("edge_sign",),
    "transmitter": ("neurotransmitter", "nt_type", "nt"),
}
# Columns that divide a synapse into one row per region of the brain.
_REGIONS = ("neuropil", "roi", "region", "brain_region")
# Varshney et al. (2011) list each chemical synapse from both sides; these rows are the receiving
# side's.
_BOTH_SIDES = {"S", "Sp", "R", "Rp", "EJ", "NMJ"}
_RECEIVED = ("R", "Rp")


class Options(NamedTuple):
    """How tables are read; see `graphs.load`.

    Attributes:
        columns: The columns of synapses.
        neuron_columns: The columns of neurons.
        transmitter_signs: The signs of transmitters.
        duplicates: Whether synapses may repeat.
        num_nodes: The number of neurons.
    """

    columns: Mapping[str, str | int | None] | None = None
    neuron_columns: Mapping[str, str | int | None] | None = None
    transmitter_signs: Mapping[str, float] | None = None
    duplicates: Duplicates = "error"
    num_nodes: int | None = None


def connectome(
    rows: Table,
    population: neuron_table.Neurons | None,
    options: Options,
    *,
    stated: Mapping[str, Any] | None = None,
    left_out: tuple[str, ...] = (),
    check: Callable[[], None] = lambda: None,
) -> Data:
    """Return the connectome of tables; the caller validates it.

    Args:
        rows: The table of synapses.
        population: The neurons, or None if only synapses tell about them.
        options: The options.
        stated: The header of `graphs.save`, if any.
        left_out: The columns of the table of neurons that are not read.
        check: Is called after all rows have been read.

    Raises:
        ValueError: The table is damaged, or has no columns for both ends of synapses.
    """
    stated = stated or {}
    labels = Labels()
    find = _finder(rows, labels, population, options.num_nodes)
    synapses, edge_type_names, predicted = _read_synapses(
        rows, find, options, stated.get("edge_type_names")
    )
    check()
    if population is None:
        population = _implied(labels, synapses, options.num_nodes)
    elif predicted:
        _prefer_neurons(synapses, population)
    region = _region(rows)
    if options.duplicates == "sum" and region is not None:
        rows.decline(region.lower().replace(" ", "_"))
    tell(
        [*rows.left_out, *left_out],
        "pass columns= or neuron_columns= for a column that has a role, see graphs.load",
    )
    fix = (
        "give them different edge_type, or pass duplicates='sum' to add up their weights"
        if region is None
        else f"pass duplicates='sum' to add up the rows of one synapse in different regions, or "
        f"columns={{'type': {region!r}}} to keep them apart"
    )
    merged = combine(
        population.count,
        **synapses,
        names=population.fields.get("names"),
        duplicates=options.duplicates,
        fix=fix,
        sign_fix="pass neurons= with a table that has one sign or transmitter per neuron, which "
        "goes before the signs of rows, or columns={'sign': None, 'transmitter': None}",
    )
    return build_sorted(
        population.count,
        np.stack((merged.pop("source"), merged.pop("target"))),
        **merged,
        **population.fields,
        edge_type_names=edge_type_names,
        shape=tuple(stated["shape"]) if "shape" in stated else None,
    )


def has_ends(rows: Table) -> bool:
    """Return whether a table has a usual column of sources or of targets."""
    names = {name.lower().replace(" ", "_") for name in rows.header}
    return any(names & {role, *SYNAPSE_COLUMNS[role]} for role in ("source", "target"))


def _region(rows: Table) -> str | None:
    """Return the column of regions, if it is not read."""
    found = [name for name in rows.header if name.lower().replace(" ", "_") in _REGIONS]
    unread = [name for name in found if any(repr(name) in told for told in rows.left_out)]
    return unread[0] if unread else None


def _prefer_neurons(synapses: dict[str, Any], population: neuron_table.Neurons) -> None:
    """Replace signs by transmitters in rows that disagree with the known sign of the source."""
    node_sign = population.fields.get("node_sign")
    if node_sign is None or "edge_sign" not in synapses:
        return
    rows, sources = synapses["edge_sign"], node_sign[synapses["source"]]
    wrong = (sources != 0) & (rows != sources)
    told = np.flatnonzero(wrong & (rows != 0))
    synapses["edge_sign"] = np.where(wrong, sources, rows)
    if told.size:
        name = population.name_of(int(synapses["source"][told[0]]))
        warn(
            f"{told.size} of {len(rows)} rows of synapses have another sign than their source has "
            f"in the table of neurons, for example {name!r} in row {told[0] + 1}; the sign of the "
            "neuron is used; pass neuron_columns={'sign': None, 'transmitter': None} to use the "
            "rows"
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
    missing = [role for role in ("source", "target") if role not in roles]
    if missing:
        raise ValueError(
            f"{rows.what} must have a column {' and a column '.join(map(repr, missing))}, got "
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
    options: Options,
    edge_type_names: list[str] | None,
) -> tuple[dict[str, Any], list[str] | None, bool]:
    """Return synapses as arguments of `combine`, names of types, and if signs are transmitters'."""
    roles = rows.find(SYNAPSE_COLUMNS, options.columns or {}, "columns")
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
            labels["transmitter"], parts["transmitter"], options.transmitter_signs, "columns"
        )
    if "type" in labels:
        parts, synapses = _one_side(rows, roles, labels["type"], parts, synapses)
        synapses["edge_type"], edge_type_names = types(
            labels["type"], parts["type"], edge_type_names, f"the type of {rows.what}"
        )
    return synapses, edge_type_names, "transmitter" in labels


def _one_side(
    rows: Table,
    roles: Mapping[str, int],
    labels: Labels,
    parts: dict[str, NDArray[Any]],
    synapses: dict[str, Any],
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Leave out the rows of Varshney et al. that repeat others from the receiving side."""
    texts = list(labels.index)
    header = rows.header[roles["source"]].lower().replace(" ", "_")
    if header != "neuron_1" or not set(texts) <= _BOTH_SIDES or not {"S", "Sp"} & set(texts):
        return parts, synapses
    again = np.isin(parts["type"], [labels.index[text] for text in _RECEIVED if text in texts])
    if not again.any():
        return parts, synapses
    warn(
        f"{int(again.sum())} rows of the types 'R' and 'Rp' are left out: they list synapses of "
        "the types 'S' and 'Sp' again, from the neuron that receives; delete them from the file"
    )
    kept = np.array([text for text in texts if text not in _RECEIVED])
    number = {text: at for at, text in enumerate(kept.tolist())}
    code = np.array([number.get(text, 0) for text in texts], dtype=np.int64)[parts["type"][~again]]
    labels.index.clear()
    labels.index.update(number)
    return {**parts, "type": code}, {name: each[~again] for name, each in synapses.items()}


def _implied(
    labels: Labels, synapses: dict[str, Any], num_nodes: int | None
) -> neuron_table.Neurons:
    """Return the neurons of synapses without a table, and replace their codes in `synapses`."""
    if num_nodes is not None:
        return neuron_table.Neurons(num_nodes, {}, {})
    texts = list(labels.index)
    if not all(map(is_whole, texts)):
        _refuse_near_alike(labels, synapses)
    order = ordered(texts)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    for role in ("source", "target"):
        synapses[role] = rank[synapses[role]]
    names = [texts[at] for at in order]
    return neuron_table.Neurons(len(names), {}, {"names": None if are_numbers(names) else names})


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
