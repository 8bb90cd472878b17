"""How the tables of other programs call neurons: which texts are one name, and which are none."""

import re
import unicodedata
from collections.abc import Iterable

# What dataframes, spreadsheets and databases write where a value is missing; NA also in lower case
# would be the name of a cell.
_MISSING = frozenset({"", "nan", "none", "null", "n/a", "<na>", "nat", "nil"})
_COMMENTS = ("#", "%", "//")
# A whole number that went through a float, and one whose last digits may have been lost on the way.
_WHOLE = re.compile(r"(-?)([0-9]++)\.0*")
_EXPONENT = re.compile(r"-?[0-9]+(\.[0-9]*)?[eE]\+[0-9]+|-?[0-9]+\.[0-9]*[eE][0-9]+")
_EXACT = 2**53
_MOST_DIGITS = 16


def fault(text: str) -> str | None:
    """Return why a text calls no neuron, and what to do; None if it does."""
    if text.casefold() in _MISSING or text == "NA":
        return "it stands for a missing value; name the neuron, or delete the row"
    if text.startswith(_COMMENTS):
        return "it looks like a comment; delete the row, or rename the neuron"
    whole = _WHOLE.fullmatch(text)
    digits = whole[2].lstrip("0") if whole else ""
    cut = len(digits) > _MOST_DIGITS or int(digits or "0") >= _EXACT
    if cut or _EXPONENT.fullmatch(text):
        return (
            "a dataframe or a spreadsheet made a float of the number, which cuts its last digits; "
            "read the original as text, such as pandas.read_csv(path, dtype=str), and write it anew"
        )
    return None


def spelled(text: str) -> str:
    """Return a name as another column of the table would have it: the integer of a whole float."""
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        return text
    digits = whole[2].lstrip("0")
    return whole[1] + digits if digits else "0"


def near_alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names, in the order given, that differ by case or leading zeros only."""
    seen: dict[str, str] = {}
    for name in names:
        digits = name.isascii() and name.isdigit()
        plain = name.lstrip("0") if digits else unicodedata.normalize("NFC", name).casefold()
        other = seen.setdefault(plain, name)
        if other is not name:
            return other, name
    return None
