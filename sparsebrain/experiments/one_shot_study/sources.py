"""Where the characters of the study come from, as text.

This module does not import torch, which takes seconds, so that texts are checked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from graphs import arguments
from sparsebrain.experiments.options import shortened


class DataSet(NamedTuple):
    """Published handwriting.

    Attributes:
        role: Whether its characters are "known" or "new" unless the text says so.
        openml_name: Its name at OpenML.
        classes: Labels in its files are less than this.
        training: The number of training images at OpenML, which come first; None if they are not
            told apart from test images.
        first: The first label at OpenML that counts.
        last: The last one.
        files: The files in a folder.
    """

    role: str
    openml_name: str
    classes: int
    training: int | None
    first: int
    last: int
    files: str


_IDX = "{name}.npz, the four IDX files in {name}/, or the files {published}"

DATASETS: dict[str, DataSet] = {
    "kmnist": DataSet(
        *("known", "Kuzushiji-MNIST", 10, 60_000, 0, 9),
        _IDX.format(name="kmnist", published="kmnist-train-imgs.npz and so on"),
    ),
    "kuzushiji-49": DataSet(
        *("known", "Kuzushiji-49", 49, 232_365, 0, 48),
        _IDX.format(name="kuzushiji-49", published="k49-train-imgs.npz and so on"),
    ),
    # OpenML has no EMNIST Letters; the classes 10 to 35 of EMNIST Balanced are the capitals.
    "emnist-letters": DataSet(
        *("new", "EMNIST_Balanced", 27, None, 10, 35),
        _IDX.format(
            name="emnist-letters", published="emnist-letters-train-images-idx3-ubyte and so on"
        ),
    ),
}
"""Handwriting by name."""

ROLES = ("known", "new")


class Source(NamedTuple):
    """What replaces the known or the new characters of the package.

    Attributes:
        role: "known" or "new".
        name: A key of :data:`DATASETS`, or the path of a file as text.
        path: The file, or None for a data set.
    """

    role: str
    name: str
    path: Path | None


def parse(option: str, text: str) -> Source:
    """Read ``[known:|new:]NAME`` or ``known:FILE`` or ``new:FILE``.

    Args:
        option: The name of the option, for messages.
        text: The text.

    Raises:
        ValueError: The text is none of them, or the file does not exist.
    """
    role, colon, name = text.strip().partition(":")
    if role not in ROLES or not colon:
        role, name = "", text.strip()
    if name in DATASETS:
        return Source(role or DATASETS[name].role, name, None)
    known = ", ".join(DATASETS)
    example = f"pass for example {option}=kmnist or {option}=known:FILE.npz"
    path = Path(name)
    try:
        there = bool(name.strip()) and "\0" not in name and path.is_file()
    except OSError:
        there = False
    if not role:
        reason = "does not say which of them it is" if there else "is none of these"
        raise ValueError(
            f"{option} must be {known}, known:FILE or new:FILE, but {arguments.shortened(text)} "
            f"{reason}; {example}"
        )
    if not there:
        raise ValueError(
            f"{option}: {arguments.shortened(shortened(path))} is neither a file nor one of "
            f"{known}; {example}"
        )
    return Source(role, name, path)


def parse_all(option: str, texts: Sequence[str]) -> tuple[Source, ...]:
    """Read texts of which at most one is for known and one for new characters.

    Raises:
        ValueError: As for :func:`parse`, or two texts have one role.
    """
    found = [parse(option, each) for each in texts]
    for role in ROLES:
        same = [text for text, each in zip(texts, found, strict=True) if each.role == role]
        if len(same) > 1:
            raise ValueError(
                f"{option} must have at most one source of {role} characters, got "
                f"{' and '.join(map(repr, same))}; pass one of them, or put {role}: and the other "
                "role before their names"
            )
    if len(found) == 2 and found[0][1:] == found[1][1:]:
        raise ValueError(
            f"{option} has {found[0].name!r} both as known and as new characters; pass another "
            "source for one of them"
        )
    return tuple(found)
