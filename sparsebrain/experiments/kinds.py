"""The table of all topologies that can be written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import graphs
from sparsebrain.experiments import builders, texts

NO_GRAPH = "none"
FROM_FILE = "file"


@dataclass(frozen=True)
class Kind:
    """One generator: how its options are read, and what of its size is left to a comparison.

    ``fitted`` is the option that is fitted to a budget of synapses where it is not stated.
    ``sized`` are the options that state the number of neurons: where none of them is stated,
    neurons follow from the sheet, and from "neurons" where the kind has such an option. None stands
    for a kind that has the neurons that it has.
    """

    options: dict[str, Callable[[str], Any]]
    build: builders.Build
    fitted: str | None = None
    sized: tuple[str, ...] | None = None


_GROWN: dict[str, Callable[[str], Any]] = {
    "neurons": texts.integer,
    "edges_per_node": texts.integer,
    "directed": texts.flag,
    "outward": texts.number,
    "self_loops": texts.flag,
}

KINDS: dict[str, Kind] = {
    "grid": Kind(
        {
            "shape": texts.shape,
            "distance": texts.number,
            "metric": str,
            "padding": texts.flag,
            "periodic": texts.flag,
            "self_loops": texts.flag,
        },
        builders.grid,
        sized=("shape",),
    ),
    "hexagonal": Kind(
        {
            "radius": texts.integer,
            "shape": texts.shape,
            "distance": texts.number,
            "periodic": texts.flag,
            "self_loops": texts.flag,
        },
        builders.hexagonal,
        sized=("radius", "shape"),
    ),
    "coordinate": Kind(
        {
            "neurons": texts.integer,
            "extent": texts.extent,
            "distance": texts.lengths,
            "profile": str,
            "p_max": texts.number,
            "positions": str,
            "jitter": texts.number,
            "directed": texts.flag,
            "periodic": texts.flag,
            "self_loops": texts.flag,
        },
        builders.coordinate,
        fitted="distance",
        sized=("neurons",),
    ),
    "kaiser-hilgetag": Kind(
        {
            "neurons": texts.integer,
            "alpha": texts.number,
            "beta": texts.number,
            "extent": texts.extent,
            "directed": texts.flag,
            "self_loops": texts.flag,
        },
        builders.kaiser_hilgetag,
        fitted="alpha",
        sized=("neurons",),
    ),
    "small-world": Kind(
        {
            "neurons": texts.integer,
            "neighbors": texts.integer,
            "rewire": texts.number,
            "method": str,
            "directed": texts.flag,
            "self_loops": texts.flag,
        },
        builders.small_world,
        fitted="neighbors",
        sized=("neurons",),
    ),
    "erdos-renyi": Kind(
        {
            "neurons": texts.integer,
            "probability": texts.number,
            "directed": texts.flag,
            "self_loops": texts.flag,
        },
        builders.erdos_renyi,
        fitted="probability",
        sized=("neurons",),
    ),
    "fixed-in-degree": Kind(
        {"neurons": texts.integer, "in_degree": texts.integer, "self_loops": texts.flag},
        builders.fixed_degree(graphs.fixed_in_degree, "in_degree"),
        fitted="in_degree",
        sized=("neurons",),
    ),
    "fixed-out-degree": Kind(
        {"neurons": texts.integer, "out_degree": texts.integer, "self_loops": texts.flag},
        builders.fixed_degree(graphs.fixed_out_degree, "out_degree"),
        fitted="out_degree",
        sized=("neurons",),
    ),
    "barabasi-albert": Kind(
        _GROWN,
        builders.grown(graphs.barabasi_albert),
        fitted="edges_per_node",
        sized=("neurons",),
    ),
    "power-law-cluster": Kind(
        {**_GROWN, "triangle": texts.number},
        builders.grown(graphs.power_law_cluster, triangle=0.9),
        fitted="edges_per_node",
        sized=("neurons",),
    ),
    "stochastic-block": Kind(
        {
            "neurons": texts.integer,
            "probability": texts.number,
            "blocks": texts.integer,
            "ratio": texts.number,
            "directed": texts.flag,
            "self_loops": texts.flag,
        },
        builders.blocks,
        fitted="probability",
        sized=("neurons",),
    ),
    "hierarchical-modules": Kind(
        {
            "neurons": texts.integer,
            "probability": texts.number,
            "branching": texts.integer,
            "levels": texts.integer,
            "ratio": texts.number,
            "directed": texts.flag,
            "self_loops": texts.flag,
        },
        builders.modules,
        fitted="probability",
        sized=("neurons",),
    ),
    "layered": Kind(
        {"sizes": texts.shape, "neurons": texts.integer},
        builders.layers,
        sized=("sizes", "neurons"),
    ),
    "c-elegans": Kind({"kind": str, "source": str}, builders.brain(graphs.c_elegans)),
    "larva-mushroom-body": Kind({"side": str}, builders.brain(graphs.larva_mushroom_body)),
    "fly-visual-system": Kind({"radius": texts.integer}, builders.brain(graphs.fly_visual_system)),
    FROM_FILE: Kind({"path": str}, builders.file),
    # Its neurons are the hidden ones of the perceptron.
    NO_GRAPH: Kind({}, builders.none, sized=()),
}
"""Every topology that can be written, by its name."""
