"""Null models of a brain, from the one that preserves most to the one that preserves least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch_geometric.data import Data

import graphs

# With ten times fewer, a tenth of the reciprocal pairs of the larva stay that would not.
_SWAPS = 300


@dataclass(frozen=True)
class Null:
    """A null model.

    Attributes:
        preserves: What it preserves, for tables.
        draw: Draws a connectome from the brain and a seed.
        needs: The fields of the brain without which the null model is another one of the table.
    """

    preserves: str
    draw: Callable[[Data, int], Data]
    needs: tuple[str, ...] = ()


def _random(data: Data, seed: int) -> Data:
    plain = data.clone()
    for field in ("node_type", "node_type_names"):
        if field in plain:
            del plain[field]
    drawn = graphs.rewire_populations(plain, seed=seed)
    for field in ("node_type", "node_type_names"):
        if field in data:
            drawn[field] = data[field]
    return drawn


NULLS: dict[str, Null] = {
    "weights": Null(
        "the wiring, with shuffled strengths",
        lambda data, seed: graphs.shuffle_weights(data, seed=seed),
        ("edge_weight",),
    ),
    "reciprocity": Null(
        "degrees and reciprocity, within populations",
        lambda data, seed: graphs.rewire_reciprocal(
            data, swaps=_SWAPS, populations="node_type" in data, seed=seed
        ),
    ),
    "lengths": Null(
        "degrees and the lengths of synapses",
        lambda data, seed: graphs.rewire_lengths(data, swaps=30, seed=seed),
        ("pos",),
    ),
    "degrees": Null(
        "degrees, within populations",
        lambda data, seed: graphs.rewire_degrees(
            data, swaps=_SWAPS, populations="node_type" in data, seed=seed
        ),
    ),
    "populations": Null(
        "the counts between populations",
        lambda data, seed: graphs.rewire_populations(data, seed=seed),
        ("node_type",),
    ),
    "random": Null("the number of synapses", _random),
}
"""The null models by name. Degrees are those of every neuron. Null models within populations also
keep the counts between populations, if the brain has any."""


def nulls_of(data: Data) -> tuple[str, ...]:
    """Return the null models that a brain has the fields for."""
    return tuple(name for name, null in NULLS.items() if all(each in data for each in null.needs))
