"""The operations on synapses that all else is made of, and the backends that compute them."""

from sparsebrain.kernels.checks import DTYPES
from sparsebrain.kernels.functional import backpropagate, correlate, loop, propagate
from sparsebrain.kernels.select import BACKENDS, available
from sparsebrain.kernels.structure import Structure

__all__ = [
    "BACKENDS",
    "DTYPES",
    "Structure",
    "available",
    "backpropagate",
    "correlate",
    "loop",
    "propagate",
]
