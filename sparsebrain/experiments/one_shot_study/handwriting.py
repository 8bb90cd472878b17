"""Known and new characters from published handwriting and from files of the user."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsebrain.experiments.datasets import find_images, from_openml
from sparsebrain.experiments.image_files import Split, read_arrays, read_idx
from sparsebrain.experiments.one_shot_study import characters
from sparsebrain.experiments.one_shot_study.characters import SIDE, Characters
from sparsebrain.experiments.one_shot_study.sources import DATASETS, Source
from sparsebrain.experiments.options import OptionError

# About twice as many images as the package has for training, but 48 of each class at least.
_TRAINING, _TRAINING_OF_CLASS = 4800, 48
# As many as the package has of each class.
_TEST_OF_CLASS = 32
# A class is shown in 5 images and asked in another one.
_LEAST = 6
_MOST_KNOWN, _MOST_LETTERS = 1000, 100
_WHOLE, _PARTS = ("images", "labels"), ("x_train", "y_train", "x_test", "y_test")
_FORMAT = (
    "pass an .npz file of uint8 images [n, 28, 28] and integer labels [n], or the file of images "
    "of an IDX pair"
)


class Samples(NamedTuple):
    """Labeled images.

    Attributes:
        x: Images [n, 28, 28], uint8; the background is 0.
        y: Labels [n], integers.
        is_test: Which images are not for training [n]; None if this is not stated.
    """

    x: NDArray[np.uint8]
    y: NDArray[Any]
    is_test: NDArray[np.bool_] | None


def load(sources: Sequence[Source], folder: Path | None = None) -> Characters:
    """Return the characters of the package, with the known or the new ones replaced.

    Of the known characters about 4800 images are used for training, the same number of each class,
    and 32 of each class for testing; of new characters 32 images of each class, whose writers are
    not told apart. The choice is always the same.

    Args:
        sources: At most one for known and one for new characters.
        folder: The folder with the files of data sets; None for that in the environment variable
            SPARSEBRAIN_DATA. Without it, or if it lacks the files, images come from OpenML.

    Raises:
        OptionError: Images are missing, damaged or too few.
    """
    found = characters.load()
    for source in sources:
        if source.path is None:
            samples = _published(source.name, folder)
            name = source.name
        else:
            samples = read(source.path)
            name = source.path.stem
        random = np.random.default_rng(0)
        change = _known if source.role == "known" else _letters
        found = change(found, samples, name, random)
    return found


def _published(name: str, folder: Path | None) -> Samples:
    """Return a data set from files or from OpenML."""
    known = DATASETS[name]
    split = find_images(name, folder, known.files, classes=known.classes)
    if split is not None:
        return _joined(split, name)
    x, y = from_openml(name, known.openml_name, known.files)
    chosen = (known.first <= y) & (y <= known.last)
    x, y = x[chosen], y[chosen]
    if known.training is None:
        # All of EMNIST has rows and columns exchanged.
        return _checked(Samples(x.transpose(0, 2, 1), y, None), name)
    is_test = np.arange(len(x)) >= known.training
    return _checked(Samples(x, y, is_test if is_test.any() else None), name)


def read(path: Path) -> Samples:
    """Read labeled images from a file.

    Args:
        path: An .npz archive with "images" and "labels", or with "x_train", "y_train", "x_test" and
            "y_test"; or an IDX file of images, plain or gzipped, with the file of labels beside it,
            whose name has "labels" and "idx1" in place of "images" and "idx3".

    Raises:
        OptionError: The file is damaged, or its arrays do not fit.
    """
    try:
        if path.suffix == ".npz":
            arrays = read_arrays(path, _WHOLE, _PARTS)
            if len(arrays) == len(_PARTS):
                return _joined(Split(*arrays.values()), str(path))
            samples = Samples(arrays["images"], arrays["labels"], None)
        else:
            labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
            if labels == path or not labels.is_file():
                raise OptionError(
                    "data",
                    f"{path} is no .npz file, and no IDX file of images with one of labels beside "
                    f"it; {_FORMAT}",
                )
            samples = Samples(read_idx(path), read_idx(labels), None)
    except ValueError as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError("data", f"{str(error).rstrip('.')}, or {_FORMAT}") from None
    return _checked(samples, str(path))


def _joined(split: Split, where: str) -> Samples:
    parts = [
        _checked(Samples(split.train_x, split.train_y, None), where),
        _checked(Samples(split.test_x, split.test_y, None), where),
    ]
    is_test = np.repeat([False, True], [len(each.y) for each in parts])
    return Samples(
        np.concatenate([each.x for each in parts]),
        np.concatenate([each.y for each in parts]),
        is_test,
    )


def _checked(samples: Samples, where: str) -> Samples:
    """Return images and labels that fit.

    Raises:
        OptionError: A dtype or shape is wrong.
    """
    x, y = samples.x, samples.y
    if x.dtype != np.uint8 or x.ndim != 3 or x.shape[1:] != (SIDE, SIDE):
        raise OptionError(
            "data",
            f"the images of {where} must be uint8 [n, {SIDE}, {SIDE}], got {x.dtype} "
            f"{list(x.shape)}; {_FORMAT}",
        )
    if y.dtype.kind not in "iu" or y.shape != (len(x),):
        raise OptionError(
            "data",
            f"the labels of {where} must be integers [{len(x)}], one for each image, got {y.dtype} "
            f"{list(y.shape)}; {_FORMAT}",
        )
    return samples


def _known(
    found: Characters, samples: Samples, name: str, random: np.random.Generator
) -> Characters:
    """Return characters with other known ones."""
    y, labels = _classes(samples.y, name, _MOST_KNOWN)
    is_test = samples.is_test
    if is_test is None:
        held = _drawn(y, np.ones(len(y), dtype=bool), None, random, share=0.2)
        is_test = np.zeros(len(y), dtype=bool)
        is_test[held] = True
    for part, chosen in (("training", ~is_test), ("testing", is_test)):
        missing = np.bincount(y[chosen], minlength=len(labels)) == 0
        if missing.any():
            raise OptionError(
                "data",
                f"the class {labels[missing][0]} of {name} has no image for {part}; leave the "
                "class out, or pass more images of it",
            )
    most = max(_TRAINING_OF_CLASS, _TRAINING // len(labels))
    train = _drawn(y, ~is_test, most, random)
    test = _drawn(y, is_test, _TEST_OF_CLASS, random)
    return replace(
        found,
        known_x=_images(samples.x[train]),
        known_y=torch.tensor(y[train]),
        test_x=_images(samples.x[test]),
        test_y=torch.tensor(y[test]),
        known_name=name,
    )


def _letters(
    found: Characters, samples: Samples, name: str, random: np.random.Generator
) -> Characters:
    """Return characters with other new ones."""
    y, labels = _classes(samples.y, name, _MOST_LETTERS)
    counts = np.bincount(y)
    if counts.min() < _LEAST:
        raise OptionError(
            "data",
            f"{name} must have at least {_LEAST} images of each new character, 5 to show and one "
            f"to ask, but the class {labels[counts.argmin()]} has {counts.min()}; leave the class "
            "out, or pass more images of it",
        )
    chosen = _drawn(y, np.ones(len(y), dtype=bool), _TEST_OF_CLASS, random)
    return replace(
        found,
        letters_x=_images(samples.x[chosen]),
        letters_y=torch.tensor(y[chosen]),
        letters_font=torch.arange(len(chosen)),
        letters_name=name,
    )


def _classes(y: NDArray[Any], name: str, most: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return classes from 0 and the label of each, if there are 2 to `most`."""
    labels, numbers = np.unique(y, return_inverse=True)
    if not 2 <= len(labels) <= most:
        raise OptionError(
            "data",
            f"{name} must have 2 to {most} classes, got {len(labels)}; pass images of such a "
            "number of characters",
        )
    return numbers, labels


def _drawn(
    y: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    most: int | None,
    random: np.random.Generator,
    *,
    share: float = 1.0,
) -> NDArray[np.int64]:
    """Return the positions of a share of each class, drawn at random, at most ``most`` of each."""
    chosen = []
    for each in range(int(y.max()) + 1):
        own = random.permutation(np.flatnonzero((y == each) & allowed))
        size = math.ceil(share * len(own))
        chosen.append(own[: min(size, most or size)])
    return np.sort(np.concatenate(chosen))


def _images(x: NDArray[np.uint8]) -> Tensor:
    return torch.tensor(x).float() / 255
