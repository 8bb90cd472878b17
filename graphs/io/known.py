"""A vectorized hash table of texts that were already converted to numbers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graphs import compiled
from graphs.io.cells import OddError, Words, raw

Numbers = NDArray[np.int64]

# Limits searches, because texts that are chosen to collide could make them as long as the table.
_MOST_STEPS = 100
_FEWEST_SLOTS = 2**12
# The number of slots per text, at least.
_SLOTS_PER_TEXT = 4
# Odd numbers with random digits, one for each word of a text, and one to mix their sum.
_FACTORS = np.array(
    [
        *(0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93),
        *(0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3),
    ],
    dtype=np.uint64,
)
_MIXER = np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)


class Known:
    """A hash table from texts to numbers, which converts each text once.

    Args:
        convert: Returns the numbers of new texts, which differ from each other and have the order
            of their first rows.
        exact: Whether blanks around a text belong to it.
    """

    def __init__(self, convert: Callable[[tuple[str, ...]], Numbers], *, exact: bool) -> None:
        self._convert = convert
        self._exact = exact
        # The place of a text in the next two arrays, or -1, by hash.
        self._slots = np.full(_FEWEST_SLOTS, -1, dtype=np.int32)
        self._words: Words = np.zeros((_FEWEST_SLOTS // _SLOTS_PER_TEXT, 1), dtype=np.uint64)
        self._numbers = np.zeros(len(self._words), dtype=np.int64)
        self._count = 0

    def numbers(self, words: Words) -> Numbers:
        """Return the number of each text.

        Args:
            words: The texts, see `Cells.words`.

        Raises:
            OddError: The table cannot distinguish the texts.
            ValueError: A text cannot be converted.
        """
        width = self._words.shape[1]
        if words.shape[1] > width:
            self._words = _widened(self._words, words.shape[1])
        else:
            words = _widened(words, width)
        hashes = _hashes(words)
        places = self._find(words, hashes)
        new = np.flatnonzero(places < 0)
        if new.size:
            places[new] = self._add(words[new], hashes[new])
        return self._numbers[places]

    def _home(self, hashes: Words) -> Numbers:
        """Return the first slot of the search for each text."""
        bits = len(self._slots).bit_length() - 1
        return (hashes >> np.uint64(64 - bits)).astype(np.int64)

    def _find(self, words: Words, hashes: Words) -> NDArray[np.int32]:
        """Return the place of each text, or -1."""
        helpers = compiled.module()
        if helpers is not None:
            given = (np.ascontiguousarray(words), hashes[:, np.newaxis], self._words, self._slots)
            try:
                found: NDArray[np.int32] = helpers.find(*given, _MOST_STEPS)
            except ValueError as error:
                raise OddError from error
            return found
        slots = self._home(hashes)
        places = self._slots[slots]
        left = np.flatnonzero((places >= 0) & ~self._same(places, words))
        for _ in range(_MOST_STEPS):
            if not left.size:
                return places
            slots[left] = (slots[left] + 1) % len(self._slots)
            places[left] = here = self._slots[slots[left]]
            left = left[(here >= 0) & ~self._same(here, words[left])]
        raise OddError

    def _same(self, places: NDArray[np.int32], words: Words) -> NDArray[np.bool_]:
        """Return whether each place has the text."""
        same = self._words[places, 0] == words[:, 0]
        for at in range(1, words.shape[1]):
            same &= self._words[places, at] == words[:, at]
        return same

    def _add(self, words: Words, hashes: Words) -> NDArray[np.int64]:
        """Convert texts that are not in the table and may repeat, and return their places."""
        found, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        if not np.array_equal(words[first][inverse], words):
            raise OddError
        order = np.argsort(first)
        kept = words[first[order]]
        texts = (each.decode("utf-8", "surrogatepass") for each in raw(kept).tolist())
        numbers = self._convert(tuple(texts if self._exact else map(str.strip, texts)))
        start, self._count = self._count, self._count + len(found)
        if self._count > len(self._numbers):
            self._grow(start)
        self._words[start : self._count] = kept
        self._numbers[start : self._count] = numbers
        self._insert(hashes[first[order]], start)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(start, self._count)
        return rank[inverse]

    def _grow(self, used: int) -> None:
        """Make room for `_count` texts, of which the first `used` are in the table."""
        length = len(self._numbers)
        while length < self._count:
            length *= 2
        extra = length - len(self._numbers)
        self._words = np.pad(self._words, ((0, extra), (0, 0)))
        self._numbers = np.pad(self._numbers, (0, extra))
        self._slots = np.full(_SLOTS_PER_TEXT * length, -1, dtype=np.int32)
        self._insert(_hashes(self._words[:used]), 0)

    def _insert(self, hashes: Words, start: int) -> None:
        """Enter texts with places from `start` on."""
        places = np.arange(start, start + len(hashes), dtype=np.int32)
        slots = self._home(hashes)
        for _ in range(_MOST_STEPS):
            if not places.size:
                return
            free = self._slots[slots] < 0
            # If several texts have the same slot, the last one gets it.
            self._slots[slots[free]] = places[free]
            left = self._slots[slots] != places
            slots, places = (slots[left] + 1) % len(self._slots), places[left]
        raise OddError


def _widened(words: Words, width: int) -> Words:
    """Return texts padded with further words of zeros."""
    if width == words.shape[1]:
        return words
    return np.pad(words, ((0, 0), (0, width - words.shape[1])))


def _hashes(words: Words) -> Words:
    """Return numbers of 64 bits that differ for almost all pairs of texts."""
    total = words[:, 0] * _FACTORS[0]
    for at in range(1, words.shape[1]):
        total += words[:, at] * _FACTORS[at]
    total ^= total >> _HALF
    total *= _MIXER
    return total ^ (total >> _HALF)
