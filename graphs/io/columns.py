"""The meaning of the texts in a column: types by name or number, signs by transmitter."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.io.callings import is_whole
from graphs.io.left_out import warn

# The effect on the fastest receptors. Glutamate excites in vertebrates and mostly inhibits in the
# fly, and the effect of other transmitters depends on the receptor, so the caller has to state it.
TRANSMITTER_SIGNS = {"acetylcholine": 1.0, "ach": 1.0, "gaba": -1.0, "glycine": -1.0}
# Names of transmitters in published tables, such as those of FlyWire's Codex.
_SAME = {"glut": "glutamate", "da": "dopamine", "ser": "serotonin", "oct": "octopamine"}
_SAME |= {"5-ht": "serotonin", "5ht": "serotonin", "glu": "glutamate", "ach": "acetylcholine"}
_MOST_TOLD = 10


class Labels:
    """Texts, numbered in order of appearance.

    Attributes:
        index: The number of each text.
    """

    def __init__(self) -> None:
        self.index: defaultdict[str, int] = defaultdict(itertools.count().__next__)

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of texts, and number new ones."""
        return np.fromiter(map(self.index.__getitem__, texts), np.int64, len(texts))

    def texts(self, codes: NDArray[np.int64]) -> list[str]:
        """Return the texts that have these numbers."""
        known = list(self.index)
        return [known[code] for code in codes.tolist()]


def type_texts(data: Data, field: str) -> Sequence[Any]:
    """Return the type of each row as its name, or as its number if names are missing or repeat."""
    numbers = data[field].cpu().numpy()
    names = data.get(f"{field}_names")
    if names is None or not _tell_apart(names):
        return numbers
    return [names[kind] for kind in numbers.tolist()]


def types(
    labels: Labels, codes: NDArray[np.int64], names: list[str] | None, what: str
) -> tuple[NDArray[np.int64], list[str] | None]:
    """Return the number of each row's type, and the names of the types if they have any.

    Args:
        labels: The texts of the column.
        codes: The number of each row's text.
        names: The names of types in the header of `graphs.save`, if any. Without them, types are
            numbers if all texts are, and are otherwise numbered in alphabetic order.
        what: The name of the column in messages.

    Raises:
        ValueError: A text is none of the names.
    """
    texts = list(labels.index)
    if names is None and not all(map(is_whole, texts)):
        names = sorted(texts)
    if names is not None and _tell_apart(names):
        places = {name: place for place, name in enumerate(names)}
        missing = [text for text in texts if text not in places]
        values = [places.get(text, 0) for text in texts]
    else:
        missing = [text for text in texts if not is_whole(text)]
        values = [] if missing else [int(text) for text in texts]
    if missing:
        raise ValueError(
            f"{what} must be one of the types in the .json file beside it, got "
            f"{missing[0][:50]!r}; "
            "save the connectome again"
        )
    return np.array(values, dtype=np.int64)[codes], names


def _tell_apart(names: list[str]) -> bool:
    """Return whether all names differ."""
    return len(set(names)) == len(names)


def signs(
    labels: Labels, codes: NDArray[np.int64], chosen: Mapping[str, float] | None, option: str
) -> NDArray[np.float32]:
    """Return the sign of each row's transmitter, in upper or lower case.

    Args:
        labels: The texts of the column.
        codes: The number of each row's text.
        chosen: The signs of further transmitters.
        option: The argument that can leave the column out.

    Returns:
        The signs; that of a transmitter without one is 0, unknown, and a warning names it.
    """
    known = known_signs(chosen)
    # The name in the table goes before its other names.
    known.update({name.strip().lower(): sign for name, sign in (chosen or {}).items()})
    texts = list(labels.index)
    found = [known.get(each.strip().lower(), known.get(transmitter_name(each))) for each in texts]
    unknown = [text for text, sign in zip(texts, found, strict=True) if sign is None]
    if unknown:
        named = [text for text in unknown if text.strip()]
        rows = np.bincount(codes, minlength=len(texts))
        told = [f"{text[:50]!r} ({rows[labels.index[text]]} rows)" for text in named[:_MOST_TOLD]]
        blank = sum(int(rows[labels.index[text]]) for text in unknown if not text.strip())
        if blank:
            told.append(f"none ({blank} rows)")
        # Propose no sign: glutamate excites in vertebrates and mostly inhibits in the fly.
        fix = "{" + ", ".join(f"{text[:50]!r}: ..." for text in named[:_MOST_TOLD]) + "}"
        unmet = [name for name in chosen or {} if transmitter_name(name) not in _names(texts)]
        if unmet:
            told.append(f"and no row has {unmet[0][:50]!r} of transmitter_signs")
        of_named = f"pass transmitter_signs={fix} with 1, -1 or 0 for each, or " if named else ""
        warn(
            f"the sign is 0 (unknown) for the transmitters {', '.join(told)}"
            f"{' and more' if len(named) > _MOST_TOLD else ''}, whose weights stay as they are; "
            f"{of_named}leave the column out, "
            f"{option}={{'transmitter': None}}"
        )
    return np.array([sign or 0.0 for sign in found], dtype=np.float32)[codes]


def known_signs(chosen: Mapping[str, float] | None) -> dict[str, float]:
    """Return the sign of each transmitter, by its full name, where it is known or chosen."""
    known = {transmitter_name(name): sign for name, sign in TRANSMITTER_SIGNS.items()}
    return {**known, **{transmitter_name(name): sign for name, sign in (chosen or {}).items()}}


def _names(texts: Sequence[str]) -> set[str]:
    """Return the full names of the transmitters in a column."""
    return {transmitter_name(each) for each in texts}


def transmitter_name(name: str) -> str:
    """Return the full name of a transmitter, in lower case."""
    plain = name.strip().lower()
    return _SAME.get(plain, plain)
