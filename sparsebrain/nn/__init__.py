"""The graph layer and its parts."""

from sparsebrain.nn.growth import rewire
from sparsebrain.nn.ternary import Ternary

__all__ = ["Ternary", "rewire"]
