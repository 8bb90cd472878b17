"""Paths of files with samples, as texts; this module does not import torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*DELIMITERS, ".npz")

_LABEL = re.compile(r"(?P<path>.*),label=(?P<label>[^,]+)")


class Place(NamedTuple):
    """A file with samples.

    Attributes:
        path: Its path.
        label: The column of the labels; None for the last one.
    """

    path: Path
    label: str | None


def place(text: str) -> Place:
    """Return the path and the column that a text such as ``mine.csv,label=species`` states."""
    match = _LABEL.fullmatch(text)
    return Place(Path(match["path"]), match["label"]) if match else Place(Path(text), None)


def is_file(text: object) -> bool:
    """Return whether a text has the form of the path of a file with samples.

    Example:
        >>> is_file("mine.csv,label=species"), is_file("digits")
        (True, False)
    """
    return isinstance(text, str) and place(text).path.name.lower().removesuffix(".gz").endswith(
        SUFFIXES
    )
