"""Measures of connectomes: paths, clustering, communities, degrees, null models."""

from graphs.measures.centralities import betweenness, pagerank
from graphs.measures.clustering_coefficients import clustering
from graphs.measures.community_structure import communities, modularity
from graphs.measures.connectedness import components, strongly_connected
from graphs.measures.degrees import DegreeDistribution, degree_distribution
from graphs.measures.influences import Influence, influence
from graphs.measures.null_comparisons import NullComparison, NullComparisons, against_nulls
from graphs.measures.paths import PathLength, efficiency, path_length
from graphs.measures.power_law import LikelihoodRatio, PowerLaw, fit_power_law
from graphs.measures.reciprocal_synapses import reciprocity
from graphs.measures.rich_clubs import RichClub, rich_club
from graphs.measures.sampling import Estimate
from graphs.measures.small_world_indices import SmallWorldness, small_worldness
from graphs.measures.spectra import spectrum
from graphs.measures.strengths import strength
from graphs.measures.strong_paths import StrongPath, StrongPaths, strongest_paths
from graphs.measures.summary_table import Degrees, FullSummary, Summary, summary
from graphs.measures.triads import triad_census
from graphs.measures.type_matrix import TypeMatrix, by_type
from graphs.measures.wiring import WiringLength, wiring_length

__all__ = [
    "DegreeDistribution",
    "Degrees",
    "Estimate",
    "FullSummary",
    "Influence",
    "LikelihoodRatio",
    "NullComparison",
    "NullComparisons",
    "PathLength",
    "PowerLaw",
    "RichClub",
    "SmallWorldness",
    "StrongPath",
    "StrongPaths",
    "Summary",
    "TypeMatrix",
    "WiringLength",
    "against_nulls",
    "betweenness",
    "by_type",
    "clustering",
    "communities",
    "components",
    "degree_distribution",
    "efficiency",
    "fit_power_law",
    "influence",
    "modularity",
    "pagerank",
    "path_length",
    "reciprocity",
    "rich_club",
    "small_worldness",
    "spectrum",
    "strength",
    "strongest_paths",
    "strongly_connected",
    "summary",
    "triad_census",
    "wiring_length",
]
