"""Measures of connectomes: paths, clustering, communities, degrees, null models."""

from graphs.measures.clustering_coefficients import clustering
from graphs.measures.community_structure import communities, modularity
from graphs.measures.connectedness import components, strongly_connected
from graphs.measures.degrees import DegreeDistribution, degree_distribution
from graphs.measures.paths import PathLength, efficiency, path_length
from graphs.measures.power_law import LikelihoodRatio, PowerLaw, fit_power_law
from graphs.measures.reciprocal_synapses import reciprocity
from graphs.measures.rich_clubs import RichClub, rich_club
from graphs.measures.sampling import Estimate
from graphs.measures.small_world_indices import SmallWorldness, small_worldness
from graphs.measures.spectra import spectrum
from graphs.measures.summary_table import Degrees, FullSummary, Summary, summary
from graphs.measures.triads import triad_census
from graphs.measures.wiring import WiringLength, wiring_length

__all__ = [
    "DegreeDistribution",
    "Degrees",
    "Estimate",
    "FullSummary",
    "LikelihoodRatio",
    "PathLength",
    "PowerLaw",
    "RichClub",
    "SmallWorldness",
    "Summary",
    "WiringLength",
    "clustering",
    "communities",
    "components",
    "degree_distribution",
    "efficiency",
    "fit_power_law",
    "modularity",
    "path_length",
    "reciprocity",
    "rich_club",
    "small_worldness",
    "spectrum",
    "strongly_connected",
    "summary",
    "triad_census",
    "wiring_length",
]
