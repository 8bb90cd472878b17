"""The graph layer and its parts."""

from sparsebrain.nn.ternary import Ternary

__all__ = ["Ternary"]
