"""Measures of connectomes: how far, how clustered, how connected."""

from graphs.measures.clustering import clustering
from graphs.measures.components import strongly_connected
from graphs.measures.paths import PathLength, path_length
from graphs.measures.sampling import Estimate
from graphs.measures.spectrum import spectrum
from graphs.measures.summary import Degrees, Summary, summary

__all__ = [
    "Degrees",
    "Estimate",
    "PathLength",
    "Summary",
    "clustering",
    "path_length",
    "spectrum",
    "strongly_connected",
    "summary",
]
