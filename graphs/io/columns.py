"""What the text of a table's column stands for: types by name or number, signs by transmitter."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import Data

from graphs.io.tables import is_whole

# Of the receptors that answer fastest. Glutamate excites in vertebrates and mostly inhibits in
# the fly; what other transmitters do depends on the receptor: the caller has to say it.
TRANSMITTER_SIGNS = {"acetylcholine": 1.0, "ach": 1.0, "gaba": -1.0, "glycine": -1.0}
_MOST_TOLD = 10


class Labels:
    """Texts numbered in the order in which they come, in `index`, and those of rows, in `codes`."""

    def __init__(self) -> None:
        self.index: defaultdict[str, int] = defaultdict(itertools.count().__next__)
        self._codes: list[NDArray[np.int64]] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of some texts."""
        return np.fromiter(map(self.index.__getitem__, texts), np.int64, len(texts))

    def add(self, texts: Sequence[str]) -> None:
        """Take the next rows."""
        self._codes.append(self.encode(texts))

    @property
    def codes(self) -> NDArray[np.int64]:
        """The numbers of all rows."""
        return join(self._codes, np.int64)


def join(pieces: Iterable[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    """Return the pieces of a column, of which there may be none, as one array."""
    return np.concatenate([np.empty(0, dtype), *pieces])


def type_texts(data: Data, field: str) -> Sequence[Any]:
    """Return the type of each row by its name, or by its number if names are missing or repeat."""
    numbers = data[field].cpu().numpy()
    names = data.get(f"{field}_names")
    if names is None or not _tell_apart(names):
        return numbers
    return [names[kind] for kind in numbers.tolist()]


def types(
    labels: Labels, names: list[str] | None, what: str
) -> tuple[NDArray[np.int64], list[str] | None]:
    """Return the number of each row's type, and the names of the types if they have any.

    `names` are stated by the file that `graphs.save` has written; another's types are numbers if
    all its texts are, and else numbered in the order of the alphabet.
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
            f"{what} must be one of those that are stated beside it, got {missing[0][:50]!r}; "
            "save the connectome anew"
        )
    return np.array(values, dtype=np.int64)[labels.codes], names


def _tell_apart(names: list[str]) -> bool:
    return len(set(names)) == len(names)


def signs(labels: Labels, chosen: Mapping[str, float] | None, option: str) -> NDArray[np.float32]:
    """Return the sign of each row's transmitter, told in any case of letters.

    `option` is the argument by which the column can be left out.
    """
    known = {**TRANSMITTER_SIGNS}
    for transmitter, sign in (chosen or {}).items():
        if sign not in (-1, 0, 1):
            raise ValueError(
                f"transmitter_signs must be -1, 0 (unknown) or 1, got {sign!r} for "
                f"{transmitter!r}; leave the column out with {option}={{'transmitter': None}}"
            )
        known[transmitter.strip().lower()] = float(sign)
    texts = list(labels.index)
    unknown = [text for text in texts if text.strip().lower() not in known]
    codes = labels.codes
    if unknown:
        rows = np.bincount(codes)
        told = [f"{text[:50]!r} ({rows[labels.index[text]]} rows)" for text in unknown[:_MOST_TOLD]]
        # No sign is proposed: glutamate excites in vertebrates, and inhibits in much of a fly.
        fix = "{" + ", ".join(f"{text[:50]!r}: ..." for text in unknown[:_MOST_TOLD]) + "}"
        raise ValueError(
            f"no sign is known for the transmitters {', '.join(told)}"
            f"{' and more' if len(unknown) > _MOST_TOLD else ''}; pass transmitter_signs={fix} "
            "with 1, -1 or 0 (unknown) for each, or leave the column out, "
            f"{option}={{'transmitter': None}}"
        )
    values = [known[text.strip().lower()] for text in texts]
    return np.array(values, dtype=np.float32)[codes]
