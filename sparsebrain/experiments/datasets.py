"""Labelled images, split into training and test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from sparsebrain.options import check_choice


@dataclass(frozen=True, eq=False)
class Images:
    """A data set held in memory.

    ``train_x`` and ``test_x`` are [n, pixels] float32 in [0, 1], ``train_y`` and ``test_y`` [n]
    int64. ``sheet`` is the lattice of neurons that topologies take where none is given.
    """

    name: str
    num_classes: int
    sheet: tuple[int, ...]
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def load(name: str) -> Images:
    """Load a data set of :data:`DATASETS`; ValueError for any other name."""
    check_choice("data", name, DATASETS)
    return DATASETS[name]()


def _digits() -> Images:
    """scikit-learn's 1797 handwritten digits of 8x8 pixels, split 4 to 1, always in the same way.

    Twice as many neurons as pixels each way, 16x16: on 8x8 no window and no even number of
    neighbours have synapse counts within 2 % of each other.
    """
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
    train_x, test_x = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    train_y, test_y = (torch.tensor(part, dtype=torch.int64) for part in parts[2:])
    return Images("digits", 10, (16, 16), train_x, train_y, test_x, test_y)


DATASETS: dict[str, Callable[[], Images]] = {"digits": _digits}
"""Every data set by name."""
