"""Matrix Market, the text of sparse and dense matrices.

SciPy's reader ends the process on some damaged files, so that NumPy reads the numbers here.
"""

import warnings
from typing import BinaryIO, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.limits import check_bytes, check_neurons
from graphs.io.scipy import from_scipy

_BANNER = "%%MatrixMarket matrix FORMAT FIELD SYMMETRY"
_FORMATS = ("coordinate", "array")
_FIELDS = ("real", "double", "integer", "pattern")
_SYMMETRIES = {"general": 0, "symmetric": 1, "skew-symmetric": -1}
_BYTES_PER_ENTRY = 48
_LONGEST_LINE = 2**16


class _Header(NamedTuple):
    """What the first lines state.

    Attributes:
        sparse: Whether entries have positions.
        pattern: Whether entries have no values.
        mirror: The factor of the entries on the other side of the diagonal, or 0.
        sizes: Rows, columns and, if `sparse`, entries.
    """

    sparse: bool
    pattern: bool
    mirror: int
    sizes: list[int]


def read(file: BinaryIO, max_bytes: int, *, duplicates: Duplicates = "error") -> Data:
    """Read a matrix whose rows are sources.

    Args:
        file: The open file, whose size has been checked.
        max_bytes: The largest size of the entries in memory.
        duplicates: Whether synapses may repeat.

    Raises:
        ValueError: The file is damaged, or the matrix is not square.
    """
    size = file.seek(0, 2)
    file.seek(0)
    header = _header(file)
    rows, columns, *_ = header.sizes
    entries = header.sizes[2] if header.sparse else _stored(rows, columns, header.mirror)
    if 2 * entries > size:
        raise ValueError(
            f"it states {entries} entries, more than fit into its {size} bytes; take a whole copy"
        )
    check_bytes(f"its {entries} entries take", entries * _BYTES_PER_ENTRY, max_bytes)
    check_neurons(max(rows, columns), max_bytes)
    width = (3 - header.pattern) if header.sparse else 1
    values = _values(file, entries, width)
    if header.sparse:
        source, target = values[:, :2].astype(np.int64).T - 1
        weight = np.ones(entries) if header.pattern else values[:, 2]
        ends = np.stack((source, target))
        outside = (ends < 0) | (ends >= np.array([[rows], [columns]]))
        if (values[:, :2] % 1).any() or outside.any():
            raise ValueError(
                f"it must have positions from 1 to {rows} and 1 to {columns}; take a whole copy"
            )
    else:
        source, target, weight = _dense(values[:, 0], rows, columns, header.mirror)
    if header.mirror:
        other = source != target
        both = np.concatenate((source, target[other])), np.concatenate((target, source[other]))
        weight = np.concatenate((weight, header.mirror * weight[other]))
        source, target = both
    matrix = scipy.sparse.coo_array((weight, (source, target)), shape=(rows, columns))
    return from_scipy(matrix, duplicates=duplicates)


def _header(file: BinaryIO) -> _Header:
    words = file.readline(_LONGEST_LINE).decode("latin-1").split()
    lower = [word.lower() for word in words]
    if len(words) != 5 or lower[:2] != ["%%matrixmarket", "matrix"]:
        raise ValueError(f"it must begin with {_BANNER!r}; use the suffix of its format")
    form, field, symmetry = lower[2:]
    if form not in _FORMATS or field not in _FIELDS or symmetry not in _SYMMETRIES:
        raise ValueError(
            f"it must be a matrix of real numbers, got {' '.join(words[2:])[:60]!r}; save abs() or "
            "the real part of it"
        )
    line = b"%"
    while line.startswith(b"%") or (line and not line.strip()):
        line = file.readline(_LONGEST_LINE)
    sizes = line.split()
    sparse = form == "coordinate"
    if len(sizes) != 2 + sparse or not all(each.isdigit() and len(each) < 19 for each in sizes):
        raise ValueError(
            f"it must state rows, columns{' and entries' if sparse else ''} below its first line, "
            f"got {line[:60]!r}; take a whole copy"
        )
    pattern = field == "pattern"
    return _Header(sparse, pattern, _SYMMETRIES[symmetry], list(map(int, sizes)))


def _stored(rows: int, columns: int, mirror: int) -> int:
    """Return the number of entries of a dense matrix, of which one triangle may be left out."""
    if mirror == 0:
        return rows * columns
    return rows * (rows + mirror) // 2


def _values(file: BinaryIO, entries: int, width: int) -> NDArray[np.float64]:
    """Return the numbers of all entries, [entries, width]."""
    with warnings.catch_warnings():
        # Of a file without entries.
        warnings.simplefilter("ignore", UserWarning)
        found = np.loadtxt(file, comments="%", ndmin=2, max_rows=entries + 1)
    if not entries and not found.size:
        return np.empty((0, width))
    if found.shape != (entries, width):
        raise ValueError(
            f"it must have {entries} entries of {width} numbers, got {found.shape[0]} of "
            f"{found.shape[1]}; take a whole copy"
        )
    return found


def _dense(
    values: NDArray[np.float64], rows: int, columns: int, mirror: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the positions and values of the entries that are not 0; they are stored by column."""
    if mirror and rows != columns:
        raise ValueError(
            f"it must be square to be symmetric, got {rows} x {columns}; take a whole copy"
        )
    if mirror:
        target, source = np.triu_indices(rows, 0 if mirror > 0 else 1)
    else:
        target, source = np.divmod(np.arange(rows * columns), max(rows, 1))
    kept = values != 0
    return source[kept], target[kept], values[kept]
