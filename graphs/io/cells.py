"""Splitting of many rows into cells by arrays, for text with one row per line and simple quotes.

Everything else raises `OddError` and is left to the module `csv`.
"""

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from graphs import compiled

Words = NDArray[np.uint64]

_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
# Number of bytes that are read at a time, and the largest number in a block of lines.
_CHUNK = 2**18
_LONGEST_BLOCK = 2**22
_LONGEST_ROW = 2**16
# The longest cell, in words of 8 bytes.
_MOST_WORDS = 8
# The bytes of a word that belong to a cell with 0 to 8 bytes left.
_MASKS = np.array([2 ** (8 * left) - 1 for left in range(9)], dtype=np.uint64)

_ZEROS, _ABOVE_9, _HIGHEST = (
    np.uint64(0x0101010101010101 * byte) for byte in (ord("0"), 0x76, 0x80)
)
# The bits of a number, the factor between neighbors, and the mask of the joined numbers.
_JOINS = [
    tuple(map(np.uint64, join))
    for join in (
        (8, 10, 0x00FF00FF00FF00FF),
        (16, 100, 0x0000FFFF0000FFFF),
        (32, 10_000, 0x00000000FFFFFFFF),
    )
]


class OddError(ValueError):
    """The rows cannot be split by arrays; the module `csv` has to read them."""


def blocks(file: BinaryIO, lines: int) -> Iterator[bytes]:
    """Yield the rest of a file in blocks of `lines` lines each; the last one may have fewer.

    A block that reaches `_LONGEST_BLOCK` before its last line ends is the last one.
    """
    held = b""
    # The end of each line in the buffer.
    ends = np.empty(0, dtype=np.int64)
    while True:
        while len(ends) < lines and len(held) <= _LONGEST_BLOCK:
            more = file.read(_CHUNK)
            if not more:
                break
            found = np.flatnonzero(np.frombuffer(more, np.uint8) == _NEWLINE)
            ends = np.concatenate((ends, found + (len(held) + 1)))
            held += more
        if not held:
            return
        cut = int(ends[lines - 1]) if len(ends) >= lines else len(held)
        yield held[:cut]
        held, ends = held[cut:], ends[lines:] - cut


class Cells:
    """The cells of a block of lines.

    Attributes:
        rows: The number of rows.

    Args:
        block: The lines.
        delimiter: The character between two cells.
        width: The number of cells in each row.

    Raises:
        OddError: A row has another number of cells or is very long, or the text has a quote within
            a cell, the character NUL, or line ends of several kinds.
        UnicodeDecodeError: The text is not UTF-8.
    """

    def __init__(self, block: bytes, delimiter: str, width: int) -> None:
        if len(block) > _LONGEST_BLOCK or not delimiter.isascii() or b"\0" in block:
            raise OddError
        if not block.isascii():
            block.decode("utf-8", "surrogatepass")
        if not block.endswith(b"\n"):
            block += b"\n"
        padded = block + bytes(8 * _MOST_WORDS)
        self._text = np.frombuffer(padded, np.uint8)
        # The word that begins at each byte.
        self._words: Words = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
        text = np.frombuffer(block, np.uint8)
        self.rows = int(np.count_nonzero(text == _NEWLINE))
        helpers = compiled.module()
        if helpers is not None:
            places = helpers.separators(text, ord(delimiter))
        else:
            places = np.flatnonzero((text == ord(delimiter)) | (text == _NEWLINE))
        if len(places) != self.rows * width:
            raise OddError
        self._ends = places.reshape(self.rows, width)
        begins = np.concatenate(([0], places[:-1] + 1))
        self._starts = begins.reshape(self.rows, width)
        if not (text[self._ends[:, -1]] == _NEWLINE).all():
            raise OddError
        if (self._ends[:, -1] - self._starts[:, 0]).max() > min(
            _LONGEST_ROW, csv.field_size_limit()
        ):
            raise OddError
        if b"\r" in block:
            self._drop_returns(text)
        if b'"' in block:
            self._drop_quotes(text)
        elif width == 1 and (self._starts == self._ends).any():
            # An empty line is not a row.
            raise OddError

    def _drop_returns(self, text: NDArray[np.uint8]) -> None:
        """Exclude the carriage return of each line."""
        before = self._ends[:, -1] - 1
        returns = np.flatnonzero(text == _RETURN)
        if not np.array_equal(returns, before):
            raise OddError
        self._ends[:, -1] = before

    def _drop_quotes(self, text: NDArray[np.uint8]) -> None:
        """Exclude the quotes around cells."""
        quoted = (text[self._starts] == _QUOTE) & (text[self._ends - 1] == _QUOTE)
        quoted &= self._ends - self._starts > 1
        if np.count_nonzero(text == _QUOTE) != 2 * np.count_nonzero(quoted):
            raise OddError
        self._starts += quoted
        self._ends -= quoted

    def words(self, column: int) -> Words:
        """Return the bytes of a column as words of 8 bytes, padded with zeros, [rows, words].

        Raises:
            OddError: A cell is longer than `_MOST_WORDS` words.
        """
        helpers = compiled.module()
        if helpers is not None:
            try:
                found = helpers.words(self._text, self._starts, self._ends, column, _MOST_WORDS)
            except ValueError as error:
                raise OddError from error
            plain: Words = found.view("<u8")
            return plain
        starts = self._starts[:, column]
        lengths = self._ends[:, column] - starts
        width = max(1, -(-int(lengths.max()) // 8))
        if width > _MOST_WORDS:
            raise OddError
        words = np.empty((self.rows, width), "<u8")
        for at in range(width):
            left = np.clip(lengths - 8 * at, 0, 8)
            words[:, at] = self._words[starts + 8 * at] & _MASKS[left]
        return words


def raw(words: Words) -> NDArray[np.bytes_]:
    """Return cells as bytes [rows]."""
    plain: NDArray[Any] = np.ascontiguousarray(words)
    return plain.view(f"S{8 * words.shape[1]}").ravel()


def reals(words: Words) -> NDArray[np.float64] | None:
    """Return the numbers that cells are, or None if some may be anything else.

    Numbers are rounded as Python rounds them. Blanks, underscores, plus signs and numbers that
    float64 cannot represent give None.
    """
    read = getattr(compiled.module(), "reals", None)
    found: NDArray[np.float64] | None = None if read is None else read(np.ascontiguousarray(words))
    return digits(words) if found is None else found


def digits(words: Words) -> NDArray[np.float64] | None:
    """Return the integers that cells of 1 to 8 digits are, or None if some are anything else."""
    if words.shape[1] > 1:
        return None
    word = words[:, 0]
    lengths = sum(word > mask for mask in _MASKS[:8])
    values = word ^ (_ZEROS & _MASKS[lengths])
    # Bytes from 0x0a on, to which 0x76 is added, have their highest bit set.
    if not word.all() or ((values | (values + _ABOVE_9)) & _HIGHEST).any():
        return None
    # The first digit is the lowest byte. Align the last digits, and join pairs of neighbors.
    values <<= (8 * (8 - lengths)).astype(np.uint64)
    for bits, factor, mask in _JOINS:
        values = (values * factor + (values >> bits)) & mask
    return values.astype(np.float64)
