"""Make, load, measure and draw connectomes: directed graphs of neurons and synapses.

Every generator and loader returns a `torch_geometric.data.Data` that satisfies the contract in
`graphs.contract`. Every measure and plot takes such a `Data`.

Importing the package is fast. The first use of one of its names imports torch and PyG, which takes
seconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

_PACKAGES = ("brains", "downloads", "generators", "io", "measures", "plots", "transforms")
_MODULES = (
    *("arguments", "compiled", "contract", "eigenvalues", "field_checks", "fields", "frames"),
    *("memory", "ordering", "partitions", "paths", "positions", "selection", "tensors", "weights"),
)

if TYPE_CHECKING:
    from graphs import brains as brains
    from graphs import downloads as downloads
    from graphs import generators as generators
    from graphs import io as io
    from graphs import measures as measures
    from graphs import plots as plots
    from graphs import transforms as transforms
    from graphs.brains import (
        c_elegans,
        c_elegans_male,
        fly_visual_system,
        larva_mushroom_body,
        mouse_regions,
    )
    from graphs.contract import signed_weights, validate
    from graphs.downloads import fetch
    from graphs.generators import (
        AllToAll,
        FixedInDegree,
        FixedOutDegree,
        FixedProbability,
        FixedTotal,
        OneToOne,
        barabasi_albert,
        configuration,
        coordinate_random,
        erdos_renyi,
        fixed_in_degree,
        fixed_out_degree,
        fixed_total,
        grid_local,
        hexagonal_lattice,
        hierarchical_modules,
        kaiser_hilgetag,
        layered,
        populations,
        power_law_cluster,
        small_world,
        stochastic_block,
    )
    from graphs.io import (
        DataFrames,
        LeftOutWarning,
        from_dataframe,
        from_edges,
        from_networkx,
        from_numpy,
        from_scipy,
        load,
        save,
        to_dataframe,
        to_networkx,
        to_numpy,
        to_scipy,
    )
    from graphs.measures import (
        DegreeDistribution,
        Degrees,
        Estimate,
        FullSummary,
        Influence,
        LikelihoodRatio,
        NullComparison,
        NullComparisons,
        PathLength,
        PowerLaw,
        RichClub,
        SmallWorldness,
        StrongPath,
        StrongPaths,
        Summary,
        TypeMatrix,
        WiringLength,
        against_nulls,
        betweenness,
        by_type,
        clustering,
        communities,
        components,
        degree_distribution,
        efficiency,
        fit_power_law,
        influence,
        modularity,
        pagerank,
        path_length,
        reciprocity,
        rich_club,
        small_worldness,
        spectrum,
        strength,
        strongest_paths,
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
    from graphs.transforms import (
        collapse,
        join,
        lesion,
        match,
        nest,
        rewire_degrees,
        rewire_lengths,
        rewire_populations,
        rewire_reciprocal,
        shuffle_weights,
        subgraph,
        symmetrize,
    )

    __version__: str
else:
    # Hidden from type checkers, which would otherwise accept any name.
    def __getattr__(name: str) -> Any:
        if name in (*_PACKAGES, *_MODULES):
            return importlib.import_module(f"{__name__}.{name}")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = _version() if name == "__version__" else _exported(name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES, *_MODULES})


def _exported(name: str) -> Any:
    """Return what a package, or the contract, exports by a name."""
    for home in _PACKAGES:
        package = importlib.import_module(f"{__name__}.{home}")
        if name in package.__all__:
            return getattr(package, name)
    return getattr(importlib.import_module(f"{__name__}.contract"), name)


def _version() -> str:
    """Return the version of the installed distribution."""
    metadata = importlib.import_module("importlib.metadata")
    try:
        return str(metadata.version("sparsebrain"))
    except metadata.PackageNotFoundError:  # a source tree on the path, not installed
        return "0+unknown"


__all__ = [
    "AllToAll",
    "DataFrames",
    "DegreeDistribution",
    "Degrees",
    "Estimate",
    "FixedInDegree",
    "FixedOutDegree",
    "FixedProbability",
    "FixedTotal",
    "FullSummary",
    "Influence",
    "LeftOutWarning",
    "LikelihoodRatio",
    "NullComparison",
    "NullComparisons",
    "OneToOne",
    "PathLength",
    "PowerLaw",
    "RichClub",
    "SmallWorldness",
    "StrongPath",
    "StrongPaths",
    "Summary",
    "TypeMatrix",
    "WiringLength",
    "__version__",
    "against_nulls",
    "barabasi_albert",
    "betweenness",
    "by_type",
    "c_elegans",
    "c_elegans_male",
    "clustering",
    "collapse",
    "communities",
    "components",
    "configuration",
    "coordinate_random",
    "degree_distribution",
    "efficiency",
    "erdos_renyi",
    "fetch",
    "fit_power_law",
    "fixed_in_degree",
    "fixed_out_degree",
    "fixed_total",
    "fly_visual_system",
    "from_dataframe",
    "from_edges",
    "from_networkx",
    "from_numpy",
    "from_scipy",
    "grid_local",
    "hexagonal_lattice",
    "hierarchical_modules",
    "influence",
    "join",
    "kaiser_hilgetag",
    "larva_mushroom_body",
    "layered",
    "lesion",
    "load",
    "match",
    "modularity",
    "mouse_regions",
    "nest",
    "pagerank",
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
    "rewire_populations",
    "rewire_reciprocal",
    "rich_club",
    "save",
    "shuffle_weights",
    "signed_weights",
    "small_world",
    "small_worldness",
    "spectrum",
    "stochastic_block",
    "strength",
    "strongest_paths",
    "strongly_connected",
    "subgraph",
    "summary",
    "symmetrize",
    "to_dataframe",
    "to_networkx",
    "to_numpy",
    "to_scipy",
    "triad_census",
    "validate",
    "wiring_length",
]
