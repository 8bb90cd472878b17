"""Example arguments of every public function: the tables that all shared tests run over.

A new generator or real connectome takes a line in CASES, one more for each variant that a shared
test should see; a new measure, transform or picture takes a line in ON_DATA.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from torch_geometric.data import Data

import graphs


class Case(NamedTuple):
    make: Callable[..., Data]
    arguments: dict[str, Any]


CASES = {
    "grid": Case(graphs.grid_local, {"shape": (6, 5), "distance": 1}),
    "grid-1d": Case(graphs.grid_local, {"shape": 9, "distance": 2, "periodic": True}),
    "grid-4d": Case(graphs.grid_local, {"shape": (3, 2, 3, 2), "distance": 1.5}),
    "grid-inner": Case(graphs.grid_local, {"shape": (6, 5), "distance": 2, "padding": False}),
    "grid-disc": Case(graphs.grid_local, {"shape": (6, 7), "distance": 1.5, "metric": "euclidean"}),
    "coordinate": Case(
        graphs.coordinate_random, {"num_nodes": 60, "extent": (4, 3), "distance": 1.0}
    ),
    "coordinate-undirected": Case(
        graphs.coordinate_random,
        {"num_nodes": 60, "extent": 9.0, "distance": 1.0, "directed": False},
    ),
    "coordinate-torus": Case(
        graphs.coordinate_random,
        {
            "num_nodes": 60,
            "extent": (8, 9, 10),
            "distance": 0.5,
            "profile": "gaussian",
            "periodic": True,
        },
    ),
    "coordinate-ellipse": Case(
        graphs.coordinate_random,
        {
            "num_nodes": 63,
            "extent": (9, 7),
            "distance": (2.0, 1.0),
            "profile": "mexican-hat",
            "p_max": 0.8,
            "positions": "lattice",
            "jitter": 0.5,
        },
    ),
    "coordinate-given": Case(
        graphs.coordinate_random,
        {"positions": np.random.default_rng(0).random((40, 2)), "distance": 0.5},
    ),
    "hexagon": Case(graphs.hexagonal_lattice, {"radius": 3, "distance": 2}),
    "honeycomb": Case(graphs.hexagonal_lattice, {"shape": (6, 5), "distance": 2, "periodic": True}),
    "kaiser-hilgetag": Case(
        graphs.kaiser_hilgetag, {"num_nodes": 60, "alpha": 9.0, "directed": False}
    ),
    "kaiser-hilgetag-directed": Case(
        graphs.kaiser_hilgetag,
        {"num_nodes": 60, "alpha": 3.0, "beta": 0.3, "extent": (1, 2, 3), "directed": True},
    ),
    "small-world": Case(graphs.small_world, {"num_nodes": 40, "neighbors": 6, "rewire": 0.3}),
    "small-world-undirected": Case(
        graphs.small_world, {"num_nodes": 40, "neighbors": 6, "rewire": 0.3, "directed": False}
    ),
    "newman-watts": Case(
        graphs.small_world,
        {"num_nodes": 40, "neighbors": 6, "rewire": 0.3, "method": "newman-watts"},
    ),
    "newman-watts-undirected": Case(
        graphs.small_world,
        {
            "num_nodes": 40,
            "neighbors": 6,
            "rewire": 0.3,
            "method": "newman-watts",
            "directed": False,
        },
    ),
    "layered": Case(graphs.layered, {"sizes": [5, 4, 3]}),
    "erdos-renyi": Case(graphs.erdos_renyi, {"num_nodes": 40, "probability": 0.1}),
    "erdos-renyi-undirected": Case(
        graphs.erdos_renyi, {"num_nodes": 40, "probability": 0.1, "directed": False}
    ),
    "erdos-renyi-dense": Case(graphs.erdos_renyi, {"num_nodes": 20, "probability": 0.8}),
    "fixed-in-degree": Case(graphs.fixed_in_degree, {"num_nodes": 40, "in_degree": 6}),
    "fixed-out-degree": Case(graphs.fixed_out_degree, {"num_nodes": 40, "out_degree": 6}),
    "fixed-total": Case(graphs.fixed_total, {"num_nodes": 40, "num_edges": 200}),
    "fixed-total-undirected": Case(
        graphs.fixed_total, {"num_nodes": 40, "num_edges": 200, "directed": False}
    ),
    "configuration": Case(
        graphs.configuration, {"in_degrees": [1, 5, 2, 0] * 9, "out_degrees": [2] * 36}
    ),
    "barabasi-albert": Case(
        graphs.barabasi_albert, {"num_nodes": 40, "edges_per_node": 3, "directed": True}
    ),
    "barabasi-albert-undirected": Case(
        graphs.barabasi_albert, {"num_nodes": 40, "edges_per_node": 3, "directed": False}
    ),
    "power-law-cluster": Case(
        graphs.power_law_cluster,
        {"num_nodes": 40, "edges_per_node": 3, "triangle": 0.7, "directed": True},
    ),
    "power-law-cluster-undirected": Case(
        graphs.power_law_cluster,
        {"num_nodes": 40, "edges_per_node": 3, "triangle": 0.7, "directed": False},
    ),
    "c-elegans": Case(graphs.c_elegans, {"kind": "both"}),
    "c-elegans-male": Case(graphs.c_elegans_male, {"kind": "both"}),
    "mouse-regions": Case(graphs.mouse_regions, {"strain": "CAST"}),
    "larva-mushroom-body": Case(graphs.larva_mushroom_body, {}),
    "fly-visual-system": Case(graphs.fly_visual_system, {"radius": 2}),
    "blocks": Case(
        graphs.stochastic_block, {"sizes": [20, 15], "probabilities": [[0.3, 0.05], [0.1, 0.9]]}
    ),
    "blocks-undirected": Case(
        graphs.stochastic_block,
        {"sizes": [20, 15], "probabilities": [[0.3, 0.1], [0.1, 0.9]], "directed": False},
    ),
    "modules": Case(
        graphs.hierarchical_modules,
        {"module_size": 5, "branching": 3, "levels": 2, "probability": 0.9, "ratio": 0.3},
    ),
    "modules-undirected": Case(
        graphs.hierarchical_modules,
        {
            "module_size": [5, 9, 1, 6],
            "branching": 2,
            "levels": 2,
            "probability": 0.9,
            "ratio": 0.3,
            "directed": False,
        },
    ),
    "populations": Case(
        graphs.populations,
        {
            "population_sizes": {"exc": 16, "inh": 4},
            "connect": {
                ("exc", "exc"): graphs.FixedInDegree(3),
                ("exc", "inh"): graphs.FixedProbability(0.5),
                ("inh", "exc"): graphs.FixedTotal(20),
            },
            "signs": {"exc": 1, "inh": -1},
        },
    ),
}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())

# Functions of one connectome, which has 20 neurons with positions.
ON_DATA = {
    "against_nulls": {"measure": "reciprocity", "null": "rewire_degrees", "samples": 1},
    "betweenness": {"max_sources": 5},
    "by_type": {"partition": [0] * 20},
    "clustering": {"max_sources": 5},
    "collapse": {"partition": [0] * 20, "combine": "mean"},
    "communities": {"resolution": 1.0, "trials": 1},
    "components": {"connection": "weak"},
    "degree_distribution": {"direction": "in"},
    "efficiency": {"max_sources": 5},
    "fit_power_law": {"xmin": 1, "bootstraps": 1},
    "influence": {"sources": [0, 1], "targets": [2], "steps": 2},
    "modularity": {"partition": [0] * 20, "resolution": 1.0},
    "pagerank": {"damping": 0.5},
    "path_length": {"max_sources": 5},
    "reciprocity": {},
    "rich_club": {},
    "signed_weights": {},
    "small_worldness": {"max_sources": 5},
    "spectrum": {},
    "strength": {"direction": "out"},
    "strongest_paths": {"sources": [0], "targets": [1], "steps": 2, "count": 3},
    "strongly_connected": {},
    "summary": {"max_sources": 5},
    "triad_census": {},
    "wiring_length": {},
    "match": {"num_edges": 20},
    "subgraph": {"neurons": [0]},
    "symmetrize": {"weight": "max"},
    "rewire_degrees": {"swaps": 1.0},
    "rewire_reciprocal": {"swaps": 1.0},
    "rewire_lengths": {"swaps": 1.0},
    "rewire_populations": {},
    "shuffle_weights": {"within": "source"},
    "to_networkx": {},
    "to_numpy": {},
    "to_scipy": {},
    "plot": {"max_edges": 5, "alpha": 0.5},
    "plot_adjacency": {"cells": 5},
    "plot_circular": {"max_edges": 5},
    "plot_degrees": {"power_law": 2.0},
}
