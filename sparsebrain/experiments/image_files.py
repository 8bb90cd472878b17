"""MNIST-like image sets in files: IDX, gzipped IDX, or one npz; nothing in them is executed."""

from __future__ import annotations

import gzip
import math
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.io.archives import check_archive

_IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
# Published files whose names say of which set they are. Their archives have one array each.
_PUBLISHED = {
    "kmnist": ("kmnist-{}-imgs.npz", "kmnist-{}-labels.npz"),
    "kuzushiji-49": ("k49-{}-imgs.npz", "k49-{}-labels.npz"),
    "emnist-letters": (
        "emnist-letters-{}-images-idx3-ubyte",
        "emnist-letters-{}-labels-idx1-ubyte",
    ),
}
# Published with rows and columns exchanged.
_TRANSPOSED = {"emnist-letters"}
_ONLY_KEY = "arr_0"
_UNSIGNED_BYTE = 0x08
# 20 times MNIST.
_MOST_BYTES = 2**30
_PIECE = 2**20
_AGAIN = "download it again"


class Split(NamedTuple):
    """Images for training and testing.

    Attributes:
        train_x: Images [n, height, width] uint8.
        train_y: Labels [n] uint8.
        test_x: Images [m, height, width] uint8.
        test_y: Labels [m] uint8.
    """

    train_x: NDArray[np.uint8]
    train_y: NDArray[np.uint8]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.uint8]


def find(folder: Path, name: str, *, classes: int = 10) -> Split | None:
    """Return an image set, or None if the folder has none of its files.

    The files are ``NAME.npz`` in the folder, or the four IDX files, plain or with ``.gz``, in
    ``folder/NAME`` and, for "mnist", in the folder itself. NAME may have ``_`` in place of ``-``.
    The published files of KMNIST, Kuzushiji-49 and EMNIST Letters are also found under their own
    names, in the folder or in ``folder/NAME``; those of EMNIST, which have rows and columns
    exchanged, are transposed.

    Args:
        folder: The folder.
        name: The name of the image set, such as "fashion-mnist".
        classes: Labels are less than this.

    Raises:
        ValueError: A file is damaged, too large, missing, or does not fit the others.
    """
    spellings = (name, name.replace("-", "_"))
    for spelling in spellings:
        npz = folder / f"{spelling}.npz"
        if npz.is_file():
            return _checked(read_npz(npz), str(npz), classes)
    places: list[tuple[Path, tuple[str, ...]]] = [
        (folder / spelling, _IDX_NAMES) for spelling in spellings
    ]
    # Sets use the same file names, so that files without a folder of their own must be MNIST.
    if name == "mnist":
        places.append((folder, _IDX_NAMES))
    own = tuple(
        each.format(part) for part in ("train", "test") for each in _PUBLISHED.get(name, ())
    )
    places += [(place, own) for place in (folder, *(folder / each for each in spellings)) if own]
    for place, names in places:
        paths = [_plain_or_gzipped(place / each) for each in names]
        if any(paths):
            absent = [each for each, path in zip(names, paths, strict=True) if path is None]
            if absent:
                raise ValueError(
                    f"{place} lacks {', '.join(absent)}; put them there, plain or with .gz."
                )
            split = _checked(Split(*(_read(path) for path in paths if path)), str(place), classes)
            if names is own and name in _TRANSPOSED:
                train, test = (each.transpose(0, 2, 1) for each in (split.train_x, split.test_x))
                split = split._replace(train_x=train, test_x=test)
            return split
    return None


def read_npz(path: Path) -> Split:
    """Read the arrays x_train, y_train, x_test and y_test of an archive.

    Raises:
        ValueError: The file is damaged, unpacks to more than 1 GiB, or lacks an array.
    """
    return Split(*read_arrays(path, _NPZ_KEYS).values())


def read_arrays(path: Path, *choices: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read arrays of an archive by their names.

    Args:
        path: The archive.
        choices: Names of arrays; the first of which the archive has all are read.

    Returns:
        The arrays by name, in the order of the names.

    Raises:
        ValueError: The file is damaged, unpacks to more than 1 GiB, or lacks an array.
    """
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                size = sum(each.file_size for each in zipfile.ZipFile(file).infolist())
                if size > _MOST_BYTES:
                    raise ValueError(
                        f"it unpacks to {size} bytes, more than {_MOST_BYTES}; pass fewer images"
                    )
            names = check_archive(file, _MOST_BYTES)
            absent = [[key for key in keys if key not in names] for keys in choices]
            if all(absent):
                lacking = ", and ".join(", ".join(keys) for keys in absent)
                raise ValueError(f"it lacks {lacking}; write it with numpy.savez")
            with np.load(file, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in choices[absent.index([])]}
    except Exception as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> NDArray[np.uint8]:
    return read_arrays(path, (_ONLY_KEY,))[_ONLY_KEY] if path.suffix == ".npz" else read_idx(path)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    The format has two zero bytes, the type (0x08), the number of axes, the length of each axis as a
    big-endian int32, and then the values.

    Raises:
        ValueError: The file is damaged, unpacks to more than 1 GiB, or has other values.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != bytes((0, 0, _UNSIGNED_BYTE)) or not 1 <= head[3] <= 3:
                raise ValueError(
                    f"it is not an IDX file of unsigned bytes in 1 to 3 axes; {_AGAIN}"
                )
            axes = file.read(4 * head[3])
            if len(axes) < 4 * head[3]:
                raise ValueError(f"its header is incomplete; {_AGAIN}")
            shape = tuple(int(side) for side in np.frombuffer(axes, dtype=">u4"))
            size = math.prod(shape)
            if size > _MOST_BYTES:
                raise ValueError(
                    f"its header states {size} values, more than {_MOST_BYTES}; {_AGAIN}"
                )
            values = bytearray()
            # One byte more reveals a longer file. A larger piece would be allocated at once.
            while piece := file.read(min(_PIECE, size + 1 - len(values))):
                values += piece
    except Exception as error:
        raise _unreadable(path, error) from error
    if len(values) != size:
        amount = "fewer" if len(values) < size else "more"
        raise ValueError(f"{path} has {amount} than the {size} values in its header; {_AGAIN}.")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def _unreadable(path: Path, error: Exception) -> ValueError:
    """Return an error that names the file."""
    told = str(error).rstrip(".") or type(error).__name__
    fix = "" if type(error) is ValueError and "; " in told else f"; {_AGAIN}"
    return ValueError(f"{path} cannot be read: {told}{fix}.")


def _plain_or_gzipped(path: Path) -> Path | None:
    """Return the file of a path, with or without ``.gz``, or None if there is none."""
    zipped = path.with_name(f"{path.name}.gz")
    return next((found for found in (path, zipped) if found.is_file()), None)


def _checked(split: Split, where: str, classes: int) -> Split:
    """Return an image set whose parts fit.

    Raises:
        ValueError: A part has the wrong dtype, shape or labels.
    """
    for part, x, y in (
        ("training", split.train_x, split.train_y),
        ("test", split.test_x, split.test_y),
    ):
        if x.dtype != np.uint8 or x.ndim != 3 or y.dtype != np.uint8 or y.ndim != 1:
            raise ValueError(
                f"{where}: {part} images must be uint8 [n, height, width] and labels uint8 [n], "
                f"got {x.dtype} {list(x.shape)} and {y.dtype} {list(y.shape)}; {_AGAIN}."
            )
        if len(x) != len(y) or not len(x):
            raise ValueError(
                f"{where}: {part} images and labels must have the same number, at least 1, got "
                f"{len(x)} {part} images, but {len(y)} labels; {_AGAIN}."
            )
        if int(y.max()) >= classes:
            raise ValueError(
                f"{where}: {part} labels must be 0 to {classes - 1}, got {int(y.max())}; {_AGAIN}."
            )
    if split.train_x.shape[1:] != split.test_x.shape[1:]:
        raise ValueError(
            f"{where}: training and test images must have one size, got "
            f"{list(split.train_x.shape[1:])} and {list(split.test_x.shape[1:])}; {_AGAIN}."
        )
    return split
