"""What no function should be given: all of it ends in a clear error."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs

GENERATORS = {
    "barabasi_albert": {"num_nodes": 9, "edges_per_node": 2},
    "power_law_cluster": {"num_nodes": 9, "edges_per_node": 2, "triangle": 0.5},
    "configuration": {"in_degrees": [1, 1], "out_degrees": [1, 1]},
    "coordinate_random": {"num_nodes": 9, "extent": 1.0, "distance": 0.2, "p_max": 1.0},
    "erdos_renyi": {"num_nodes": 9, "probability": 0.1},
    "fixed_in_degree": {"num_nodes": 9, "in_degree": 2},
    "fixed_out_degree": {"num_nodes": 9, "out_degree": 2},
    "fixed_total": {"num_nodes": 9, "num_edges": 20},
    "grid_local": {"shape": (3, 3), "distance": 1.0, "metric": "chebyshev"},
    "hexagonal_lattice": {"radius": 1, "distance": 1.0},
    "hierarchical_modules": {
        "module_size": 3,
        "branching": 2,
        "levels": 2,
        "probability": 0.5,
        "ratio": 0.5,
    },
    "kaiser_hilgetag": {"num_nodes": 9, "alpha": 1.0, "beta": 1.0},
    "layered": {"sizes": [2, 3]},
    "small_world": {"num_nodes": 9, "neighbors": 4, "rewire": 0.1},
    "stochastic_block": {"sizes": [3, 4], "probabilities": [[0.1, 0.1], [0.1, 0.1]]},
    "populations": {"population_sizes": {"a": 3}, "connect": {}},
    "c_elegans": {"kind": "chemical", "source": "cook2019"},
    "larva_mushroom_body": {"side": "left"},
    "fly_visual_system": {"radius": 1},
}
ON_DATA = {
    "clustering": {"max_sources": 5},
    "communities": {"resolution": 1.0, "trials": 1},
    "components": {"connection": "weak"},
    "degree_distribution": {"direction": "in"},
    "efficiency": {"max_sources": 5},
    "fit_power_law": {"xmin": 1, "bootstraps": 1},
    "modularity": {"partition": [0] * 20, "resolution": 1.0},
    "path_length": {"max_sources": 5},
    "reciprocity": {},
    "rich_club": {},
    "small_worldness": {"max_sources": 5},
    "spectrum": {},
    "strongly_connected": {},
    "summary": {"max_sources": 5},
    "triad_census": {},
    "wiring_length": {},
    "match": {"num_edges": 20},
    "subgraph": {"neurons": [0]},
    "rewire_degrees": {"swaps": 1.0},
    "rewire_reciprocal": {"swaps": 1.0},
    "rewire_lengths": {"swaps": 1.0},
    "to_networkx": {},
    "to_numpy": {},
    "to_scipy": {},
    "plot": {"max_edges": 5, "alpha": 0.5},
    "plot_adjacency": {"cells": 5},
    "plot_circular": {"max_edges": 5},
    "plot_degrees": {"power_law": 2.0},
}
WRONG = (
    float("nan"),
    float("inf"),
    -1,
    1.5,
    2**62,
    2**70,
    "x",
    b"x",
    True,
    [float("nan")],
    [-1],
    [2**62],
    {},
    1j,
    np.zeros((2, 2)),
    np.zeros(0),
    object(),
)
# What was expected, or what is to be done about it; NumPy's own errors have none of these.
TOLD = ("must", "needs", "missing", "pass", "expected", "may")


def _refused(function, *args, **options):
    """Whether a call is refused; no error but a clear one comes through."""
    try:
        function(*args, **options)
    except (ValueError, TypeError) as error:
        told = str(error)
    else:
        return False
    assert any(word in told for word in TOLD), (options, told)
    return True


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_refuse_what_they_cannot_take(name):
    function, options = getattr(graphs, name), GENERATORS[name]
    seeded = {"seed": 0} if "seed" in inspect.signature(function).parameters else {}
    function(**options, **seeded)
    for option in options | seeded:
        # It is a length, and none reaches too far or too short; growth looks for a long time.
        tried = WRONG[:4] + WRONG[6:] if option in ("alpha", "distance", "extent") else WRONG
        refused = [_refused(function, **{**seeded, **options, option: wrong}) for wrong in tried]
        assert sum(refused) >= len(tried) - 4


@pytest.mark.parametrize("name", ON_DATA)
def test_functions_of_data_refuse_what_they_cannot_take(name):
    function, options = getattr(graphs, name), ON_DATA[name]
    data = graphs.coordinate_random(20, (4, 4), 2, seed=0)
    function(data, **options)
    for option in options.keys() - {"swaps"}:
        for wrong in WRONG:
            _refused(function, data, **{**options, option: wrong})
    assert not options or any(
        _refused(function, data, **{**options, option: {}}) for option in options
    )
    none = torch.empty((2, 0), dtype=torch.long)
    for bad in (
        None,
        [],
        Data(),
        Data(edge_index=none),
        Data(edge_index=none, num_nodes=2**62),
        Data(edge_index=torch.tensor([[0], [5]]), num_nodes=2),
        Data(edge_index=torch.zeros((2, 1)), num_nodes=2),
    ):
        assert _refused(function, bad, **options)
    plt.close("all")


@pytest.mark.parametrize("name", ON_DATA)
def test_functions_of_data_take_the_smallest_graphs_or_tell_why_not(name):
    options = {**ON_DATA[name], **({"num_edges": 0} if name == "match" else {})}
    for neurons, synapses in ((0, []), (1, []), (1, [[0, 0]]), (2, [[0, 1]]), (5, [])):
        edges = torch.tensor(synapses, dtype=torch.long).reshape(-1, 2).T.contiguous()
        data = Data(edge_index=edges, num_nodes=neurons, pos=torch.zeros((neurons, 2)))
        if name == "modularity":
            options["partition"] = [0] * neurons
        refused = _refused(getattr(graphs, name), data, **options)
        assert not refused or neurons == 0 or name in ("spectrum", "small_worldness", "rich_club")
    plt.close("all")


def test_every_public_function_of_one_connectome_is_in_a_table():
    tabled = {*GENERATORS, *ON_DATA}
    functions = {name for name in graphs.__all__ if name.islower() and not name.startswith("__")}
    # Those that take several, or read and write, have tests of bad input of their own.
    assert functions - tabled == {
        *("from_edges", "from_networkx", "from_numpy", "from_scipy", "join", "lesion", "load"),
        *("nest", "plot_distances", "plot_html", "save", "validate"),
    }
