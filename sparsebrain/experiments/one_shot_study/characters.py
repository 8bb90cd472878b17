"""The characters of the study: known hiragana, and letters that are seen for the first time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

SIDE = 28
HIRAGANA = 46
LETTERS = 26
FONTS = 8
"""The number of fonts of test images."""

_DEEPEST = 15


@dataclass(frozen=True, eq=False)
class Characters:
    """Images [n, 28, 28], float32 from 0 to 1, with their classes [n], int64.

    Attributes:
        known_x: Hiragana for training.
        known_y: Their classes, 0 to 45.
        test_x: Hiragana in fonts that are not in ``known_x``.
        test_y: Their classes.
        letters_x: Capitals in the same fonts as ``test_x``.
        letters_y: Their classes, 0 to 25.
        letters_font: The font of each letter [n], int64, 0 to 7.
    """

    known_x: Tensor
    known_y: Tensor
    test_x: Tensor
    test_y: Tensor
    letters_x: Tensor
    letters_y: Tensor
    letters_font: Tensor


class Draw:
    """The examples of one draw and the letters that are asked afterwards.

    Every letter is shown in ``examples`` fonts, drawn at random, and asked in all others.

    Attributes:
        shown: Positions in ``letters_x`` of the examples [26, examples].
        asked: Positions of the questions [n].
    """

    def __init__(self, characters: Characters, examples: int, random: np.random.Generator) -> None:
        font, letter = characters.letters_font.numpy(), characters.letters_y.numpy()
        asked = np.ones(len(font), dtype=bool)
        shown = []
        for each in range(LETTERS):
            for chosen in random.choice(FONTS, examples, replace=False):
                images = np.flatnonzero((letter == each) & (font == chosen))
                shown.append(images[random.integers(len(images))])
                asked[images] = False
        self.shown = torch.tensor(np.array(shown)).reshape(LETTERS, examples)
        self.asked = torch.tensor(np.flatnonzero(asked))


@functools.cache
def load() -> Characters:
    """Load the characters in the package, which ``examples/one_shot/render.py`` made."""
    packed = files("sparsebrain.experiments.one_shot_study").joinpath("data", "characters.npz")
    with packed.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        found = {
            name: torch.tensor(arrays[name].astype(np.int64))
            for name in arrays.files
            if not name.endswith("names")
        }
    known, test = found["train_characters"], found["test_characters"]
    train_x, test_x = (found[f"{part}_images"].float() / _DEEPEST for part in ("train", "test"))
    is_letter = test >= HIRAGANA
    return Characters(
        known_x=train_x,
        known_y=known,
        test_x=test_x[~is_letter],
        test_y=test[~is_letter],
        letters_x=test_x[is_letter],
        letters_y=test[is_letter] - HIRAGANA,
        letters_font=found["test_fonts"][is_letter],
    )
