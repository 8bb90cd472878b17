"""Matrix Market, the text of sparse matrices, read by SciPy."""

from typing import BinaryIO

import scipy.io
import scipy.sparse
from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.limits import check_bytes, check_neurons
from graphs.io.scipy import from_scipy

_BYTES_PER_ENTRY = 24
# "1 1" and the end of the line; an entry of a dense matrix has one character less than half.
_FEWEST_CHARACTERS = 2


def read(file: BinaryIO, max_bytes: int, *, duplicates: Duplicates = "error") -> Data:
    """Read a matrix whose rows are sources.

    Args:
        file: The open file, whose size has been checked.
        max_bytes: The largest size of the entries in memory.
        duplicates: Whether synapses may repeat.

    Raises:
        ValueError: The file is damaged, or the matrix is not square.
    """
    rows, columns, entries, *_ = scipy.io.mminfo(file)
    size = file.seek(0, 2)
    file.seek(0)
    # SciPy allocates the stated number of entries before it reads them.
    if entries * _FEWEST_CHARACTERS > size:
        raise ValueError(
            f"it states {entries} entries, more than fit into its {size} bytes; take a whole copy"
        )
    check_bytes(f"its {entries} entries take", entries * _BYTES_PER_ENTRY, max_bytes)
    check_neurons(max(rows, columns), max_bytes)
    return from_scipy(scipy.sparse.coo_array(scipy.io.mmread(file)), duplicates=duplicates)
