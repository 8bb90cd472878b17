"""NumPy archives with one array for each field of the contract, and matrices of SciPy."""

from typing import Any, BinaryIO

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments
from graphs.io.archives import check_archive
from graphs.io.duplicates import DUPLICATES, Duplicates
from graphs.io.limits import check_neurons
from graphs.io.networkx import EDGE_FIELDS, NODE_FIELDS
from graphs.io.scipy import from_scipy

_TENSORS: dict[str, type[np.generic]] = {
    "edge_index": np.int64,
    **{field.name: field.dtype for field in (*NODE_FIELDS, *EDGE_FIELDS)},
}
_STRINGS = ("edge_type_names", "node_type_names", "names")
_NEEDED = ("edge_index", "num_nodes")
_AGAIN = "write it with graphs.save(data, path)"
_KNOWN = (*_TENSORS, *_STRINGS, "num_nodes", "shape")


def write(data: Data, file: BinaryIO) -> None:
    """Write a valid connectome.

    Raises:
        ValueError: A name ends in the character 0.
    """
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
    """Read a file of `write` or `scipy.sparse.save_npz`.

    The caller validates the connectome.

    Raises:
        ValueError: The file is damaged or too large, or has other arrays.
    """
    names = check_archive(file, max_bytes)
    if "format" in names:
        matrix = scipy.sparse.load_npz(file)
        check_neurons(max(matrix.shape), max_bytes)
        return from_scipy(matrix, duplicates=duplicates)
    arguments.option("duplicates", duplicates, DUPLICATES)
    unknown = sorted(set(names) - set(_KNOWN))
    missing = [name for name in _NEEDED if name not in names]
    if unknown or missing:
        optional = [name for name in _KNOWN if name not in _NEEDED]
        told = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}"
        raise ValueError(
            f"it must have the arrays edge_index and num_nodes, and may have "
            f"{', '.join(optional)}, but it {told}; write it with graphs.save(data, path)"
        )
    with np.load(file, allow_pickle=False) as loaded:
        return _connectome({name: loaded[name] for name in names}, max_bytes)


def _connectome(arrays: dict[str, NDArray[Any]], max_bytes: int) -> Data:
    """Return the connectome of arrays, which is not validated."""
    neurons = arrays["num_nodes"]
    if neurons.shape != () or neurons.dtype.kind not in "iu":
        raise ValueError(f"num_nodes must be one integer, got {_form(neurons)}; {_AGAIN}")
    check_neurons(int(neurons), max_bytes)
    data = Data(num_nodes=int(neurons))
    for name, array in arrays.items():
        if name in _TENSORS:
            data[name] = _tensor(name, array)
        elif name in _STRINGS:
            if array.ndim != 1 or array.dtype.kind != "U":
                raise ValueError(f"{name} must be a row of text, got {_form(array)}; {_AGAIN}")
            data[name] = array.tolist()
    if "shape" in arrays:
        if arrays["shape"].ndim != 1 or arrays["shape"].dtype.kind not in "iu":
            raise ValueError(
                f"shape must be a row of integers, got {_form(arrays['shape'])}; {_AGAIN}"
            )
        data["shape"] = tuple(arrays["shape"].tolist())
    return data


def _tensor(name: str, array: NDArray[Any]) -> Tensor:
    """Return an array of the expected dtype as a tensor."""
    wanted = np.dtype(_TENSORS[name])
    # Another machine may have written the array in another byte order.
    if array.dtype.newbyteorder("=") != wanted:
        raise ValueError(
            f"{name} must be {wanted}, got {_form(array)}; write it again with "
            f"{name}.astype({wanted.name!r})"
        )
    return torch.from_numpy(np.ascontiguousarray(array, dtype=wanted))


def _form(array: NDArray[Any]) -> str:
    """Return dtype and shape."""
    return f"{array.dtype} {list(array.shape)}"
