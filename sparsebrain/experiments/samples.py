"""Samples with labels, divided into a training and a test set."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from graphs import arguments, tensors
from sparsebrain.experiments.checksums import checksum_of
from sparsebrain.experiments.lattices import lattice

_PAIR = "pass data=(x, y) with samples x and labels y"


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


def images_of(data: Any) -> Images:
    """Return samples as a data set of a comparison.

    Args:
        data: ``(x, y)`` with samples x, an array or tensor [n, ...] of real numbers, and labels y
            [n] of any type; a fifth of each class becomes the test set, always the same. Or
            ``(train, test)``, each a pair ``(x, y)`` or a ``torch.utils.data.Dataset`` of such
            pairs. Or one Dataset, or :class:`Images`. Samples [n, height, width] are images, whose
            size is the sheet of neurons; others are put on the lattice that is nearest to a
            square. Values are not scaled.

    Raises:
        TypeError: ``data`` is none of these.
        ValueError: Shapes do not fit, values are not finite, or there are too few samples.
    """
    if isinstance(data, Images):
        _check(data)
        return data
    if isinstance(data, Dataset):
        data = _stacked(data)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"data must be a name or a pair, got {arguments.described(data)}; {_PAIR}")
    first, second = data
    if all(isinstance(each, Dataset) or _is_pair(each) for each in data):
        parts = [_stacked(each) if isinstance(each, Dataset) else each for each in data]
        (train_x, train_y), (test_x, test_y) = map(_checked, parts)
    else:
        x, y = _checked((first, second))
        counts = np.unique(y, return_counts=True)[1]
        if min(counts, default=0) < 2:
            raise ValueError(
                "y must have at least two samples of each class, so that one of them tests; pass "
                "data=((train_x, train_y), (test_x, test_y)) to divide them yourself"
            )
        tests = _test_samples(y)
        train_x, test_x, train_y, test_y = x[~tests], x[tests], y[~tests], y[tests]
    if train_x.shape[1:] != test_x.shape[1:]:
        raise ValueError(
            f"samples for training have the shape {train_x.shape[1:]} and those for tests "
            f"{test_x.shape[1:]}; pass samples of one shape"
        )
    shape = train_x.shape[1:]
    sheet = tuple(shape) if len(shape) == 2 else lattice(math.prod(shape), ())
    classes, codes = np.unique(np.concatenate([train_y, test_y]), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must have at least two classes, got {len(classes)}; {_PAIR}")
    x_parts = [torch.tensor(each).flatten(1) for each in (train_x, test_x)]
    labels = torch.tensor(codes, dtype=torch.int64).split([len(train_y), len(test_y)])
    return Images("data", len(classes), sheet, x_parts[0], labels[0], x_parts[1], labels[1])


def _test_samples(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which samples test: a fifth of each class, and at least one."""
    rng = np.random.default_rng(0)
    tests = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        tests[members[: max(1, round(len(members) / 5))]] = True
    return tests


def _is_pair(part: Any) -> bool:
    """Return whether a part is (x, y), and not the samples x as a list."""
    return isinstance(part, tuple | list) and len(part) == 2 and np.ndim(part[0]) > 1


def _stacked(data: Dataset[Any]) -> tuple[Any, Any]:
    try:
        pairs = [data[number] for number in range(len(data))]  # type: ignore[arg-type]
        x = np.stack([np.asarray(sample) for sample, _ in pairs])
        return x, np.array([_label(label) for _, label in pairs])
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"data must be a Dataset of pairs of a sample and a label: {error}; {_PAIR}"
        ) from None


def _label(label: Any) -> Any:
    return label.item() if isinstance(label, Tensor | np.ndarray) else label


def _checked(pair: Any) -> tuple[Any, Any]:
    """Return samples [n, ...] as float32 and labels [n] as arrays."""
    if len(pair) != 2:
        raise ValueError(f"data must have pairs of samples and labels, got {len(pair)}; {_PAIR}")
    x, y = map(_array, ("x", "y"), pair)
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y) or not x.size:
        raise ValueError(
            f"x must be [n, ...] and y [n], got the shapes {x.shape} and {y.shape}; {_PAIR}"
        )
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32) if x.dtype.kind in "biuf" else np.array(np.nan)
    if not np.isfinite(narrow).all():
        raise ValueError(
            f"x must hold real numbers that are finite in float32, got {x.dtype}; {_PAIR}"
        )
    if y.dtype.kind == "f" and not (y == np.floor(y)).all():
        raise ValueError(
            "y must hold labels of classes, which a comparison counts as right or wrong, got "
            "fractions; pass classes, or train a rule by itself, Backprop(model, loss='mse')"
        )
    if y.dtype.kind not in "biufUSO":
        raise ValueError(f"y must hold labels of classes, got {y.dtype}; {_PAIR}")
    return narrow, y


def _array(name: str, values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array: {error}; {_PAIR}") from None


def _check(images: Images) -> None:
    """Refuse images that a training cannot use.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A field has the wrong shape or values.
    """
    fix = "pass data=(x, y), which is converted"
    classes = arguments.count("data.num_classes", images.num_classes, at_least=2)
    width: int | None = None
    for part in ("train", "test"):
        x_name, y_name = f"data.{part}_x", f"data.{part}_y"
        shape = (f"n_{part}", "features" if width is None else width)
        x = tensors.tensor(
            x_name,
            getattr(images, f"{part}_x"),
            shape,
            dtypes=(torch.float32,),
            finite=True,
            fix=fix,
        )
        width = x.size(1)
        y = tensors.tensor(
            y_name, getattr(images, f"{part}_y"), (len(x),), dtypes=(torch.int64,), fix=fix
        )
        if not len(y) or int(y.min()) < 0 or int(y.max()) >= classes:
            raise ValueError(
                f"{y_name} must hold at least one label, and labels from 0 to "
                f"data.num_classes - 1 = {classes - 1}; {fix}"
            )
