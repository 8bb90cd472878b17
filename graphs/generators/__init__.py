"""Generators of connectomes, one family per file."""

from graphs.generators.cell_populations import populations
from graphs.generators.connectors import (
    AllToAll,
    FixedInDegree,
    FixedOutDegree,
    FixedProbability,
    FixedTotal,
    OneToOne,
)
from graphs.generators.degree_sequences import configuration
from graphs.generators.growth import kaiser_hilgetag
from graphs.generators.lattices import grid_local, hexagonal_lattice
from graphs.generators.modules import hierarchical_modules, stochastic_block
from graphs.generators.perceptrons import layered
from graphs.generators.random_graphs import (
    erdos_renyi,
    fixed_in_degree,
    fixed_out_degree,
    fixed_total,
)
from graphs.generators.scale_free import barabasi_albert, power_law_cluster
from graphs.generators.small_worlds import small_world
from graphs.generators.spatial import coordinate_random

__all__ = [
    "AllToAll",
    "FixedInDegree",
    "FixedOutDegree",
    "FixedProbability",
    "FixedTotal",
    "OneToOne",
    "barabasi_albert",
    "configuration",
    "coordinate_random",
    "erdos_renyi",
    "fixed_in_degree",
    "fixed_out_degree",
    "fixed_total",
    "grid_local",
    "hexagonal_lattice",
    "hierarchical_modules",
    "kaiser_hilgetag",
    "layered",
    "populations",
    "power_law_cluster",
    "small_world",
    "stochastic_block",
]
