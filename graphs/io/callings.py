"""Names of neurons in tables of other programs: which are valid, and which are likely equal."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

# Signs of a missing value in dataframes, spreadsheets and databases; NA in lower case would be the
# name of a cell.
_MISSING = frozenset({"", "nan", "none", "null", "n/a", "<na>", "nat", "nil"})
_COMMENTS = ("#", "%", "//")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# A whole number that was a float, and one whose last digits the float may have lost.
_WHOLE = re.compile(r"(-?)([0-9]++)\.0*")
_EXPONENT = re.compile(r"-?[0-9]+(\.[0-9]*)?[eE]\+[0-9]+|-?[0-9]+\.[0-9]*[eE][0-9]+")
_EXACT = 2**53
_MOST_DIGITS = 16


def fault(text: str) -> str | None:
    """Return why a text is not the name of a neuron and what to do, or None if it is one."""
    if text.isascii() and text.isdigit():
        return None
    if text.casefold() in _MISSING or text == "NA":
        return "it is a sign of a missing value; name the neuron, or delete the row"
    if text.startswith(_COMMENTS):
        return "it looks like a comment; delete the row, or rename the neuron"
    if _CONTROL.search(text):
        return "it has a control character; save the table as UTF-8 text, or rename the neuron"
    whole = _WHOLE.fullmatch(text)
    digits = whole[2].lstrip("0") if whole else ""
    cut = len(digits) > _MOST_DIGITS or int(digits or "0") >= _EXACT
    if cut or _EXPONENT.fullmatch(text):
        return (
            "it is a number that a dataframe or spreadsheet has stored as a float, which cuts its "
            "last digits; read the original as text, such as pandas.read_csv(path, dtype=str), and "
            "write it again"
        )
    return None


def spelled(text: str) -> str:
    """Return the integer of a whole float, as another column of the table would have it."""
    whole = _WHOLE.fullmatch(text) if "." in text else None
    if whole is None:
        return text
    digits = whole[2].lstrip("0")
    return whole[1] + digits if digits else "0"


def near_alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names, in the order given, that look alike.

    They differ only by case, leading zeros, or invisible or full-width characters.
    """
    seen: dict[str, str] = {}
    for name in names:
        plain = name.casefold()
        if not name.isascii():
            shown = (each for each in name if unicodedata.category(each) != "Cf")
            plain = unicodedata.normalize("NFKC", "".join(shown)).casefold()
        if plain.isascii() and plain.isdigit():
            plain = plain.lstrip("0")
        other = seen.setdefault(plain, name)
        if other is not name:
            return other, name
    return None


def is_whole(text: str) -> bool:
    """Return whether a text is an integer >= 0, as Python writes it, that fits into int64."""
    plain = text.isascii() and text.isdigit() and (text[0] != "0" or text == "0")
    return plain and (len(text) < 19 or (len(text) == 19 and int(text) < 2**63))


def ordered(texts: Sequence[str]) -> list[int]:
    """Return the positions of names in the order of neurons.

    Integers >= 0 are ordered by value, if all names are, and other names alphabetically.
    """
    whole = all(map(is_whole, texts))
    keys: list[Any] = list(map(int, texts)) if whole else list(texts)
    return sorted(range(len(texts)), key=keys.__getitem__)


def are_numbers(names: Sequence[str]) -> bool:
    """Return whether names are 0 to N - 1 in order, so that they say nothing."""
    return all(name == str(number) for number, name in enumerate(names))
