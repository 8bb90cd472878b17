"""Matrices of MATLAB, read by SciPy."""

import math
import struct
import zlib
from typing import Any, BinaryIO

import scipy.io
from torch_geometric.data import Data

from graphs.io.duplicates import Duplicates
from graphs.io.limits import check_bytes, check_neurons
from graphs.io.numpy import from_numpy
from graphs.io.scipy import from_scipy

_HDF5 = b"\x89HDF"
_HEADER, _COMPRESSED = 128, 15
_PIECE = 2**20
_BYTES = 8
_KINDS = ("double", "single", "logical", "sparse", "int8", "uint8", "int16", "uint16", "int32")
_MATRICES = (*_KINDS, "uint32", "int64", "uint64")


def read(
    file: BinaryIO, max_bytes: int, *, variable: str | None = None, duplicates: Duplicates = "error"
) -> Data:
    """Read a matrix whose rows are sources.

    Args:
        file: The open file, whose size has been checked.
        max_bytes: The largest size of the variables, unpacked.
        variable: The name of the matrix, if the file has several square ones.
        duplicates: Whether synapses may repeat.

    Raises:
        ValueError: The file is damaged, too large, of version 7.3, or has no square matrix.
    """
    begin = file.read(_HEADER)
    version = begin[:4] == _HDF5 or b"MATLAB 7.3" in begin
    if version:
        raise ValueError(
            "it is in version 7.3 of MATLAB (HDF5); save it again with save('a.mat', 'matrix', "
            "'-v7') in MATLAB, or pass the matrix of h5py.File(path) to graphs.from_numpy, "
            "transposed"
        )
    # SciPy reads a file as version 4, which is not packed, only if one of these bytes is 0.
    if 0 not in begin[:4]:
        _check_unpacked(file, begin, max_bytes)
    file.seek(0)
    opened: Any = file
    listed = scipy.io.whosmat(opened)
    found = {name: (shape, str(kind)) for name, shape, kind in listed}
    name = _choose(found, variable)
    if [each for each, *_ in listed].count(name) > 1:
        raise ValueError(
            f"it must have variables of different names, got {name!r} twice; save the matrix again "
            "in a file of its own"
        )
    shape, kind = found[name]
    check_neurons(max(shape), max_bytes)
    if kind != "sparse":
        check_bytes(f"{name} takes", math.prod(shape) * _BYTES, max_bytes)
    file.seek(0)
    loaded: Any = scipy.io.loadmat(opened, variable_names=[name])[name]
    if kind == "sparse":
        return from_scipy(loaded, duplicates=duplicates)
    return from_numpy(loaded)


def _choose(found: dict[str, tuple[tuple[int, ...], str]], variable: str | None) -> str:
    """Return the name of the matrix."""
    told = ", ".join(
        f"{name} ({' x '.join(map(str, shape))} {kind})" for name, (shape, kind) in found.items()
    )
    square = [
        name
        for name, (shape, kind) in found.items()
        if kind in _MATRICES and len(shape) == 2 and shape[0] == shape[1]
    ]
    larger = [name for name in square if found[name][0] != (1, 1)] or square
    chosen = [variable] if variable in square else larger if variable is None else []
    if len(chosen) == 1:
        return str(chosen[0])
    if not square:
        raise ValueError(
            f"it must have a square matrix of numbers, got {told or 'no variable'}; save the "
            "adjacency matrix in it"
        )
    asked = "one square matrix" if variable is None else f"a square matrix {variable!r}"
    raise ValueError(f"it must have {asked}, got {told}; pass variable={square[0]!r}")


def _check_unpacked(file: BinaryIO, begin: bytes, max_bytes: int) -> None:
    """Unpack each part of a file of version 5 once, without keeping it, to learn its size."""
    order = "<" if begin[126:128] == b"IM" else ">"
    total = 0
    while len(tag := file.read(8)) == 8:
        kind, size = struct.unpack(f"{order}II", tag)
        end = file.tell() + size
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            left = size
            while left > 0 and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                while piece:
                    try:
                        total += len(unpacker.decompress(piece, _PIECE))
                    except zlib.error as error:
                        raise ValueError(f"it is damaged ({error}); take a whole copy") from error
                    check_bytes("it unpacks to at least", total, max_bytes)
                    piece = unpacker.unconsumed_tail
        file.seek(end)
