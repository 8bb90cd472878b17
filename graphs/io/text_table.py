"""Tables as text: rows below a header, read in pieces, with checked numbers."""

import contextlib
import csv
import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from graphs.io.callings import fault
from graphs.io.cells import OddError, Words, raw, reals
from graphs.io.known import Known
from graphs.io.rows import Rows
from graphs.io.tables import Converter, Table, is_number, is_zero

# The number of rows that are written at a time.
_PIECE = 2**14
_DELIMITERS = (",", "\t", ";", "|", " ")


class TextTable(Table):
    """A table in UTF-8, of which some columns are read.

    Args:
        what: The name of the table in messages.
        file: A file at its beginning; the table reads it to its end.
        delimiter: The character between two values of a row.
        exact: Whether blanks around values belong to them, and any text is the name of a neuron, as
            in tables of `graphs.save`.
        headless: Whether the first row has values, so that the names of columns are their
            positions "0", "1" and so on.

    Raises:
        ValueError: The file is not text in UTF-8, or has no header.
    """

    def __init__(
        self, what: str, file: BinaryIO, delimiter: str, *, exact: bool, headless: bool = False
    ) -> None:
        self._delimiter = delimiter
        self._rows = Rows(what, file, delimiter, exact=exact, headless=headless)
        super().__init__(what, self._rows.header, exact=exact)
        if not headless and all(map(is_number, self.header)):
            # A .txt file of more than three columns of numbers is read as a matrix.
            matrix = len(self.header) > 3
            raise ValueError(
                f"{what} must start with a header, got {', '.join(map(repr, self.header[:20]))}, "
                "which is a row of numbers; add a first line such as 'source,target,weight', or "
                "pass columns={'source': 0, 'target': 1}, the positions of the columns"
                f"{', or load a copy that ends in .txt if it is an adjacency matrix' * matrix}"
            )

    def advice(self, option: str, *roles: str) -> str:
        """Return how to read a table that lacks a column for one of the `roles`."""
        first = self.header[0]
        whole = self._delimiter.join(self.header)
        if "\0" in whole:
            return "save it as text in UTF-8, if it is text in another encoding"
        if first.split()[0:1] in (["edge_type_id"], ["node_type_id"]):
            return "pass the .h5 file of SONATA, since this table lists types and no synapses"
        if fault(first) and first.startswith(("#", "%", "//")):
            return (
                "delete the comments above the header, or the character with which the header "
                "begins if it is a header"
            )
        others = [each for each in _DELIMITERS if each != self._delimiter and each in whole]
        if len(self.header) < max(len(roles), 2) and others:
            return f"pass delimiter={max(others, key=whole.count)!r} if it separates the values"
        return self.choose(option, *roles)

    def _read(
        self, columns: Mapping[str, int], converters: Mapping[str, Converter]
    ) -> dict[str, NDArray[Any]]:
        dtypes = {role: np.int64 if role in converters else np.float32 for role in columns}
        parts: dict[str, list[Any]] = {role: [np.empty(0, dtype)] for role, dtype in dtypes.items()}
        known = {
            convert: Known(partial(convert, role), exact=self.exact)
            for role, convert in converters.items()
        }
        self.collects = False
        for cells in self._rows.plain():
            self.size = self._rows.size
            try:
                piece = [
                    known[converters[role]].numbers(cells.words(at))
                    if role in converters
                    else self._plain_floats(role, cells.words(at))
                    for role, at in columns.items()
                ]
            except ValueError:
                # csv reads these rows again, and its texts tell what is wrong, if anything is.
                break
            for role, values in zip(columns, piece, strict=True):
                parts[role].append(values)
        self.collects = True
        with contextlib.closing(self._rows.pieces(list(columns.values()))) as pieces:
            for texts in pieces:
                self.size = self._rows.size
                for role, each in zip(columns, texts, strict=True):
                    parts[role].append(converters.get(role, self.floats)(role, each))
        self.size = self._rows.size
        return {role: np.concatenate(values) for role, values in parts.items()}

    def _plain_floats(self, role: str, words: Words) -> NDArray[np.float32]:
        """Return numbers as `floats` does.

        Raises:
            OddError: Arrays cannot represent a text, or `floats` refuses it.
            ValueError: A text is not a number.
        """
        values = reals(words)
        if values is None:
            texts = raw(words)
            # NumPy reads the same texts as Python.
            if b"_" in texts.tobytes():
                raise OddError
            values = texts.astype(np.float64)
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        zeros = set(raw(words[narrow == 0]).tolist()) if role == "weight" else ()
        if not np.isfinite(narrow).all() or not all(is_zero(each.decode()) for each in zeros):
            raise OddError
        return narrow


def write_rows(
    file: BinaryIO, delimiter: str, columns: Mapping[str, Sequence[Any]], *, length: int
) -> None:
    """Write columns of a `length` below their names."""
    text = io.TextIOWrapper(file, "utf-8", errors="surrogatepass", newline="")
    # With the default line end, \\r\\n, csv quotes values that hold either character.
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    for start in range(0, length, _PIECE):
        piece = [_texts(values[start : start + _PIECE]) for values in columns.values()]
        writer.writerows(zip(*piece, strict=True))
    text.detach()


def _texts(values: Any) -> Sequence[Any]:
    """Return values for csv to write, floats with the fewest digits that represent them exactly."""
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype != np.float32:
        return values.tolist()
    short = values.astype(np.str_)
    exact = short.astype(np.float64).astype(np.float32) == values
    return np.where(exact, short, values.astype(np.float64).astype(np.str_)).tolist()
