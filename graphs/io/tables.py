"""Tables as text: rows below a header, read in pieces, with checked numbers."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from graphs.io.callings import fault, spelled

# The longest row, and the number of rows that become arrays at a time.
_LONGEST_ROW = 2**20
_MOST_COLUMNS = 1000
_PIECE = 2**14
_DELIMITERS = (",", "\t", ";", "|", " ")

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


class _Spelled(dict[str, str]):
    """Names of neurons by the texts of a table, each computed once."""

    def __missing__(self, text: str) -> str:
        if fault(text) is not None:
            raise KeyError(text)
        self[text] = name = spelled(text)
        return name


class Table:
    """A table in UTF-8, of which some columns are read.

    Attributes:
        what: The name of the table in messages.
        header: The names of the columns.
        size: The number of rows that have been read.

    Args:
        what: The name of the table in messages.
        file: A file at its beginning; the table reads it to its end.
        delimiter: The character between two values of a row.
        exact: Whether blanks around values belong to them, and any text is the name of a neuron, as
            in tables of `graphs.save`.

    Raises:
        ValueError: The file is not text in UTF-8, or has no header.
    """

    def __init__(self, what: str, file: BinaryIO, delimiter: str, *, exact: bool) -> None:
        self.what = what
        self.size = 0
        self._delimiter = delimiter
        self._unread: set[int] = set()
        self._declined: set[int] = set()
        self._option = ""
        self._exact = exact
        self._spelled = _Spelled()
        # csv cannot write some characters that a str may hold, so let them pass.
        self._text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogatepass", newline="")
        self._lines = _Lines(self._text)
        self._rows = self._split(
            csv.reader(
                self._lines,
                delimiter=delimiter,
                strict=True,
                # A quote after a blank would otherwise be part of the name.
                skipinitialspace=not exact and delimiter != " ",
            )
        )
        self.header = [name.strip() for name in next(self._rows, [])]
        if not any(self.header) or len(self.header) > _MOST_COLUMNS:
            raise ValueError(
                f"{what} must start with a header of 1 to {_MOST_COLUMNS} names, got "
                f"{len(self.header)}; add one, such as 'source,target,weight'"
            )
        if all(_is_number(name) for name in self.header):
            raise ValueError(
                f"{what} must start with a header, got {', '.join(map(repr, self.header[:20]))}, "
                "which is a row of numbers; add a first line such as 'source,target,weight'"
            )

    def _split(self, rows: Iterator[list[str]]) -> Iterator[list[str]]:
        """Yield rows, and explain those that cannot be split into values."""
        number = 0
        try:
            for row in rows:
                yield row
                number += 1
        except csv.Error as error:
            raise ValueError(
                f"{self.what} cannot be split into values after {number} rows ({error}); close the "
                "quotes, and write a quote within a value twice"
            ) from error

    def advice(self, option: str, *roles: str) -> str:
        """Return how to read a table that lacks a column for one of the `roles`.

        Args:
            option: The argument that selects columns.
            *roles: The roles that need a column.
        """
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
        names = [name for name in dict.fromkeys(self.header) if name]
        if len(names) < len(roles):
            return f"add the {' and the '.join(map(repr, roles))} column"
        chosen = ", ".join(f"{role!r}: {name!r}" for role, name in zip(roles, names, strict=False))
        return f"pass {option}={{{chosen}}} with the names of the columns"

    def find(
        self, roles: Mapping[str, Sequence[str]], chosen: Mapping[str, str | None], option: str
    ) -> dict[str, int]:
        """Return the position of the column of each role.

        Args:
            roles: The usual names of columns for each role.
            chosen: The name of the column for some roles, or None for no column.
            option: The argument with these choices.

        Raises:
            ValueError: Several columns fit a role, or the chosen one does not exist.
        """
        self._option = option
        unknown = sorted(set(chosen) - set(roles))
        if unknown:
            raise ValueError(
                f"{option} must choose columns for some of {', '.join(roles)}, got {unknown[0]!r}; "
                f"{self.advice(option, next(iter(roles)))}"
            )
        found = {}
        lower = [name.lower().replace(" ", "_") for name in self.header]
        for role, known in roles.items():
            if role in chosen:
                choice = chosen[role]
                if choice is None:
                    self._declined |= {
                        at for at, name in enumerate(lower) if name in {role, *known}
                    }
                names = [] if choice is None else [choice]
                places = [at for at, name in enumerate(self.header) if name == choice]
            else:
                names = [role] if role in lower else [name for name in known if name in lower]
                places = [at for at, name in enumerate(lower) if name in names]
            if len(places) == 1:
                found[role] = places[0]
            elif places or (names and role in chosen):
                names = [self.header[at] for at in places] or self.header
                # A column whose name is not unique cannot be chosen.
                twice = len(places) > 1 and len(set(names)) < len(names)
                named = next(filter(None, names))
                fix = f"pass {option}={{{role!r}: {named!r}}} or another, or None for none"
                raise ValueError(
                    f"{self.what} must have one column for the {role}, got "
                    f"{', '.join(map(repr, names[:20]))}; "
                    f"{'rename one of the columns' if twice else fix}"
                )
        return found

    @property
    def left_out(self) -> list[str]:
        """The columns that were neither read nor declined with None, as texts for a warning."""
        return [f"the column {self.header[at]!r} of {self.what}" for at in sorted(self._unread)]

    def pieces(self, columns: Sequence[int]) -> Iterator[list[Texts]]:
        """Yield columns by position, some thousand rows at a time.

        While the caller handles a piece, `size` counts the rows before it.

        Raises:
            ValueError: A row has another number of values than the header.
        """
        width = len(self.header)
        self._unread = set(range(width)) - set(columns) - self._declined
        pick = itemgetter(*columns) if len(columns) > 1 else lambda row: (row[columns[0]],)
        held: list[Any] = []
        for row in self._rows:
            self._lines.held = 0
            if len(row) != width:
                if not row:
                    continue
                raise ValueError(
                    f"{self.what} must have {width} values in each row, as its header has, got "
                    f"{len(row)} in row {self.size + len(held) + 1}; add or delete values of that "
                    "row"
                )
            held.append(pick(row))
            if len(held) == _PIECE:
                yield self._columns(held)
                self.size += len(held)
                held.clear()
        if held:
            yield self._columns(held)
            self.size += len(held)
        self._text.detach()

    def _columns(self, rows: Sequence[Texts]) -> list[Texts]:
        """Return the columns of some rows."""
        columns = zip(*rows, strict=True)
        if self._exact:
            return list(columns)
        return [tuple(map(str.strip, texts)) for texts in columns]

    def names(self, role: str, texts: Texts) -> Texts:
        """Return the names of neurons in the rows after `size`.

        Raises:
            ValueError: A text is not a name, see `fault`.
        """
        if self._exact:
            return texts
        try:
            return tuple(map(self._spelled.__getitem__, texts))
        except KeyError as error:
            fix = fault(error.args[0]) or ""
            self._refuse(role, "the name of a neuron", texts, lambda text: not fault(text), fix=fix)

    def types(self, texts: Texts) -> Texts:
        """Return the names of types; whole numbers may be written as floats."""
        return texts if self._exact else tuple(map(spelled, texts))

    def floats(self, role: str, texts: Texts) -> NDArray[np.float32]:
        """Return numbers in the rows after `size` as float32.

        Raises:
            ValueError: A text is not a number, or not finite in float32, or a weight becomes 0.
        """
        try:
            if "_" in "".join(texts):
                raise ValueError
            values = np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            self._refuse(role, "a number", texts, _is_number)
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if not np.isfinite(narrow).all():
            at = int(np.flatnonzero(~np.isfinite(narrow))[0])
            self._refuse(role, "finite in float32", texts[at:], lambda _: False, skipped=at)
        # A coordinate may be rounded to 0, but a weight of 0 would no longer be a synapse.
        zeros = np.flatnonzero(narrow == 0).tolist() if role == "weight" else ()
        lost = [at for at in zeros if not _is_zero(texts[at])]
        if lost:
            expected = f"0 or at least {np.finfo(np.float32).smallest_subnormal:.2g} in size"
            self._refuse(role, expected, texts[lost[0] :], lambda _: False, skipped=lost[0])
        return narrow

    def indices(self, role: str, texts: Texts, below: int) -> NDArray[np.int64]:
        """Return the numbers of neurons in the rows after `size`.

        Raises:
            ValueError: A text is not an integer in [0, below).
        """
        joined = "".join(texts)
        try:
            if not (joined.isascii() and joined.isdigit()):
                raise ValueError
            values = np.fromiter(map(int, texts), np.int64, len(texts))
            if len(values) and values.max() >= below:
                raise ValueError
        except (ValueError, OverflowError):
            self._refuse(
                role,
                f"a neuron in [0, {below})",
                texts,
                lambda text: text.isascii() and text.isdigit() and int(text[:20]) < below,
                fix="correct the row, or leave num_nodes= out, and the texts become names",
            )
        return values

    def members(self, role: str, texts: Texts, index: Mapping[str, int]) -> NDArray[np.int64]:
        """Return the numbers of neurons in the rows after `size` by their names.

        Raises:
            ValueError: A name is not in `index`.
        """
        try:
            values = np.fromiter(map(index.__getitem__, texts), np.int64, len(texts))
        except KeyError:
            fix = "add it to the table of neurons, or correct the row"
            self._refuse(role, "in the table of neurons", texts, index.__contains__, fix=fix)
        return values

    def _refuse(
        self,
        role: str,
        expected: str,
        texts: Texts,
        good: Callable[[str], bool],
        *,
        skipped: int = 0,
        fix: str = "",
    ) -> NoReturn:
        """Raise an error that names the first of `texts` that is not `good`, and its row."""
        at = next(at for at, text in enumerate(texts) if not good(text))
        if not fix:
            comma = texts[at].count(",") == 1 and _is_number(texts[at].replace(",", "."))
            fix = "write a decimal point" if comma else "correct the row"
            fix += f", or pass {self._option}={{{role!r}: None}} to leave the column out"
        raise ValueError(
            f"the {role} of {self.what} must be {expected}, got {texts[at][:50]!r} in row "
            f"{self.size + skipped + at + 1}; {fix}"
        )


def is_whole(text: str) -> bool:
    """Return whether a text is an integer >= 0, as Python writes it, that fits into int64."""
    plain = text.isascii() and text.isdigit() and len(text) < 20
    return plain and str(int(text)) == text and int(text) < 2**63


def _is_number(text: str) -> bool:
    """Return whether a text is a number, finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    # Python reads 1_0 as 10, which is not a number in a table.
    return "_" not in text


def _is_zero(text: str) -> bool:
    """Return whether a number that became 0 was written as 0."""
    digits = text.lower().partition("e")[0]
    return not any(digit.isdigit() and digit != "0" for digit in digits)


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
