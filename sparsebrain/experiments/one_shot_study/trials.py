"""How well letters are read after one, two or five examples, and how well hiragana still are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsebrain.experiments.one_shot_study import memories, tuning
from sparsebrain.experiments.one_shot_study.backbone import Backbone, encode, train
from sparsebrain.experiments.one_shot_study.characters import Characters, Draw
from sparsebrain.experiments.one_shot_study.distortions import distort

EXAMPLES = (1, 2, 5)
"""The numbers of examples of each letter."""

PIXELS, BLURRED = "pixels", "blurred pixels"

_DRAWS, _TUNED_DRAWS = 10, 3
# Distorted copies of the known hiragana, and of an example that is seen once.
_COPIES, _IMAGINED = 2, 32
_BLUR = 2.0
# The share of known hiragana that may be taken for letters.
_MISTAKEN = 0.01
_MEMORIES: dict[str, memories.Memory] = {
    "fast weights, hebb": memories.hebb,
    "fast weights, delta": memories.delta,
    "nearest example": memories.nearest,
    "modern hopfield": memories.hopfield,
}
_BODY = "mushroom body"
_WITH_COPIES = f"fast weights, hebb, {_IMAGINED} distorted copies"


@dataclass(frozen=True)
class Trial:
    """What one system did in one draw of examples.

    Attributes:
        backbone: The topology, "none", "untrained" or the kind of pixels.
        readout: What learned the letters.
        examples: The number of examples of each letter.
        seed: The seed of the backbone and of the draws.
        draw: The number of the draw.
        letters: The accuracy on letters among the letters.
        letters_of_all: The accuracy on letters among letters and hiragana.
        hiragana_before: The accuracy on hiragana among the hiragana, before the letters.
        hiragana_after: The accuracy on hiragana among letters and hiragana, after the letters.
        hiragana_alone: The accuracy on hiragana among the hiragana, after the letters.
        seconds: The processor time of learning one letter.
        bytes: The memory that one letter takes, or that changes for it.
        settings: A checksum of everything that determines the trial.
    """

    backbone: str
    readout: str
    examples: int
    seed: int
    draw: int
    letters: float
    letters_of_all: float
    hiragana_before: float
    hiragana_after: float
    hiragana_alone: float
    seconds: float
    bytes: int
    settings: str = ""


class Parts(NamedTuple):
    """One tensor each for known hiragana, hiragana in new fonts, and letters."""

    known: Tensor
    test: Tensor
    letters: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> Parts:
        """Apply a function to each part."""
        return Parts(*map(function, self))


class Judged(NamedTuple):
    """Accuracies, as in :class:`Trial`."""

    letters: float
    letters_of_all: float
    hiragana_after: float
    hiragana_alone: float


class Read(NamedTuple):
    """How hiragana read images, without the letters.

    Attributes:
        best: The largest score of a hiragana.
        right: Whether the hiragana in new fonts are read [n].
    """

    best: Parts
    right: Tensor

    def asked(self, positions: Tensor) -> Read:
        """Return the same for some of the letters alone."""
        return self._replace(best=self.best._replace(letters=self.best.letters[positions]))


def read(characters: Characters, scores: Parts) -> Read:
    """Return how images are read, from hiragana scores [n, hiragana]."""
    return Read(scores.map(lambda each: each.amax(1)), scores.test.argmax(1) == characters.test_y)


def judge(answers: Tensor, letters: Parts, hiragana: Read) -> Judged:
    """Return the accuracies of letter scores [n, letters] beside hiragana.

    Among all characters a letter needs a score that exceeds those of hiragana by a margin, at which
    1 % of the known hiragana would be taken for letters. No new font is used for it.

    Args:
        answers: The letters of the questions [n].
        letters: The scores of letters; the last part are the questions.
        hiragana: How hiragana read the same images.
    """
    lead = letters.known.amax(1) - hiragana.best.known
    margin = torch.quantile(lead, 1 - _MISTAKEN)
    named = letters.letters.argmax(1) == answers
    is_letter = letters.letters.amax(1) > hiragana.best.letters + margin
    stays = letters.test.amax(1) <= hiragana.best.test + margin
    right = hiragana.right
    return Judged(*(_share(each) for each in (named, named & is_letter, right & stays, right)))


def pixels(characters: Characters, seed: int) -> Iterator[Trial]:
    """Compare letters as pixels, and as blurred pixels."""
    for name, change in ((PIXELS, torch.flatten), (BLURRED, blurred)):
        encoder = _Encoder(change)
        yield from _remember(name, encoder, characters, seed, {"nearest example": memories.nearest})


def untrained(backbone: Backbone, characters: Characters, seed: int) -> Iterator[Trial]:
    """Compare letters by the features of a backbone that was not trained."""
    backbone.eval()
    only = {"nearest example": memories.nearest}
    yield from _remember("untrained", backbone, characters, seed, only)


def trained(
    name: str, backbone: Backbone, characters: Characters, epochs: int, seed: int
) -> Iterator[Trial]:
    """Train a backbone on hiragana, and let it learn letters in every way."""
    head = train(backbone, characters.known_x, characters.known_y, epochs, seed)
    yield from _remember(name, backbone, characters, seed, _MEMORIES, brain=True)
    for examples, draw, number in _draws(seed, characters, _TUNED_DRAWS):
        for readout, everything in (("sgd, head", False), ("sgd, all layers", True)):
            before = encode(backbone, characters.test_x) @ functional.normalize(head.weight).T
            start = time.thread_time()
            tuned = tuning.tune(
                backbone, head, characters.letters_x[draw.shown], everything=everything, seed=number
            )
            seconds = time.thread_time() - start
            asked = characters.letters_x[draw.asked]
            images = Parts(characters.known_x, characters.test_x, asked)
            scores = images.map(lambda x, tuned=tuned: encode(tuned, x))  # type: ignore[misc]
            letters = scores.map(lambda x: x[:, len(head.weight) :])
            hiragana = read(characters, scores.map(lambda x: x[:, : len(head.weight)]))
            judged = judge(draw.answers, letters, hiragana)
            changed = tuned if everything else tuned[1]
            size = sum(each.nbytes for each in changed.parameters())
            yield _trial(
                name,
                readout,
                (examples, seed, number),
                judged,
                _share(before.argmax(1) == characters.test_y),
                (seconds / len(draw.shown), size),
            )


@torch.no_grad()
def _remember(
    name: str,
    encoder: nn.Module,
    characters: Characters,
    seed: int,
    chosen: Mapping[str, memories.Memory],
    *,
    brain: bool = False,
) -> Iterator[Trial]:
    """Store letters in memories on top of fixed features.

    Hiragana are read by the cosine with the mean feature of each class in the training fonts.
    """
    generator = torch.Generator().manual_seed(seed)
    x = characters.known_x
    copies = torch.cat([x, *(distort(x, generator) for _ in range(_COPIES))])
    known_y = characters.known_y.repeat(1 + _COPIES)
    images = Parts(copies, characters.test_x, characters.letters_x)
    features = images.map(lambda each: encode(encoder, each))
    spaces = {readout: (features, memory) for readout, memory in chosen.items()}
    if brain:
        body = memories.MushroomBody(features.test.size(1), generator)
        spaces[_BODY] = features.map(body), memories.average
    imagined = _imagine(encoder, characters.letters_x, generator) if brain else None
    olds = {}
    for readout, (found, _) in spaces.items():
        means = torch.zeros(characters.num_known, found.known.size(1))
        means = functional.normalize(means.index_add_(0, known_y, found.known), dim=1)
        scores = found.map(lambda each, means=means: each @ means.T)  # type: ignore[misc]
        olds[readout] = read(characters, scores)
    if imagined is not None:
        spaces[_WITH_COPIES] = features, memories.hebb
        olds[_WITH_COPIES] = olds["fast weights, hebb"]
    for examples, draw, number in _draws(seed, characters, _DRAWS):
        for readout, (found, memory) in spaces.items():
            shown = imagined if readout == _WITH_COPIES and imagined is not None else found.letters
            keys = shown[draw.shown]
            if readout == _WITH_COPIES:
                # All copies of all examples are one key.
                keys = functional.normalize(keys.mean(1, keepdim=True), dim=2)
            queries = found._replace(letters=found.letters[draw.asked])
            every = memory(keys, torch.cat(queries))
            new = Parts(*every.split([len(each) for each in queries]))
            judged = judge(draw.answers, new, olds[readout].asked(draw.asked))
            before = _share(olds[readout].right)
            cost = _cost(encoder, characters.letters_x[draw.shown], readout, keys)
            yield _trial(name, readout, (examples, seed, number), judged, before, cost)


def _imagine(encoder: nn.Module, letters: Tensor, generator: torch.Generator) -> Tensor:
    """Return the mean features of distorted copies of each letter, of length 1."""
    total = sum(encode(encoder, distort(letters, generator)) for _ in range(_IMAGINED))
    assert isinstance(total, Tensor)
    return functional.normalize(total, dim=1)


def _cost(encoder: nn.Module, images: Tensor, readout: str, keys: Tensor) -> tuple[float, int]:
    """Return the seconds of learning one letter from its images [e, H, W], and its bytes."""
    start = time.thread_time()
    seen = images[0]
    if readout == _WITH_COPIES:
        seen = distort(seen.repeat(_IMAGINED, 1, 1), torch.Generator().manual_seed(0))
    encode(encoder, seen)
    size = keys[0].nbytes
    if readout.startswith("fast weights"):
        rule = "delta" if "delta" in readout else "hebb"
        memory = memories.stored(keys[:1], rule)
        assert memory.keys is not None
        assert memory.errors is not None
        size = memory.keys.nbytes + memory.errors.nbytes
    return time.thread_time() - start, size


def _draws(seed: int, characters: Characters, number: int) -> Iterator[tuple[int, Draw, int]]:
    for examples in EXAMPLES:
        for each in range(number):
            random = np.random.default_rng([seed, examples, each])
            yield examples, Draw(characters, examples, random), each


def _trial(
    backbone: str,
    readout: str,
    which: tuple[int, int, int],
    judged: Judged,
    before: float,
    cost: tuple[float, int],
) -> Trial:
    return Trial(
        backbone=backbone,
        readout=readout,
        examples=which[0],
        seed=which[1],
        draw=which[2],
        **judged._asdict(),
        hiragana_before=before,
        seconds=cost[0],
        bytes=cost[1],
    )


def blurred(images: Tensor) -> Tensor:
    """Return images [n, H, W] after a Gaussian filter of 2 pixels."""
    place = torch.arange(-6, 7, dtype=images.dtype)
    kernel = torch.exp(-(place**2) / (2 * _BLUR**2))
    kernel = kernel / kernel.sum()
    rows = functional.conv2d(images.unsqueeze(1), kernel.view(1, 1, 1, -1), padding=(0, 6))
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1), padding=(6, 0)).squeeze(1)


class _Encoder(nn.Module):
    """Pixels as features of length 1, after a function of the images."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, images: Tensor) -> Tensor:
        return functional.normalize(self.change(images).reshape(len(images), -1), dim=1)


def _share(right: Tensor) -> float:
    return float(right.double().mean())
