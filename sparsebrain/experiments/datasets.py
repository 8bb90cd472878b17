"""Labeled images, divided into training and test sets."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from graphs import arguments
from sparsebrain.experiments.checksums import checksum_of
from sparsebrain.experiments.image_files import Split, find
from sparsebrain.experiments.options import OptionError, data_folder

_VARIABLE = "SPARSEBRAIN_DATA"
_WANTED = "{name}.npz or the four IDX files, plain or with .gz, in {name}/"
_TRAINING = 60_000


@dataclass(frozen=True, eq=False)
class Images:
    """A data set in memory.

    Attributes:
        name: Name of the data set.
        num_classes: Number of classes.
        sheet: Lattice shape of the neurons, for topologies that do not state their own.
        train_x: Training images [n, pixels], float32 in [0, 1].
        train_y: Training labels [n], int64.
        test_x: Test images [m, pixels], float32 in [0, 1].
        test_y: Test labels [m], int64.
    """

    name: str
    num_classes: int
    sheet: tuple[int, ...]
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor

    @functools.cached_property
    def checksum(self) -> str:
        """Checksum of images, labels, number of classes and sheet."""
        return checksum_of(
            [
                *(self.num_classes, tuple(self.sheet)),
                *(self.train_x, self.train_y, self.test_x, self.test_y),
            ]
        )

    def to(self, device: str) -> Images:
        """Return the same images and labels on a device."""
        parts = ("train_x", "train_y", "test_x", "test_y")
        return replace(self, **{part: getattr(self, part).to(device) for part in parts})


def load(name: str, folder: Path | None = None) -> Images:
    """Load a data set.

    Args:
        name: Key of :data:`DATASETS`: "digits", which is part of scikit-learn, "mnist" or
            "fashion-mnist".
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
    arguments.option("name", name, DATASETS)
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
        place = folder or (Path(os.environ[_VARIABLE]) if os.environ.get(_VARIABLE) else None)
        try:
            split = None if place is None else find(place, name)
        except ValueError as error:
            raise OptionError("data_dir", f"{error}; pass a folder with whole files") from None
        if split is None and folder is not None:
            raise OptionError(
                "data_dir",
                f"{folder} has no {name}; pass a folder with {_WANTED.format(name=name)}",
            )
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
    try:
        found = fetch_openml(openml_name, version=1, as_frame=False, parser="liac-arff")
    except (OSError, ValueError) as error:
        raise OptionError(
            "data_dir",
            f"{name} was not found, and OpenML could not be reached ({error}); pass a folder with "
            f"{_WANTED.format(name=name)}, name it in the environment variable {_VARIABLE}, or "
            "connect once, so that scikit-learn fetches and keeps the images",
        ) from None
    x = found.data.astype(np.uint8).reshape(-1, 28, 28)
    y = found.target.astype(np.uint8)
    return Split(x[:_TRAINING], y[:_TRAINING], x[_TRAINING:], y[_TRAINING:])


DATASETS: dict[str, Callable[[Path | None], Images]] = {
    "digits": _digits,
    "mnist": _mnist_like("mnist", "mnist_784"),
    "fashion-mnist": _mnist_like("fashion-mnist", "Fashion-MNIST"),
}
"""The loader of each data set by name; each takes the folder or None."""
