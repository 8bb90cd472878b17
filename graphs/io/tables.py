"""Tables as text: rows below a header, read in pieces, with checked numbers."""

import contextlib
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from graphs.io.callings import fault, spelled
from graphs.io.cells import OddError, Words, raw, reals
from graphs.io.known import Known
from graphs.io.rows import Rows, Texts

_MOST_COLUMNS = 1000
# The number of rows that are written at a time.
_PIECE = 2**14
_DELIMITERS = (",", "\t", ";", "|", " ")


# Returns the numbers of the texts that a role has in some rows.
Converter = Callable[[str, Texts], NDArray[np.int64]]


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
        self._delimiter = delimiter
        self._unread: set[int] = set()
        self._declined: set[int] = set()
        self._option = ""
        self._exact = exact
        self._spelled = _Spelled()
        self._rows = Rows(what, file, delimiter, exact=exact)
        self.header = self._rows.header
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

    @property
    def size(self) -> int:
        """The number of rows that have been read."""
        return self._rows.size

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

    def arrays(
        self, columns: Mapping[str, int], converters: Mapping[str, Converter]
    ) -> dict[str, NDArray[Any]]:
        """Return columns as arrays.

        Args:
            columns: The position of the column of each role.
            converters: How to convert the texts of some roles; the other columns hold numbers, see
                `floats`. While a converter is called, `size` counts the rows before its texts.

        Raises:
            ValueError: A row has another number of values than the header, or a value is wrong.
        """
        self._unread = set(range(len(self.header))) - set(columns.values()) - self._declined
        dtypes = {role: np.int64 if role in converters else np.float32 for role in columns}
        parts: dict[str, list[Any]] = {role: [np.empty(0, dtype)] for role, dtype in dtypes.items()}
        known = {
            convert: Known(partial(convert, role), exact=self._exact)
            for role, convert in converters.items()
        }
        for cells in self._rows.plain():
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
        with contextlib.closing(self._rows.pieces(list(columns.values()))) as pieces:
            for texts in pieces:
                for role, each in zip(columns, texts, strict=True):
                    parts[role].append(converters.get(role, self.floats)(role, each))
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
        if not np.isfinite(narrow).all() or not all(_is_zero(each.decode()) for each in zeros):
            raise OddError
        return narrow

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
    plain = text.isascii() and text.isdigit() and (text[0] != "0" or text == "0")
    return plain and (len(text) < 19 or (len(text) == 19 and int(text) < 2**63))


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
