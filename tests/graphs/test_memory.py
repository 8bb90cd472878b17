"""Graphs that do not fit into memory."""

import math

import pytest

import graphs
from graphs import memory

HUGE = 2**39


@pytest.mark.parametrize(
    ("make", "options", "names"),
    [
        (graphs.grid_local, {"shape": HUGE, "distance": 1}, "shape"),
        (graphs.grid_local, {"shape": (10**6, 10**6), "distance": 1}, "shape"),
        (graphs.grid_local, {"shape": (10**4, 10**4), "distance": 1000}, "shape and distance"),
        (graphs.hexagonal_lattice, {"radius": HUGE}, "radius and distance"),
        (graphs.hexagonal_lattice, {"shape": (HUGE, 2)}, "shape"),
        (graphs.coordinate_random, {"num_nodes": HUGE, "extent": 1, "distance": 0.1}, "num_nodes"),
        (
            graphs.coordinate_random,
            {"num_nodes": 10**6, "extent": 1, "distance": 9},
            "num_nodes and distance",
        ),
        (graphs.kaiser_hilgetag, {"num_nodes": HUGE, "alpha": 1}, "num_nodes"),
        (graphs.kaiser_hilgetag, {"num_nodes": 10**6, "alpha": 0}, "num_nodes and beta"),
        (graphs.small_world, {"num_nodes": HUGE, "neighbors": 2, "rewire": 0}, "neighbors"),
        (graphs.layered, {"sizes": [10**6, 10**6]}, "sizes"),
        (graphs.erdos_renyi, {"num_nodes": HUGE, "probability": 0}, "num_nodes and probability"),
        (graphs.erdos_renyi, {"num_nodes": 10**7, "probability": 0.5}, "probability"),
        (graphs.fixed_in_degree, {"num_nodes": 10**7, "in_degree": 10**6}, "in_degree"),
        (graphs.fixed_out_degree, {"num_nodes": HUGE, "out_degree": 2}, "out_degree"),
        (graphs.fixed_total, {"num_nodes": 10**8, "num_edges": HUGE}, "num_edges"),
        (graphs.barabasi_albert, {"num_nodes": HUGE, "edges_per_node": 2}, "edges_per_node"),
        (graphs.stochastic_block, {"sizes": [HUGE], "probabilities": [[0.1]]}, "sizes"),
        (graphs.stochastic_block, {"sizes": [10**7], "probabilities": [[0.5]]}, "probabilities"),
        (
            graphs.hierarchical_modules,
            {
                "module_size": 10**7,
                "branching": 2,
                "levels": 2,
                "probability": 0.5,
                "ratio": 1,
            },
            "module_size, branching, levels and probability",
        ),
        (graphs.populations, {"population_sizes": {"a": HUGE}, "connect": {}}, "population_sizes"),
        (
            graphs.populations,
            {"population_sizes": {"a": 10**7}, "connect": {("a", "a"): graphs.AllToAll()}},
            r"connect\['a', 'a'\]: AllToAll\(\)",
        ),
    ],
)
def test_a_graph_that_does_not_fit_is_refused_before_it_is_made(make, options, names):
    with pytest.raises(ValueError, match=rf"{names} must be (small enough|at most).*; pass "):
        make(**options)


def test_room_is_that_of_the_machine():
    assert memory.fits(1000, 10_000)
    assert not memory.fits(2**31)
    assert not memory.fits(10, math.inf)
    assert 2**28 < memory.available() <= 2**50
