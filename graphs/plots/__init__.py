"""Plots of connectomes: by coordinates, as a circle, as a matrix, and of their distributions."""

from graphs.plots.adjacency import plot_adjacency
from graphs.plots.circular import plot_circular
from graphs.plots.degrees import plot_degrees
from graphs.plots.distances import plot_distances
from graphs.plots.interactive import plot_html
from graphs.plots.positions import plot

__all__ = [
    "plot",
    "plot_adjacency",
    "plot_circular",
    "plot_degrees",
    "plot_distances",
    "plot_html",
]
