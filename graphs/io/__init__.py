"""Connectomes from and to files and other libraries, with one module per format."""

from graphs.io.dataframes import DataFrames, from_dataframe, to_dataframe
from graphs.io.edges import from_edges
from graphs.io.files import load, save
from graphs.io.left_out import LeftOutWarning
from graphs.io.networkx import from_networkx, to_networkx
from graphs.io.numpy import from_numpy, to_numpy
from graphs.io.scipy import from_scipy, to_scipy

__all__ = [
    "DataFrames",
    "LeftOutWarning",
    "from_dataframe",
    "from_edges",
    "from_networkx",
    "from_numpy",
    "from_scipy",
    "load",
    "save",
    "to_dataframe",
    "to_networkx",
    "to_numpy",
    "to_scipy",
]
