"""Make, load, measure and draw connectomes: directed graphs of neurons and synapses.

Every generator and loader returns a `torch_geometric.data.Data` that keeps the contract of
`graphs.contract`, and every measure and picture takes one.
"""

from importlib.metadata import PackageNotFoundError as _PackageNotFoundError
from importlib.metadata import version as _version

from graphs.brains import c_elegans, fly_visual_system, larva_mushroom_body
from graphs.contract import validate
from graphs.io import from_networkx, from_scipy, load, save, to_networkx, to_scipy
from graphs.lattice import grid_local
from graphs.layered import layered
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
from graphs.plot import (
    plot,
    plot_adjacency,
    plot_circular,
    plot_degrees,
    plot_distances,
    plot_html,
)
from graphs.small_world import small_world
from graphs.spatial import coordinate_random

try:
    __version__ = _version("sparsebrain")
except _PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

__all__ = [
    "Estimate",
    "PathLength",
    "Summary",
    "__version__",
    "c_elegans",
    "clustering",
    "coordinate_random",
    "fly_visual_system",
    "from_networkx",
    "from_scipy",
    "grid_local",
    "larva_mushroom_body",
    "layered",
    "load",
    "path_length",
    "plot",
    "plot_adjacency",
    "plot_circular",
    "plot_degrees",
    "plot_distances",
    "plot_html",
    "save",
    "small_world",
    "spectrum",
    "strongly_connected",
    "summary",
    "to_networkx",
    "to_scipy",
    "validate",
]
