"""Operations on the synapses of a graph, and the backends that compute them.

Kernels use as many threads as ``torch.get_num_threads()`` says. As with PyTorch itself, a process
that was started with the "fork" method can hang in OpenMP if its parent has used several threads:
start processes with "spawn" or "forkserver", or call ``torch.set_num_threads(1)`` in the parent
before its first call.
"""

from sparsebrain.kernels.checks import DTYPES
from sparsebrain.kernels.functional import backpropagate, correlate, loop, propagate
from sparsebrain.kernels.sampling import gibbs
from sparsebrain.kernels.select import BACKENDS, available
from sparsebrain.kernels.structure import Structure

__all__ = [
    "BACKENDS",
    "DTYPES",
    "Structure",
    "available",
    "backpropagate",
    "correlate",
    "gibbs",
    "loop",
    "propagate",
]
