"""Make, load, measure and draw connectomes: directed graphs of neurons and synapses.

Every generator and loader returns a `torch_geometric.data.Data` that keeps the contract of
`graphs.contract`, and every measure and picture takes one.
"""

from importlib.metadata import PackageNotFoundError as _PackageNotFoundError
from importlib.metadata import version as _version

from graphs.brains import c_elegans, fly_visual_system, larva_mushroom_body
from graphs.contract import validate
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
from graphs.io import (
    LeftOutWarning,
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
from graphs.measures import (
    DegreeDistribution,
    Estimate,
    PathLength,
    PowerLaw,
    RichClub,
    SmallWorldness,
    Summary,
    WiringLength,
    clustering,
    communities,
    components,
    degree_distribution,
    efficiency,
    fit_power_law,
    modularity,
    path_length,
    reciprocity,
    rich_club,
    small_worldness,
    spectrum,
    strongly_connected,
    summary,
    triad_census,
    wiring_length,
)
from graphs.plots import (
    plot,
    plot_adjacency,
    plot_circular,
    plot_degrees,
    plot_distances,
    plot_html,
)
from graphs.transforms.composition import join, nest
from graphs.transforms.lesions import lesion, subgraph
from graphs.transforms.matching import match
from graphs.transforms.rewiring import rewire_degrees, rewire_lengths, rewire_reciprocal

try:
    __version__ = _version("sparsebrain")
except _PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

__all__ = [
    "AllToAll",
    "DegreeDistribution",
    "Estimate",
    "FixedInDegree",
    "FixedOutDegree",
    "FixedProbability",
    "FixedTotal",
    "LeftOutWarning",
    "OneToOne",
    "PathLength",
    "PowerLaw",
    "RichClub",
    "SmallWorldness",
    "Summary",
    "WiringLength",
    "__version__",
    "barabasi_albert",
    "c_elegans",
    "clustering",
    "communities",
    "components",
    "configuration",
    "coordinate_random",
    "degree_distribution",
    "efficiency",
    "erdos_renyi",
    "fit_power_law",
    "fixed_in_degree",
    "fixed_out_degree",
    "fixed_total",
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
    "modularity",
    "nest",
    "path_length",
    "plot",
    "plot_adjacency",
    "plot_circular",
    "plot_degrees",
    "plot_distances",
    "plot_html",
    "populations",
    "power_law_cluster",
    "reciprocity",
    "rewire_degrees",
    "rewire_lengths",
    "rewire_reciprocal",
    "rich_club",
    "save",
    "small_world",
    "small_worldness",
    "spectrum",
    "stochastic_block",
    "strongly_connected",
    "subgraph",
    "summary",
    "to_networkx",
    "to_numpy",
    "to_scipy",
    "triad_census",
    "validate",
    "wiring_length",
]
