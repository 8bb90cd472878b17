"""Pictures of connectomes: in space, as a circle, as a matrix, and by their distributions."""

from graphs.plot.adjacency import plot_adjacency
from graphs.plot.circular import plot_circular
from graphs.plot.degrees import plot_degrees
from graphs.plot.distances import plot_distances
from graphs.plot.interactive import plot_html
from graphs.plot.positions import plot

__all__ = [
    "plot",
    "plot_adjacency",
    "plot_circular",
    "plot_degrees",
    "plot_distances",
    "plot_html",
]
