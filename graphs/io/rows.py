"""Rows of a table in UTF-8, split into values by arrays or, if necessary, by `csv`."""

import codecs
import contextlib
import csv
import io
from collections.abc import Generator, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, BinaryIO

from graphs.io.cells import Cells, blocks

# The longest row, and the number of rows that become arrays at a time.
_LONGEST_ROW = 2**20
_PIECE = 2**14

Texts = tuple[str, ...]


class _Lines:
    """The lines of a text, limited to the length of a row.

    Attributes:
        held: The number of characters since it was last set to 0.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.held = 0
        self._text = text

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._text.readline(_LONGEST_ROW + 1)
        except UnicodeDecodeError as error:
            byte = error.object[error.start : error.start + 1].hex()
            raise ValueError(
                f"it is not text in UTF-8 (the byte 0x{byte} cannot be decoded); save it as UTF-8, "
                "path.write_text(path.read_text('latin-1'), 'utf-8') with its encoding in place of "
                "latin-1"
            ) from error
        self.held += len(line)
        if self.held > _LONGEST_ROW:
            raise ValueError(
                f"it has a row of more than {_LONGEST_ROW} characters; close its quotes, or write "
                "one row per line"
            )
        if not line:
            raise StopIteration
        return line


class Rows:
    """The header and the rows of a table.

    Attributes:
        header: The values of the first row.
        size: The number of rows that have been read.

    Args:
        what: The name of the table in messages.
        file: A file at its beginning; the rows are read to its end.
        delimiter: The character between two values of a row.
        exact: Whether blanks around values belong to them.
        headless: Whether the first row has values; columns are then named by their positions.

    Raises:
        ValueError: The first row is not text in UTF-8, or cannot be split into values.
    """

    def __init__(
        self, what: str, file: BinaryIO, delimiter: str, *, exact: bool, headless: bool = False
    ) -> None:
        self.size = 0
        self._what = what
        self._file = file
        self._delimiter = delimiter
        self._exact = exact
        mark = codecs.BOM_UTF8 if file.read(3) == codecs.BOM_UTF8 else b""
        file.seek(len(mark))
        lines: list[str] = []

        def record(line: str) -> str:
            lines.append(line)
            return line

        with self._text() as text:
            recorded = map(record, _Lines(text))
            self.header = [name.strip() for name in next(self._split(recorded, 0), [])]
        # The position of the first row that has not been read.
        self._start = len(mark + "".join(lines).encode("utf-8", "surrogatepass"))
        if headless:
            self.header = [str(at) for at in range(len(self.header))]
            self._start = len(mark)

    @contextlib.contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        """Read the file as text from its current position."""
        # csv cannot write some characters that a str may hold, so let them pass.
        text = io.TextIOWrapper(self._file, "utf-8", errors="surrogatepass", newline="")
        try:
            yield text
        finally:
            text.detach()

    def _split(self, lines: Iterable[str], number: int) -> Iterator[list[str]]:
        """Split lines, which come after a `number` of rows, and explain what cannot be split."""
        reader = csv.reader(
            lines,
            delimiter=self._delimiter,
            strict=True,
            # A quote after a blank would otherwise be part of the name.
            skipinitialspace=not self._exact and self._delimiter != " ",
        )
        try:
            for row in reader:
                yield row
                number += 1
        except csv.Error as error:
            raise ValueError(
                f"{self._what} cannot be split into values after {number} rows ({error}); close "
                "the quotes, and write a quote within a value twice"
            ) from error

    def plain(self) -> Iterator[Cells]:
        """Yield the next rows as arrays, some thousand at a time, until some need `csv`.

        If the caller stops early, the last rows do not count as read. While the caller handles
        rows, `size` counts those before them.
        """
        self._file.seek(self._start)
        for block in blocks(self._file, _PIECE):
            try:
                cells = Cells(block, self._delimiter, len(self.header))
            except ValueError:
                return
            yield cells
            self.size += cells.rows
            self._start += len(block)

    def pieces(self, columns: Sequence[int]) -> Generator[list[Texts], None, None]:
        """Yield columns of the next rows by position, some thousand rows at a time.

        While the caller handles a piece, `size` counts the rows before it.

        Raises:
            ValueError: A row has another number of values than the header.
        """
        width = len(self.header)
        pick = itemgetter(*columns) if len(columns) > 1 else lambda row: (row[columns[0]],)
        self._file.seek(self._start)
        held: list[Any] = []
        with self._text() as text:
            lines = _Lines(text)
            for row in self._split(lines, 1 + self.size):
                lines.held = 0
                if len(row) != width:
                    if not row:
                        continue
                    raise ValueError(
                        f"{self._what} must have {width} values in each row, as its header has, "
                        f"got {len(row)} in row {self.size + len(held) + 1}; add or delete values "
                        "of that row"
                    )
                held.append(pick(row))
                if len(held) == _PIECE:
                    yield self._columns(held)
                    self.size += len(held)
                    held.clear()
            if held:
                yield self._columns(held)
                self.size += len(held)

    def _columns(self, rows: Sequence[Texts]) -> list[Texts]:
        """Return the columns of some rows."""
        columns = zip(*rows, strict=True)
        if self._exact:
            return list(columns)
        return [tuple(map(str.strip, texts)) for texts in columns]
