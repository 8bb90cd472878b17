"""Tables of any kind: columns by their role, and checks of the values in them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphs.io.callings import fault, spelled
from graphs.io.rows import Texts

# A matrix of a whole larva has a column per neuron.
MOST_COLUMNS = 2**16

# Returns the numbers of the texts that a role has in some rows.
Converter = Callable[[str, Texts], NDArray[np.int64]]


class _Spelled(dict[str, str]):
    """Names of neurons by the texts of a table, each computed once."""

    def __missing__(self, text: str) -> str:
        if fault(text) is not None:
            raise KeyError(text)
        self[text] = name = spelled(text)
        return name


class Table(ABC):
    """A table whose columns are found by their names and read as checked arrays.

    Attributes:
        what: The name of the table in messages.
        header: The names of the columns.
        size: The number of rows that have been read.

    Args:
        what: The name of the table in messages.
        header: The names of the columns.
        exact: Whether any text is the name of a neuron, as in tables of `graphs.save`.

    Raises:
        ValueError: There is no header.
    """

    def __init__(self, what: str, header: list[str], *, exact: bool) -> None:
        self.what = what
        self.header = header
        self.size = 0
        self.exact = exact
        # Whether a wrong value is recorded, to be reported with the others, or raised at once.
        self.collects = False
        self._problems: dict[str, _Problem] = {}
        self._unread: set[int] = set()
        self._declined: set[int] = set()
        self._option = ""
        self._spelled = _Spelled()
        if not any(header) or len(header) > MOST_COLUMNS:
            raise ValueError(
                f"{what} must start with a header of 1 to {MOST_COLUMNS} names, got "
                f"{len(header)}; add one, such as 'source,target,weight'"
            )

    @abstractmethod
    def advice(self, option: str, *roles: str) -> str:
        """Return how to read a table that lacks a column for one of the `roles`.

        Args:
            option: The argument that selects columns.
            *roles: The roles that need a column.
        """

    @abstractmethod
    def _read(
        self, columns: Mapping[str, int], converters: Mapping[str, Converter]
    ) -> dict[str, NDArray[Any]]:
        """Return columns as `arrays` does, with wrong values recorded."""

    def choose(self, option: str, *roles: str) -> str:
        """Return the advice to choose columns for `roles`."""
        names = [name for name in dict.fromkeys(self.header) if name]
        if len(names) < len(roles):
            return f"add the {' and the '.join(map(repr, roles))} column"
        chosen = ", ".join(f"{role!r}: {name!r}" for role, name in zip(roles, names, strict=False))
        return f"pass {option}={{{chosen}}} with the names of the columns"

    def find(
        self,
        roles: Mapping[str, Sequence[str]],
        chosen: Mapping[str, str | int | None],
        option: str,
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
        found, problems = {}, []
        lower = [name.lower().replace(" ", "_") for name in self.header]
        for role, known in roles.items():
            choice = chosen.get(role)
            if role in chosen:
                if choice is None:
                    self.decline(role, *known)
                names = [] if choice is None else [str(choice)]
                places = [at for at, name in enumerate(self.header) if name in names]
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
                asked = "one column for the" if places else f"the column {str(choice)!r} for the"
                problems.append(
                    f"{self.what} must have {asked} {role}, got "
                    f"{', '.join(map(repr, names[:20]))}; "
                    f"{'rename one of the columns' if twice else fix}"
                )
        raise_all(problems)
        return found

    def decline(self, *names: str) -> None:
        """Read no columns of these names, and do not list them as left out."""
        lower = (name.lower().replace(" ", "_") for name in self.header)
        self._declined |= {at for at, name in enumerate(lower) if name in names}

    @property
    def left_out(self) -> list[str]:
        """The columns that were neither read nor declined, as texts for a warning."""
        unread = sorted(self._unread - self._declined)
        return [f"the column {self.header[at]!r} of {self.what}" for at in unread]

    def arrays(
        self, columns: Mapping[str, int], converters: Mapping[str, Converter]
    ) -> dict[str, NDArray[Any]]:
        """Return columns as arrays.

        Args:
            columns: The position of the column of each role.
            converters: How to convert the texts of some roles; the other columns hold numbers, see
                `floats`. While a converter is called, `size` counts the rows before its texts.

        Raises:
            ValueError: Rows have another number of values than the header, or values are wrong. The
                message lists the first wrong value of each column.
        """
        self._unread = set(range(len(self.header))) - set(columns.values())
        self._problems = {}
        stopped = []
        found: dict[str, NDArray[Any]] = {}
        try:
            found = self._read(columns, converters)
        except ValueError as error:
            if not self._problems:
                raise
            # The rows after this one cannot be read.
            stopped.append(str(error))
        raise_all([*map(str, self._problems.values()), *stopped])
        return found

    def names(self, role: str, texts: Texts) -> Texts:
        """Return the names of neurons in the rows after `size`; those with a `fault` are wrong."""
        if self.exact:
            return texts
        try:
            return tuple(map(self._spelled.__getitem__, texts))
        except KeyError as error:
            fix = fault(error.args[0]) or ""
            wrong = [at for at, text in enumerate(texts) if fault(text)]
            self.refuse(role, "the name of a neuron", texts, wrong, fix=fix)
        return texts

    def types(self, texts: Texts) -> Texts:
        """Return the names of types; whole numbers may be written as floats."""
        return texts if self.exact else tuple(map(spelled, texts))

    def floats(self, role: str, texts: Texts) -> NDArray[np.float32]:
        """Return numbers in the rows after `size` as float32.

        A text that is no number, or not finite in float32, or a weight that becomes 0 is wrong.
        """
        try:
            if "_" in "".join(texts):
                raise ValueError
            values = np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            wrong = [at for at, text in enumerate(texts) if not is_number(text)]
            self.refuse(role, "a number", texts, wrong)
            return np.zeros(len(texts), np.float32)
        return self.narrow(role, values, lambda at: texts[at])

    def narrow(
        self, role: str, values: NDArray[np.float64], text: Callable[[int], str]
    ) -> NDArray[np.float32]:
        """Return numbers in the rows after `size` as float32, given the text of each number."""
        with np.errstate(over="ignore", under="ignore"):
            narrow = values.astype(np.float32)
        wrong = np.flatnonzero(~np.isfinite(narrow)).tolist()
        expected = "finite in float32"
        if not wrong and role == "weight":
            # A coordinate may be rounded to 0, but a weight of 0 would no longer be a synapse.
            zeros = np.flatnonzero(narrow == 0).tolist()
            wrong = [at for at in zeros if not is_zero(text(at))]
            expected = f"0 or at least {np.finfo(np.float32).smallest_subnormal:.2g} in size"
        if wrong:
            self.refuse(role, expected, {at: text(at) for at in wrong}, wrong)
        return narrow

    def indices(self, role: str, texts: Texts, below: int) -> NDArray[np.int64]:
        """Return the numbers of neurons in the rows after `size`, integers in [0, below)."""
        joined = "".join(texts)
        try:
            if not (joined.isascii() and joined.isdigit()):
                raise ValueError
            values = np.fromiter(map(int, texts), np.int64, len(texts))
            if len(values) and values.max() >= below:
                raise ValueError
        except (ValueError, OverflowError):
            wrong = [
                at
                for at, text in enumerate(texts)
                if not (text.isascii() and text.isdigit() and int(text[:20]) < below)
            ]
            fix = "correct the row, or leave num_nodes= out, and the texts become names"
            self.refuse(role, f"a neuron in [0, {below})", texts, wrong, fix=fix)
            return np.zeros(len(texts), np.int64)
        return values

    def members(self, role: str, texts: Texts, index: Mapping[str, int]) -> NDArray[np.int64]:
        """Return the numbers of neurons in the rows after `size` by their names in `index`."""
        try:
            return np.fromiter(map(index.__getitem__, texts), np.int64, len(texts))
        except KeyError:
            wrong = [at for at, text in enumerate(texts) if text not in index]
            fix = "add it to the table of neurons, or correct the row"
            self.refuse(role, "in the table of neurons", texts, wrong, fix=fix)
        return np.zeros(len(texts), np.int64)

    def refuse(
        self,
        role: str,
        expected: str,
        texts: Texts | Mapping[int, str],
        wrong: Sequence[int],
        *,
        fix: str = "",
    ) -> None:
        """Record, or raise, that the values of a role at the positions `wrong` are wrong."""
        # The names of a converted text may be right where its spelling has no entry.
        if not wrong:
            return
        text, row = texts[wrong[0]], self.size + wrong[0] + 1
        if not fix:
            comma = text.count(",") == 1 and is_number(text.replace(",", "."))
            fix = "write a decimal point" if comma else "correct the row"
            fix += f", or pass {self._option}={{{role!r}: None}} to leave the column out"
        told = f"the {role} of {self.what} must be {expected}, got {text[:50]!r} in row {row}"
        if not self.collects:
            raise ValueError(f"{told}; {fix}")
        first = self._problems.setdefault(role, _Problem(told, fix))
        first.rows += len(wrong)


@dataclass
class _Problem:
    """What is wrong in some rows of a column.

    Attributes:
        told: The first of them.
        fix: What to do.
        rows: The number of these rows.
    """

    told: str
    fix: str
    rows: int = 0

    def __str__(self) -> str:
        more = self.rows - 1
        others = f" (and {more} more row{'s' if more > 1 else ''})" if more else ""
        return f"{self.told}{others}; {self.fix}"


def raise_all(problems: Sequence[str]) -> None:
    """Raise one error for all problems of a table, if there are any."""
    if len(problems) == 1:
        raise ValueError(problems[0])
    if problems:
        listed = " ".join(f"({number}) {each}." for number, each in enumerate(problems, 1))
        raise ValueError(f"{len(problems)} things are wrong: {listed}")


def is_number(text: str) -> bool:
    """Return whether a text is a number, finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    # Python reads 1_0 as 10, which is not a number in a table.
    return "_" not in text


def is_zero(text: str) -> bool:
    """Return whether a number that became 0 was written as 0."""
    digits = text.lower().partition("e")[0]
    return not any(digit.isdigit() and digit != "0" for digit in digits)
