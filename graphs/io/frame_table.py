"""Tables whose columns are those of a dataframe."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs import arguments
from graphs.io.tables import Converter, Table

# Floats of these widths no longer distinguish larger integers.
_EXACT = {2: 2**11, 4: 2**24, 8: 2**53}
_NAMED = ("source", "target", "neuron", "name")


class Encoded(NamedTuple):
    """A column as its different values.

    Attributes:
        values: The values, None for a missing one.
        codes: The position of each row's value.
    """

    values: Sequence[Any]
    codes: NDArray[np.int64]


class Column(ABC):
    """A column of a dataframe."""

    @abstractmethod
    def encode(self) -> Encoded:
        """Return the different values of the column."""

    @abstractmethod
    def numbers(self) -> NDArray[np.float64] | None:
        """Return the values as float64, NaN for a missing one, or None if they are no numbers."""


class CodedColumn(Column):
    """A column of values, or of the positions of values.

    Args:
        values: Different values, or the value of each row.
        codes: The position of each row's value.
    """

    def __init__(self, values: Any, codes: NDArray[np.int64] | None = None) -> None:
        self._values = values
        self._codes = codes

    def encode(self) -> Encoded:
        """Return the different values of the column."""
        if self._codes is not None:
            return Encoded(self._values, self._codes)
        return encode_array(self._values)

    def numbers(self) -> NDArray[np.float64] | None:
        """Return the values as float64, NaN for a missing one, or None if they are no numbers."""
        return None if self._codes is not None else self._values.astype(np.float64)


class FrameTable(Table):
    """A table of columns.

    Args:
        what: The name of the table in messages.
        header: The names of the columns.
        column: Returns the column at a position.
        hint: What to do if columns are missing, if that is known.
    """

    def __init__(
        self, what: str, header: list[str], column: Callable[[int], Column], *, hint: str = ""
    ) -> None:
        super().__init__(what, header, exact=False)
        self._column = column
        self._hint = hint

    def advice(self, option: str, *roles: str) -> str:
        """Return how to read a table that lacks a column for one of the `roles`."""
        return self._hint or self.choose(option, *roles)

    def _read(
        self, columns: Mapping[str, int], converters: Mapping[str, Converter]
    ) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {}
        rows = 0
        for role, at in columns.items():
            column = self._column(at)
            if role in converters:
                found[role] = self._converted(role, column.encode(), converters[role])
            else:
                found[role] = self._numbers(role, column)
            rows = len(found[role])
        self.size = rows
        return found

    def _converted(self, role: str, column: Encoded, convert: Converter) -> NDArray[np.int64]:
        """Return the numbers of texts; each different text is converted once."""
        self._check_values(role, column.values)
        texts = tuple(map(_text, column.values))
        try:
            self.collects = False
            return convert(role, texts)[column.codes]
        except ValueError:
            # The texts of all rows tell which rows are wrong.
            self.collects = True
            return convert(role, tuple(texts[code] for code in column.codes.tolist()))

    def _check_values(self, role: str, values: Sequence[Any]) -> None:
        """Refuse values that are no text and no numbers, before they become text."""
        kinds = (str, int, float, np.integer, np.floating, type(None))
        for value in values:
            if not isinstance(value, kinds) or (role in _NAMED and isinstance(value, bool)):
                raise TypeError(
                    f"the {role} of {self.what} must be integers or text, got "
                    f"{arguments.described(value)}; pass the frame with that column as text, such "
                    "as frame.astype({'column': str})"
                )

    def _numbers(self, role: str, column: Column) -> NDArray[np.float32]:
        self.collects = True
        values = column.numbers()
        if values is None:
            encoded = column.encode()
            texts = tuple(map(_text, encoded.values))
            return self.floats(role, tuple(texts[code] for code in encoded.codes.tolist()))
        return self.narrow(role, values, lambda at: str(values[at]))


def _text(value: Any) -> str:
    """Return a value as the text that a table in CSV would have."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float | np.floating):
        width = value.dtype.itemsize if isinstance(value, np.floating) else 8
        number = float(value)
        # With an exponent, which is refused as a number that has lost digits.
        return repr(number) if abs(number) < _EXACT.get(width, 2**53) else f"{number:e}"
    return str(value)


def _is_missing(value: Any) -> bool:
    """Return whether a value is None or one of the missing values of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def encode_array(values: NDArray[Any]) -> Encoded:
    """Return the different values of an array of numbers or objects."""
    if values.dtype.kind in "iuf":
        found, codes = np.unique(values, return_inverse=True)
        missing = [None if each != each else each for each in found]  # noqa: PLR0124
        plain = missing if values.dtype.kind == "f" else found.tolist()
        return Encoded(plain, codes.astype(np.int64))
    index: dict[tuple[type, Any], int] = {}
    codes = np.empty(len(values), np.int64)
    for at, value in enumerate(values.tolist()):
        if not isinstance(value, Hashable):
            return Encoded([value], codes[:0])  # refused because of its type
        given = None if _is_missing(value) else value
        codes[at] = index.setdefault((type(given), given), len(index))
    return Encoded([value for _, value in index], codes)
