"""The graph layer and its parts."""

from sparsebrain.nn.growth import rewire

__all__ = ["rewire"]
