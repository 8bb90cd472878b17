"""Checks of NumPy archives before anything in them is unpacked."""

import math
import zipfile
from typing import IO, BinaryIO

import numpy as np

from graphs.io.limits import check_bytes

# NumPy and SciPy use no other methods, and Python unpacks others without a bound on memory.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def check_archive(file: BinaryIO, max_bytes: int) -> list[str]:
    """Return the names of the arrays in an archive, and rewind the file.

    Afterwards ``numpy.load(file, allow_pickle=False)`` takes at most `max_bytes`.

    Args:
        file: The open archive.
        max_bytes: The largest size of all arrays together.

    Raises:
        ValueError: The file is not an archive of arrays, damaged, or too large.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            check_bytes("it unpacks to", sum(each.file_size for each in members), max_bytes)
            names = [_check_member(archive, member, max_bytes) for member in members]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"it is damaged or not an .npz file ({error}); take a whole copy, or write it again "
            "with "
            "numpy.savez"
        ) from error
    if len(set(names)) < len(names):
        raise ValueError("it has two arrays of the same name; write it again with numpy.savez")
    file.seek(0)
    return names


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, max_bytes: int) -> str:
    """Return the name of an array, which is as long as its header says."""
    name, dot, suffix = member.filename.rpartition(".")
    if dot + suffix != ".npy" or member.compress_type not in _PACKINGS:
        raise ValueError(
            f"its part {member.filename!r} is not an array of NumPy; write it again with "
            "numpy.savez"
        )
    with archive.open(member) as part:
        check_array(name, part, member.file_size, max_bytes)
    return name


def check_array(name: str, part: IO[bytes], file_size: int, max_bytes: int) -> None:
    """Check that an array in NumPy's format is as long as its header says, before it is read.

    Args:
        name: The name of the array in messages.
        part: The open array.
        file_size: The number of bytes in it.
        max_bytes: The largest size.

    Raises:
        ValueError: The array is damaged, too large, or holds Python objects.
    """
    try:
        version = np.lib.format.read_magic(part)
    except ValueError as error:
        raise ValueError(
            f"{name} is not in NumPy's format ({error}); take a whole copy, or write it again with "
            "numpy.save"
        ) from error
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(
            f"{name} is an array in the unknown version {version} of its format; write it "
            "again with numpy.savez"
        )
    shape, _, dtype = readers[version](part)
    if dtype.hasobject:
        raise ValueError(
            f"{name} holds Python objects, which could execute anything (pickle); write it "
            f"again with {name}.astype(str) or {name}.astype(float)"
        )
    size = file_size - part.tell()
    length = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or not dtype.itemsize or length != size:
        raise ValueError(
            f"{name} should have {length} bytes for the shape {list(shape)} of {dtype}, got "
            f"{size}; "
            "take a whole copy, or write it again with numpy.savez"
        )
    # The sides of an empty array can have any length, and some readers count along them.
    check_bytes(
        f"{name} has sides for",
        math.prod(max(side, 1) for side in shape) * dtype.itemsize,
        max_bytes,
    )
