"""Connectomes from and to files and other libraries, one file per format."""

from graphs.io.files import load, save
from graphs.io.networkx import from_networkx, to_networkx
from graphs.io.scipy import from_scipy, to_scipy

__all__ = ["from_networkx", "from_scipy", "load", "save", "to_networkx", "to_scipy"]
