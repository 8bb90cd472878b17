"""NumPy's archives: every field of the contract as an array of its name; SciPy's matrices too."""

import math
import zipfile
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments
from graphs.io.duplicates import DUPLICATES, Duplicates
from graphs.io.limits import check_bytes, check_neurons
from graphs.io.networkx import EDGE_FIELDS, NODE_FIELDS
from graphs.io.scipy import from_scipy

_TENSORS: dict[str, type[np.generic]] = {
    "edge_index": np.int64,
    **{field.name: field.dtype for field in (*NODE_FIELDS, *EDGE_FIELDS)},
}
_STRINGS = ("edge_type_names", "node_type_names", "names")
_NEEDED = ("edge_index", "num_nodes")
_KNOWN = (*_TENSORS, *_STRINGS, "num_nodes", "shape")
# The only ones that NumPy and SciPy write; Python unpacks others without a bound on memory.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def write(data: Data, file: BinaryIO) -> None:
    """Write a connectome that keeps the contract."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in _TENSORS:
        if name in data:
            arrays[name] = data[name].detach().cpu().numpy()
    for name in _STRINGS:
        if name in data:
            arrays[name] = np.array(data[name], dtype=np.str_)
            if arrays[name].tolist() != data[name]:
                raise ValueError(
                    f"{name} must not end in the character 0, which NumPy cuts off; "
                    f"data.{name} = [each.rstrip(chr(0)) for each in data.{name}]"
                )
    arrays["num_nodes"] = np.array(data.num_nodes, dtype=np.int64)
    if "shape" in data:
        arrays["shape"] = np.array(data["shape"], dtype=np.int64)
    np.savez_compressed(file, allow_pickle=False, **arrays)


def read(file: BinaryIO, max_bytes: int, *, duplicates: Duplicates = "error") -> Data:
    """Read what `write` or `scipy.sparse.save_npz` wrote; the result is still to be validated."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        check_bytes("it unpacks to", sum(each.file_size for each in members), max_bytes)
        names = [_check_member(archive, member, max_bytes) for member in members]
    file.seek(0)
    if "format" in names:
        matrix = scipy.sparse.load_npz(file)
        check_neurons(max(matrix.shape), max_bytes)
        return from_scipy(matrix, duplicates=duplicates)
    arguments.option("duplicates", duplicates, DUPLICATES)
    unknown = sorted(set(names) - set(_KNOWN))
    missing = [name for name in _NEEDED if name not in names]
    if unknown or missing:
        told = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}"
        raise ValueError(
            f"expected arrays out of {', '.join(_KNOWN)}, and edge_index and num_nodes in any "
            f"case, but it {told}; write it with graphs.save(data, path)"
        )
    with np.load(file, allow_pickle=False) as loaded:
        return _connectome({name: loaded[name] for name in names}, max_bytes)


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, max_bytes: int) -> str:
    """Check that an array is as long as its header says, and return its name."""
    name, dot, suffix = member.filename.rpartition(".")
    if dot + suffix != ".npy" or member.compress_type not in _PACKINGS:
        raise ValueError(f"its part {member.filename!r} is no array that NumPy has written")
    with archive.open(member) as part:
        version = np.lib.format.read_magic(part)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in readers:
            raise ValueError(f"{name} is an array in the unknown version {version} of its format")
        shape, _, dtype = readers[version](part)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, which could execute anything (pickle)")
        size = member.file_size - part.tell()
    length = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or not dtype.itemsize or length != size:
        raise ValueError(
            f"{name} should have {length} bytes for the shape {list(shape)} of {dtype}, got {size}"
        )
    # Sides of an empty array can be of any length, and some readers count along them.
    check_bytes(
        f"{name} has sides for",
        math.prod(max(side, 1) for side in shape) * dtype.itemsize,
        max_bytes,
    )
    return name


def _connectome(arrays: dict[str, NDArray[Any]], max_bytes: int) -> Data:
    neurons = arrays["num_nodes"]
    if neurons.shape != () or neurons.dtype.kind not in "iu":
        raise ValueError(f"num_nodes must be one integer, got {_form(neurons)}")
    check_neurons(int(neurons), max_bytes)
    data = Data(num_nodes=int(neurons))
    for name, array in arrays.items():
        if name in _TENSORS:
            data[name] = _tensor(name, array)
        elif name in _STRINGS:
            if array.ndim != 1 or array.dtype.kind != "U":
                raise ValueError(f"{name} must be a row of text, got {_form(array)}")
            data[name] = array.tolist()
    if "shape" in arrays:
        if arrays["shape"].ndim != 1 or arrays["shape"].dtype.kind not in "iu":
            raise ValueError(f"shape must be a row of integers, got {_form(arrays['shape'])}")
        data["shape"] = tuple(arrays["shape"].tolist())
    return data


def _tensor(name: str, array: NDArray[Any]) -> Tensor:
    wanted = np.dtype(_TENSORS[name])
    # Another machine may have written the bytes of a number in another order.
    if array.dtype.newbyteorder("=") != wanted:
        raise ValueError(
            f"{name} must be {wanted}, got {_form(array)}; convert it with "
            f"{name}.astype({wanted.name!r}) before it is saved"
        )
    return torch.from_numpy(np.ascontiguousarray(array, dtype=wanted))


def _form(array: NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"
