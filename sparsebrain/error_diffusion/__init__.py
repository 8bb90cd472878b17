"""Error diffusion, I. Kaneko's learning without backpropagation.

Cells of fixed type on any directed graph (:class:`ErrorDiffusionNetwork`), and the rule that sends
the error of an output to all of them alike (:class:`ErrorDiffusion`).
"""

from sparsebrain.error_diffusion.cells import alternating
from sparsebrain.error_diffusion.network import ErrorDiffusionNetwork
from sparsebrain.error_diffusion.rule import ErrorDiffusion

__all__ = ["ErrorDiffusion", "ErrorDiffusionNetwork", "alternating"]
