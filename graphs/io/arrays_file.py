"""Arrays of NumPy, one per file: adjacency matrices."""

from typing import BinaryIO

import numpy as np
from torch_geometric.data import Data

from graphs.io.archives import check_array
from graphs.io.numpy import from_numpy


def read(file: BinaryIO, max_bytes: int) -> Data:
    """Read a matrix whose rows are sources.

    Args:
        file: The open file, whose size has been checked.
        max_bytes: The largest size of the array in memory.

    Raises:
        ValueError: The file is damaged, or the array is not a square matrix.
    """
    size = file.seek(0, 2)
    file.seek(0)
    check_array("the array", file, size, max_bytes)
    file.seek(0)
    matrix = np.load(file, allow_pickle=False)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            "an .npy file must hold an adjacency matrix [N, N], got the shape "
            f"{list(matrix.shape)}; for the two ends of each synapse call "
            "graphs.from_edges(*numpy.load(path)) with an array [2, E]"
        )
    return from_numpy(matrix)
