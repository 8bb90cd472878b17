"""Error diffusion: I. Kaneko's learning rule without backpropagation.

:class:`ErrorDiffusionNetwork` is a network of cells of fixed type on any directed graph.
:class:`ErrorDiffusion` is the rule, which sends the error of an output to all cells alike.
"""

from sparsebrain.error_diffusion.cells import alternating
from sparsebrain.error_diffusion.network import ErrorDiffusionNetwork
from sparsebrain.error_diffusion.rule import ErrorDiffusion

__all__ = ["ErrorDiffusion", "ErrorDiffusionNetwork", "alternating"]
