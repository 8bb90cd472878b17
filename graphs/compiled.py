"""The compiled helpers, where they were built; all that uses them does without, slower.

What comes out is the same bit for bit either way: random numbers are always drawn by NumPy, and
compiled code only works on what was drawn.
"""

import functools
import importlib
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


@functools.cache
def module() -> ModuleType | None:
    """Return the compiled helpers, or None where no compiler was at hand."""
    try:
        return importlib.import_module("graphs._compiled")
    except ImportError:
        return None


def plain(*arrays: NDArray[Any]) -> list[NDArray[np.int64]]:
    """Return arrays of integers as the helpers take them."""
    return [np.ascontiguousarray(each, dtype=np.int64) for each in arrays]


def rows(matrix: csr_array) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the pointers and indices of a sparse matrix as the helpers take them."""
    return (
        np.ascontiguousarray(matrix.indptr, dtype=np.int64),
        np.ascontiguousarray(matrix.indices, dtype=np.int32),
    )
