"""The images of a training, and what is done about unbalanced classes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from sparsebrain.experiments.datasets import load_once
from sparsebrain.experiments.error_diffusion_study.settings import BASE, Setting

_DIGITS = (4, 9)


class Samples(NamedTuple):
    """Images and labels for training and testing.

    Attributes:
        x: Training images [n, pixels].
        y: Their labels [n]; 1 is a 9 where the classes are two.
        test_x: Test images [m, pixels], never unbalanced.
        test_y: Their labels [m].
        num_classes: The number of classes.
    """

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    num_classes: int

    @property
    def share(self) -> float:
        """The share of class 1 in the training images."""
        return float((self.y == 1).float().mean())

    @property
    def class_weights(self) -> Tensor:
        """The weight of each class [num_classes], with a mean of 1 over the training images."""
        counts = torch.bincount(self.y, minlength=self.num_classes)
        return len(self.y) / (self.num_classes * counts)


def data_of(setting: Setting) -> str:
    """Return the name of the data set of a setting."""
    return "mnist" if setting.task == BASE.task else setting.task


def load_samples(setting: Setting, data_dir: Path | None) -> Samples:
    """Load the images of a setting.

    Args:
        setting: The setting; its seed determines which images are left out.
        data_dir: Folder of the files of MNIST.
    """
    images = load_once(data_of(setting), data_dir, checksum=setting.images_checksum)
    if setting.task != BASE.task:
        everything = images.train_x, images.train_y, images.test_x, images.test_y
        return Samples(*everything, images.num_classes)
    x, y = _of_digits(images.train_x, images.train_y)
    kept = _unbalance(y, setting.imbalance, torch.Generator().manual_seed(setting.seed))
    return Samples(x[kept], y[kept], *_of_digits(images.test_x, images.test_y), num_classes=2)


def order_of(samples: Samples, remedy: str, generator: torch.Generator) -> Tensor:
    """Return the order of the samples in an epoch [n], with repetitions if they are resampled."""
    count = len(samples.y)
    if remedy != "resampling":
        return torch.randperm(count, generator=generator)
    weights = samples.class_weights[samples.y]
    return torch.multinomial(weights, count, replacement=True, generator=generator)


def _of_digits(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    first, second = _DIGITS
    chosen = (y == first) | (y == second)
    return x[chosen], (y[chosen] == second).long()


def _unbalance(y: Tensor, imbalance: int, generator: torch.Generator) -> Tensor:
    """Return which samples are kept: all of class 0, and one of class 1 for ``imbalance`` each."""
    if imbalance == 1:
        return torch.arange(len(y))
    frequent, rare = (y == 0).nonzero().flatten(), (y == 1).nonzero().flatten()
    drawn = torch.randperm(len(rare), generator=generator)[: max(1, len(frequent) // imbalance)]
    return torch.cat([frequent, rare[drawn]]).sort().values
