"""Labeled images, divided into training and test sets."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split

from sparsebrain import locations
from sparsebrain.experiments.image_files import Split, find
from sparsebrain.experiments.options import OptionError, data_folder
from sparsebrain.experiments.sample_files import read
from sparsebrain.experiments.sample_paths import is_file
from sparsebrain.experiments.samples import Images, images_of

__all__ = ["DATASETS", "Images", "load", "load_anew", "load_once"]

Loader: TypeAlias = Callable[[Path | None], Images]

_VARIABLE = "SPARSEBRAIN_DATA"
_WANTED = "{name}.npz or the four IDX files, plain or with .gz, in {name}/"
_TRAINING = 60_000
_SIDE = 28


def load(name: str, folder: Path | None = None) -> Images:
    """Load a data set.

    Args:
        name: Key of :data:`DATASETS`: "digits", which is part of scikit-learn, "mnist" or
            "fashion-mnist"; or the path of a file, see
            :func:`~sparsebrain.experiments.sample_files.read`; or "package.module:function", a
            function that returns samples, see :func:`~sparsebrain.experiments.samples.images_of`.
        folder: Folder with the files of the last two, see
            :func:`~sparsebrain.experiments.image_files.find`. None for the folder in the
            environment variable SPARSEBRAIN_DATA; without it, or if it lacks the files, the images
            come from OpenML through scikit-learn's cache.

    Returns:
        The images.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The name is unknown, or the folder is missing.
        OptionError: A file is damaged, or the images cannot be found.
    """
    DATASETS.choose("name", name)
    return DATASETS[name](data_folder("folder", folder))


_held: dict[tuple[str, Path | None], Images] = {}


def load_anew(name: str, folder: Path | None = None) -> Images:
    """Load as :func:`load` does, and keep the images in memory for :func:`load_once`."""
    images = load(name, folder)
    _held.clear()
    _held[name, folder] = images
    return images


def load_once(name: str, folder: Path | None = None, *, checksum: str = "") -> Images:
    """Return the images that this process keeps in memory, or else load them.

    The images must not be changed.

    Args:
        name: As for :func:`load`.
        folder: As for :func:`load`.
        checksum: Expected checksum, because files and loaders may have changed; empty for any.

    Returns:
        The images.

    Raises:
        ValueError: As for :func:`load`, or the loaded images have another checksum.
    """
    images = _held.get((name, folder))
    if images is None or checksum not in ("", images.checksum):
        images = load_anew(name, folder)
    if checksum not in ("", images.checksum):
        raise ValueError(
            f"data {name!r} is not what the command began with; use "
            "the same files on every machine, and a loader that always returns the same images"
        )
    return images


def _digits(folder: Path | None) -> Images:
    """Load scikit-learn's 1797 handwritten digits of 8x8 pixels, divided 4 to 1 in a fixed way.

    The sheet is 16x16, twice the pixels in each direction, because on 8x8 neurons no window and no
    even number of neighbors have numbers of synapses within 2 % of each other.
    """
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
    train_x, test_x = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    train_y, test_y = (torch.tensor(part, dtype=torch.int64) for part in parts[2:])
    return Images("digits", 10, (16, 16), train_x, train_y, test_x, test_y)


def _mnist_like(name: str, openml_name: str) -> Callable[[Path | None], Images]:
    """Return the loader of 60,000 training and 10,000 test images, with one neuron per pixel."""

    def load_images(folder: Path | None) -> Images:
        split = find_images(name, folder, _WANTED.format(name=name))
        split = split or _fetch(name, openml_name)
        train_x, test_x = (
            torch.tensor(x.reshape(len(x), -1), dtype=torch.float32) / 255
            for x in (split.train_x, split.test_x)
        )
        train_y, test_y = (
            torch.tensor(y, dtype=torch.int64) for y in (split.train_y, split.test_y)
        )
        height, width = split.train_x.shape[1:]
        return Images(name, 10, (height, width), train_x, train_y, test_x, test_y)

    return load_images


def _fetch(name: str, openml_name: str) -> Split:
    x, y = from_openml(name, openml_name, _WANTED.format(name=name))
    return Split(x[:_TRAINING], y[:_TRAINING], x[_TRAINING:], y[_TRAINING:])


def from_openml(name: str, openml_name: str, files: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return images of 28 x 28 pixels from OpenML or from scikit-learn's cache of it.

    Args:
        name: The name of the data set in messages.
        openml_name: Its name at OpenML; version 1 is used.
        files: The files that a folder may have instead, for messages.

    Returns:
        Images [n, 28, 28] and labels [n], both uint8.

    Raises:
        OptionError: OpenML could not be reached, or has other data.
    """
    try:
        with warnings.catch_warnings():
            # The error says the same.
            warnings.filterwarnings("ignore", message="A network error occurred")
            found = fetch_openml(openml_name, version=1, as_frame=False, parser="liac-arff")
        x = found.data.astype(np.uint8).reshape(-1, _SIDE, _SIDE)
        return x, found.target.astype(np.uint8)
    except (OSError, ValueError) as error:
        raise OptionError(
            "data_dir",
            f"{name} was not found, and OpenML could not be reached ({error}); pass a folder with "
            f"{files}, name it in the environment variable {_VARIABLE}, or "
            "connect once, so that scikit-learn fetches and keeps the images",
        ) from None


def find_images(name: str, folder: Path | None, files: str, *, classes: int = 10) -> Split | None:
    """Return images from the files of a folder, or None if OpenML has to be asked.

    Args:
        name: The name of the data set.
        folder: The folder; None for that in the environment variable SPARSEBRAIN_DATA.
        files: The files that the folder should have, for messages.
        classes: Labels are less than this.

    Raises:
        OptionError: A file is damaged, or ``folder`` has none of the files.
    """
    place = folder or (Path(os.environ[_VARIABLE]) if os.environ.get(_VARIABLE) else None)
    try:
        split = None if place is None else find(place, name, classes=classes)
    except ValueError as error:
        raise OptionError("data_dir", f"{error}; pass a folder with whole files") from None
    if split is None and folder is not None:
        raise OptionError("data_dir", f"{folder} has no {name}; pass a folder with {files}")
    return split


class _DataTable(locations.OpenTable[Loader]):
    """Loaders of data sets, which files and other packages extend."""

    def __getitem__(self, name: str) -> Loader:
        """Return a loader, also for the path of a file."""
        if name not in self._table and is_file(name):
            return lambda folder: read(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or is_file(name)

    def adapt(self, name: str, found: Any) -> Loader:
        """Return the loader for a function of the user's own, or for samples."""
        if not callable(found):
            return lambda folder: replace(images_of(found), name=name)
        takes_folder = bool(inspect.signature(found).parameters)

        def load_own(folder: Path | None) -> Images:
            made = found(folder) if takes_folder else found()
            try:
                return replace(images_of(made), name=name)
            except (TypeError, ValueError) as error:
                raise OptionError("data", f"what {name} returns: {error}") from error

        return load_own


DATASETS: locations.OpenTable[Loader] = _DataTable(
    locations.DATASETS,
    {
        "digits": _digits,
        "mnist": _mnist_like("mnist", "mnist_784"),
        "fashion-mnist": _mnist_like("fashion-mnist", "Fashion-MNIST"),
    },
)
"""The loader of each data set by name; each takes the folder or None.

The entry points "sparsebrain.datasets" of installed packages are listed as well. Paths of files
and "package.module:function" are looked up, but not listed.
"""
