"""Omniglot as published: characters of 50 alphabets, each drawn once by 20 people.

B. M. Lake, R. Salakhutdinov, J. B. Tenenbaum, "Human-level concept learning through probabilistic
program induction", Science 350 (2015).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sparsebrain.experiments.one_shot_study.characters import SIDE, Characters
from sparsebrain.experiments.options import OptionError

WAYS = 20
"""The number of characters of one alphabet that are learned together."""

_BACKGROUND, _EVALUATION = "images_background", "images_evaluation"
_DRAWERS, _TEST_DRAWERS = 20, 5
_SIDE = 105
# The share of each of the 28 intervals that each of the 105 pixels covers.
_STARTS = np.arange(SIDE)[:, None] * (_SIDE / SIDE)
_ENDS = np.minimum(_STARTS + _SIDE / SIDE, np.arange(_SIDE) + 1)
_OVERLAP = np.maximum(_ENDS - np.maximum(_STARTS, np.arange(_SIDE)), 0) * (SIDE / _SIDE)
# Twice as many as published.
_MOST_CHARACTERS = 2000
_FIX = (
    "pass the folder in which images_background.zip and images_evaluation.zip of Omniglot were "
    "extracted"
)


def load(folder: Path) -> Characters:
    """Return the background set as known and the evaluation set as new characters.

    Of the 20 people who drew a character of the background set, the last 5 are for testing. A draw
    consists of 20 characters of one alphabet of the evaluation set. Images are reduced from
    105 x 105 to 28 x 28 pixels, each the mean of the area that it covers, and scaled so that the
    darkest pixel is 1.

    Args:
        folder: The folder with ``images_background`` and ``images_evaluation``, each with folders
            ``ALPHABET/CHARACTER`` of 20 PNG files that end in ``_01.png`` to ``_20.png``.

    Raises:
        OptionError: Folders or images are missing, damaged or of another size.
    """
    known_x, known_y, drawer, _ = _read(folder / _BACKGROUND)
    letters_x, letters_y, font, alphabet = _read(folder / _EVALUATION)
    if int(alphabet.bincount().max()) < WAYS:
        raise OptionError(
            "omniglot",
            f"{folder / _EVALUATION} must have an alphabet of at least {WAYS} characters, got "
            f"{int(alphabet.bincount().max())}; {_FIX}",
        )
    is_test = drawer >= _DRAWERS - _TEST_DRAWERS
    return Characters(
        known_x=known_x[~is_test],
        known_y=known_y[~is_test],
        test_x=known_x[is_test],
        test_y=known_y[is_test],
        letters_x=letters_x,
        letters_y=letters_y,
        letters_font=font,
        known_name="omniglot background",
        letters_name="omniglot characters",
        alphabet=alphabet,
        ways=WAYS,
    )


def _read(folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images, their classes and drawers, and the alphabet of each class."""
    images: list[NDArray[np.float32]] = []
    alphabets: list[int] = []
    for number, alphabet in enumerate(_folders(folder)):
        for character in _folders(alphabet):
            if len(alphabets) == _MOST_CHARACTERS:
                raise OptionError(
                    "omniglot",
                    f"{folder} must have at most {_MOST_CHARACTERS} characters, got more; {_FIX}",
                )
            images += [_image(each) for each in _drawings(character)]
            alphabets.append(number)
    classes = torch.arange(len(alphabets)).repeat_interleave(_DRAWERS)
    drawers = torch.arange(_DRAWERS).repeat(len(alphabets))
    return torch.tensor(np.stack(images)), classes, drawers, torch.tensor(alphabets)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, in alphabetical order; hidden ones do not count."""
    found = []
    if folder.is_dir():
        found = sorted(
            each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
        )
    if not found:
        state = "has no folders" if folder.is_dir() else "is not there"
        raise OptionError("omniglot", f"{folder} {state}; {_FIX}")
    return found


def _drawings(folder: Path) -> list[Path]:
    """Return the images of a character, in the order of the drawers."""
    found = sorted(each for each in folder.glob("*.png") if not each.name.startswith("."))
    endings = [f"_{drawer:02}" for drawer in range(1, _DRAWERS + 1)]
    if [each.stem[-3:] for each in found] != endings:
        raise OptionError(
            "omniglot",
            f"{folder} must have {_DRAWERS} PNG files that end in _01.png to _{_DRAWERS}.png, got "
            f"{len(found)} files; {_FIX}",
        )
    return found


def _image(path: Path) -> NDArray[np.float32]:
    """Return a drawing [28, 28] with ink 1 and paper 0."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images before it decodes them.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as image:
                size = image.size
                if size == (_SIDE, _SIDE):
                    paper = np.asarray(image.convert("L"), dtype=np.float32)
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise OptionError("omniglot", f"{path} cannot be read ({error}); {_FIX}") from None
    if size != (_SIDE, _SIDE):
        raise OptionError(
            "omniglot",
            f"{path} must have {_SIDE} x {_SIDE} pixels, got {size[0]} x {size[1]}; {_FIX}",
        )
    ink = _OVERLAP @ (1 - paper / 255) @ _OVERLAP.T
    return np.divide(ink, max(ink.max(), 1 / 255), dtype=np.float32)
