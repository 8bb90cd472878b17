"""Make, load, measure and draw connectomes: directed graphs of neurons and synapses.

Every generator and loader returns a `torch_geometric.data.Data` that keeps the contract of
`graphs.contract`, and every measure and picture takes one.
"""

from importlib.metadata import PackageNotFoundError as _PackageNotFoundError
from importlib.metadata import version as _version

from graphs.brains import c_elegans, fly_visual_system, larva_mushroom_body
from graphs.compose import join, nest
from graphs.connectors import (
    AllToAll,
    FixedInDegree,
    FixedOutDegree,
    FixedProbability,
    FixedTotal,
    OneToOne,
)
from graphs.contract import validate
from graphs.growth import kaiser_hilgetag
from graphs.io import (
    from_edges,
    from_networkx,
    from_numpy,
    from_scipy,
    load,
    save,
    to_networkx,
    to_numpy,
    to_scipy,
)
from graphs.lattice import grid_local, hexagonal_lattice
from graphs.layered import layered
from graphs.lesions import lesion, subgraph
from graphs.match import match
from graphs.measures import (
    Estimate,
    PathLength,
    Summary,
    clustering,
    path_length,
    spectrum,
    strongly_connected,
    summary,
)
from graphs.modular import hierarchical_modules, stochastic_block
from graphs.plot import plot
from graphs.populations import populations
from graphs.rewire import rewire_degrees, rewire_lengths, rewire_reciprocal
from graphs.small_world import small_world
from graphs.spatial import coordinate_random

try:
    __version__ = _version("sparsebrain")
except _PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

__all__ = [
    "AllToAll",
    "Estimate",
    "FixedInDegree",
    "FixedOutDegree",
    "FixedProbability",
    "FixedTotal",
    "OneToOne",
    "PathLength",
    "Summary",
    "__version__",
    "c_elegans",
    "clustering",
    "coordinate_random",
    "fly_visual_system",
    "from_edges",
    "from_networkx",
    "from_numpy",
    "from_scipy",
    "grid_local",
    "hexagonal_lattice",
    "hierarchical_modules",
    "join",
    "kaiser_hilgetag",
    "larva_mushroom_body",
    "layered",
    "lesion",
    "load",
    "match",
    "nest",
    "path_length",
    "plot",
    "populations",
    "rewire_degrees",
    "rewire_lengths",
    "rewire_reciprocal",
    "save",
    "small_world",
    "spectrum",
    "stochastic_block",
    "strongly_connected",
    "subgraph",
    "summary",
    "to_networkx",
    "to_numpy",
    "to_scipy",
    "validate",
]
