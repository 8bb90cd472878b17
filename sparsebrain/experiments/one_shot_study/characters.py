"""The characters of the study: known hiragana, and letters that are seen for the first time."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparsebrain.experiments.checksums import checksum_of

SIDE = 28

_HIRAGANA = 46
_DEEPEST = 15


@dataclass(frozen=True, eq=False)
class Characters:
    """Images [n, 28, 28], float32 from 0 to 1, with their classes [n], int64.

    The known characters are called hiragana here and in the tables, and the new ones letters,
    whatever they are.

    Attributes:
        known_x: Hiragana for training.
        known_y: Their classes, from 0.
        test_x: Hiragana in fonts, or by writers, that are not in ``known_x``.
        test_y: Their classes.
        letters_x: Letters; those of the package are capitals in the same fonts as ``test_x``.
        letters_y: Their classes, from 0.
        letters_font: The font of each letter [n], int64, from 0, or its writer. If writers are
            unknown, each image has a number of its own.
        known_name: What the hiragana are.
        letters_name: What the letters are.
        alphabet: The alphabet of each class of letters [classes], int64. If there are several
            alphabets, a draw consists of ``ways`` letters of one of them.
        ways: The number of letters in a draw; None for all.
    """

    known_x: Tensor
    known_y: Tensor
    test_x: Tensor
    test_y: Tensor
    letters_x: Tensor
    letters_y: Tensor
    letters_font: Tensor
    known_name: str = "hiragana"
    letters_name: str = "letters"
    alphabet: Tensor | None = None
    ways: int | None = None

    @property
    def num_known(self) -> int:
        """The number of classes of hiragana."""
        return int(self.known_y.max()) + 1

    @property
    def num_letters(self) -> int:
        """The number of letters that are learned together."""
        return self.ways or int(self.letters_y.max()) + 1

    @functools.cached_property
    def checksum(self) -> str:
        """The checksum of images and classes."""
        return checksum_of([getattr(self, field.name) for field in fields(self)])

    def choose(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Return the classes of letters of one draw."""
        every = np.arange(int(self.letters_y.max()) + 1)
        if self.ways is None:
            return every
        alphabet = np.zeros_like(every) if self.alphabet is None else self.alphabet.numpy()
        large = np.flatnonzero(np.bincount(alphabet) >= self.ways)
        return random.choice(every[alphabet == random.choice(large)], self.ways, replace=False)


class Draw:
    """The examples of one draw and the letters that are asked afterwards.

    Every letter is shown in ``examples`` fonts, drawn at random, and asked in all others.

    Attributes:
        shown: Positions in ``letters_x`` of the examples [letters, examples].
        asked: Positions of the questions [n].
        answers: The letters of the questions [n], numbered as in ``shown``.
    """

    def __init__(self, characters: Characters, examples: int, random: np.random.Generator) -> None:
        font, letter = characters.letters_font.numpy(), characters.letters_y.numpy()
        answers = np.full(len(font), -1)
        shown = []
        for number, each in enumerate(characters.choose(random)):
            answers[letter == each] = number
            for chosen in random.choice(np.unique(font[letter == each]), examples, replace=False):
                images = np.flatnonzero((letter == each) & (font == chosen))
                shown.append(images[random.integers(len(images))])
                answers[images] = -1
        self.shown = torch.tensor(np.array(shown)).reshape(-1, examples)
        asked = np.flatnonzero(answers >= 0)
        self.asked, self.answers = torch.tensor(asked), torch.tensor(answers[asked])


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
    is_letter = test >= _HIRAGANA
    return Characters(
        known_x=train_x,
        known_y=known,
        test_x=test_x[~is_letter],
        test_y=test[~is_letter],
        letters_x=test_x[is_letter],
        letters_y=test[is_letter] - _HIRAGANA,
        letters_font=found["test_fonts"][is_letter],
    )
