"""The kernels of the ``triton`` backend. Importing this folder imports triton, so it is done late.

A program of ``step`` and ``step_back`` computes some columns of one row. A program of ``run`` and
``run_back`` computes all rows of some columns for all loops, for graphs so small that one launch
per loop would take longer. No other program writes its results, so no atomics are needed, every sum
has a fixed order, and results are reproducible bit by bit.

Arguments that are None are left out when a kernel is compiled. Some arguments are tuples:

* ``matrix``, ``back``: the rows of W and of W^T, as :mod:`.rows` describes them.
* ``inputs``: ``bias`` [N], ``drive`` [N, B] and ``leak`` [N], each of which may be None.
* ``noise``: the key of the loop and the standard deviation, or (None, 0).
"""

from sparsebrain.kernels.triton_code.backward import run_back, step_back
from sparsebrain.kernels.triton_code.forward import correlate, draw, run, segment_sums, step

__all__ = ["correlate", "draw", "run", "run_back", "segment_sums", "step", "step_back"]
