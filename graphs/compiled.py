"""Compiled helpers, which speed up some functions if they were built.

The results are identical bit for bit with and without them: NumPy draws all random numbers, and
compiled code only processes them.
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
    """Return the compiled helpers, or None if they were not built."""
    try:
        return importlib.import_module("graphs._compiled")
    except ImportError:
        return None


def plain(*arrays: NDArray[Any]) -> list[NDArray[np.int64]]:
    """Return arrays of integers in the form that the helpers take."""
    return [np.ascontiguousarray(each, dtype=np.int64) for each in arrays]


def rows(matrix: csr_array) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the pointers and indices of a sparse matrix in the form that the helpers take."""
    return (
        np.ascontiguousarray(matrix.indptr, dtype=np.int64),
        np.ascontiguousarray(matrix.indices, dtype=np.int32),
    )
