"""MNIST-like image sets from files: IDX, gzipped IDX, or one npz. Nothing in them is executed."""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
_UNSIGNED_BYTE = 0x08
_MOST_BYTES = 2**31


class Split(NamedTuple):
    """Images [n, height, width] uint8 and labels [n] uint8, for training and for the test."""

    train_x: NDArray[np.uint8]
    train_y: NDArray[np.uint8]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.uint8]


def find(folder: Path, name: str) -> Split | None:
    """The image set ``name`` out of ``folder``, or None where it holds none of its files.

    Looked for are ``NAME.npz``, and the four IDX files, plain or with ``.gz``, in ``folder/NAME``
    and, for "mnist", in ``folder`` itself; NAME is written with - or _.

    Raises:
        ValueError: a file is truncated, of another kind, or does not fit the others.
    """
    spellings = (name, name.replace("-", "_"))
    for spelling in spellings:
        npz = folder / f"{spelling}.npz"
        if npz.is_file():
            return _checked(read_npz(npz), str(npz))
    places = [folder / spelling for spelling in spellings]
    # Both sets use the same file names, so a bare folder can only be taken at its word for one.
    if name == "mnist":
        places.append(folder)
    for place in places:
        paths = [_plain_or_gzipped(place / idx) for idx in _IDX_NAMES]
        if any(paths):
            absent = [idx for idx, path in zip(_IDX_NAMES, paths, strict=True) if path is None]
            if absent:
                raise ValueError(f"{place} lacks {', '.join(absent)} (or with .gz).")
            arrays = [read_idx(path) for path in paths if path is not None]
            return _checked(Split(*arrays), str(place))
    return None


def read_npz(path: Path) -> Split:
    """Read the arrays x_train, y_train, x_test and y_test; ValueError if one is not there."""
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("it is no npz file")
            absent = [key for key in _NPZ_KEYS if key not in arrays.files]
            if absent:
                raise ValueError(f"it lacks {', '.join(absent)}")
            return Split(*(arrays[key] for key in _NPZ_KEYS))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    IDX: two zero bytes, the type (0x08), the number of axes, each length as a big-endian int32,
    then the values.

    Raises:
        ValueError: it is no IDX file of unsigned bytes, or is not as long as it says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != bytes((0, 0, _UNSIGNED_BYTE)) or not 1 <= head[3] <= 3:
                raise ValueError("it is no IDX file of unsigned bytes in 1 to 3 axes")
            axes = file.read(4 * head[3])
            if len(axes) < 4 * head[3]:
                raise ValueError("its header is broken")
            shape = tuple(int(side) for side in np.frombuffer(axes, dtype=">u4"))
            size = math.prod(shape)
            if size > _MOST_BYTES:
                raise ValueError("its header is broken")
            # One byte more than announced tells a longer file, without reading all of it.
            values = file.read(size + 1)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    if len(values) != size:
        amount = "fewer" if len(values) < size else "more"
        raise ValueError(f"{path} holds {amount} than the {size} values that its header tells.")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def _plain_or_gzipped(path: Path) -> Path | None:
    zipped = path.with_name(f"{path.name}.gz")
    return next((found for found in (path, zipped) if found.is_file()), None)


def _checked(split: Split, where: str) -> Split:
    for part, x, y in (
        ("training", split.train_x, split.train_y),
        ("test", split.test_x, split.test_y),
    ):
        if x.dtype != np.uint8 or x.ndim != 3 or y.dtype != np.uint8 or y.ndim != 1:
            raise ValueError(
                f"{where}: {part} images must be uint8 [n, height, width] and labels uint8 [n], "
                f"got {x.dtype} {list(x.shape)} and {y.dtype} {list(y.shape)}."
            )
        if len(x) != len(y) or not len(x):
            raise ValueError(f"{where}: {len(x)} {part} images, but {len(y)} labels.")
        if int(y.max()) > 9:
            raise ValueError(f"{where}: {part} labels must be 0 to 9, got {int(y.max())}.")
    if split.train_x.shape[1:] != split.test_x.shape[1:]:
        raise ValueError(f"{where}: training and test images differ in size.")
    return split
