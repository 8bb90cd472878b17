"""Tables as text: rows under a header, read in pieces, numbers checked."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from graphs.io.callings import fault, spelled

# What one row may make its reader hold, and how many are turned into arrays at a time.
_LONGEST_ROW = 2**20
_MOST_COLUMNS = 1000
_PIECE = 2**14

Texts = tuple[str, ...]


class _Lines:
    """Lines of a text, no longer than a row may be; `held` is the length since it was set to 0."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.held = 0
        self._text = text

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(_LONGEST_ROW + 1)
        self.held += len(line)
        if self.held > _LONGEST_ROW:
            raise ValueError(
                f"it has a row of more than {_LONGEST_ROW} characters; close its quotes, or write "
                "one row a line"
            )
        if not line:
            raise StopIteration
        return line


class _Spelled(dict[str, str]):
    """Names of neurons by the texts of a table, which are looked at once each."""

    def __missing__(self, text: str) -> str:
        if fault(text) is not None:
            raise KeyError(text)
        self[text] = name = spelled(text)
        return name


class Table:
    """A table in UTF-8, of which some columns are read.

    Parameters
    ----------
    what : str
        How messages call it.
    file : BinaryIO
        Open at its begin; the table reads it to its end.
    delimiter : str
        Between two values of a row.
    exact : bool
        Whether blanks around values belong to them, and any text is the name of a neuron, as in
        tables that `graphs.save` has written.
    """

    def __init__(self, what: str, file: BinaryIO, delimiter: str, *, exact: bool) -> None:
        self.what = what
        self.size = 0
        self._unread: set[int] = set()
        self._declined: set[int] = set()
        self._exact = exact
        self._spelled = _Spelled()
        # csv cannot write some characters that Python's text may hold; so they pass in any case.
        self._text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogatepass", newline="")
        self._lines = _Lines(self._text)
        self._rows = csv.reader(
            self._lines,
            delimiter=delimiter,
            strict=True,
            # A quote after a blank would else be part of the name.
            skipinitialspace=not exact and delimiter != " ",
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

    def find(
        self, roles: Mapping[str, Sequence[str]], chosen: Mapping[str, str | None], option: str
    ) -> dict[str, int]:
        """Return which column plays which of the `roles`, known by its names or `chosen`.

        A role whose choice is None has no column. `option` is the argument with the choices.
        """
        unknown = sorted(set(chosen) - set(roles))
        if unknown:
            raise ValueError(
                f"{option} must choose columns for some of {', '.join(roles)}, got {unknown[0]!r}; "
                f"pass for example {option}={{{next(iter(roles))!r}: {self.header[0]!r}}}"
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
                got = [self.header[at] for at in places] or self.header
                raise ValueError(
                    f"{self.what} must have one column for the {role}, got "
                    f"{', '.join(map(repr, got))}; pass {option}={{{role!r}: {got[0]!r}}} or "
                    "another, or None for none"
                )
        return found

    @property
    def left_out(self) -> list[str]:
        """Columns that were neither read nor declined with None, as texts for a warning."""
        return [f"the column {self.header[at]!r} of {self.what}" for at in sorted(self._unread)]

    def pieces(self, columns: Sequence[int]) -> Iterator[list[Texts]]:
        """Yield some columns, some thousand rows at a time; `size` counts the rows before."""
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
                    f"{len(row)} in row {self.size + len(held) + 1}"
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
        columns = zip(*rows, strict=True)
        if self._exact:
            return list(columns)
        return [tuple(map(str.strip, texts)) for texts in columns]

    def names(self, role: str, texts: Texts) -> Texts:
        """Return what neurons are called in the rows after `size`; refuse what calls none."""
        if self._exact:
            return texts
        try:
            return tuple(map(self._spelled.__getitem__, texts))
        except KeyError as error:
            fix = fault(error.args[0]) or ""
            self._refuse(role, "the name of a neuron", texts, lambda text: not fault(text), fix=fix)

    def types(self, texts: Texts) -> Texts:
        """Return what types are called; a column of whole numbers may have come as floats."""
        return texts if self._exact else tuple(map(spelled, texts))

    def floats(self, role: str, texts: Texts) -> NDArray[np.float32]:
        """Return numbers of the rows after `size` that are finite in float32."""
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
        # A coordinate may be rounded to 0; a weight that is would be no synapse any more.
        zeros = np.flatnonzero(narrow == 0).tolist() if role == "weight" else ()
        lost = [at for at in zeros if not _is_zero(texts[at])]
        if lost:
            expected = f"0 or at least {np.finfo(np.float32).smallest_subnormal:.2g} in size"
            self._refuse(role, expected, texts[lost[0] :], lambda _: False, skipped=lost[0])
        return narrow

    def indices(self, role: str, texts: Texts, below: int) -> NDArray[np.int64]:
        """Return neurons out of [0, `below`)."""
        joined = "".join(texts)
        try:
            if not (joined.isascii() and joined.isdigit()):
                raise ValueError
            values = np.fromiter(map(int, texts), np.int64, len(texts))
            if len(values) and values.max() >= below:
                raise ValueError
        except (ValueError, OverflowError):
            expected = f"a neuron in [0, {below})"
            self._refuse(
                role,
                expected,
                texts,
                lambda text: text.isascii() and text.isdigit() and int(text[:20]) < below,
            )
        return values

    def members(self, role: str, texts: Texts, index: Mapping[str, int]) -> NDArray[np.int64]:
        """Return neurons by what they are called in `index`."""
        try:
            values = np.fromiter(map(index.__getitem__, texts), np.int64, len(texts))
        except KeyError:
            fix = "add it to the table, or leave neurons= out"
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
        fix: str = "mend it, or choose another column",
    ) -> NoReturn:
        at = next(at for at, text in enumerate(texts) if not good(text))
        raise ValueError(
            f"the {role} of {self.what} must be {expected}, got {texts[at][:50]!r} in row "
            f"{self.size + skipped + at + 1}; {fix}"
        )


def is_whole(text: str) -> bool:
    """Whether a text is an integer >= 0 as Python writes it, that int64 holds."""
    plain = text.isascii() and text.isdigit() and len(text) < 20
    return plain and str(int(text)) == text and int(text) < 2**63


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    # Python reads 1_0 as 10; in a table it is no number.
    return "_" not in text


def _is_zero(text: str) -> bool:
    """Whether a number that became 0 was written as 0."""
    digits = text.lower().partition("e")[0]
    return not any(digit.isdigit() and digit != "0" for digit in digits)


def write_rows(
    file: BinaryIO, delimiter: str, columns: Mapping[str, Sequence[Any]], *, length: int
) -> None:
    """Write columns of a `length` under their names."""
    text = io.TextIOWrapper(file, "utf-8", errors="surrogatepass", newline="")
    # Its line ends, \\r\\n, also make it quote values that hold either character.
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    for start in range(0, length, _PIECE):
        piece = [_texts(values[start : start + _PIECE]) for values in columns.values()]
        writer.writerows(zip(*piece, strict=True))
    text.detach()


def _texts(values: Any) -> Sequence[Any]:
    """Return values as csv may write them; floats by the fewest digits that lead back to them."""
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype != np.float32:
        return values.tolist()
    short = values.astype(np.str_)
    exact = short.astype(np.float64).astype(np.float32) == values
    return np.where(exact, short, values.astype(np.float64).astype(np.str_)).tolist()
