"""Checks of paths; they import neither torch nor PyG, so that a missing file is found at once."""

import os
from pathlib import Path
from typing import Any

from graphs import arguments


def path(name: str, value: Any) -> Path:
    """Return the path that an argument states.

    Raises:
        TypeError: The value is neither a str nor an `os.PathLike` of str.
        ValueError: The path is empty or contains the character NUL.
    """
    try:
        text = os.fspath(value)
    except TypeError:
        text = value
    if not isinstance(text, str):
        raise TypeError(
            f"{name} must be a str or an os.PathLike, got {arguments.described(value)}; "
            f"pass {name}='connectome.npz'"
        )
    if not text or "\0" in text:
        raise ValueError(
            f"{name} must be the path of a file, got {text!r}; pass {name}='connectome.npz'"
        )
    return Path(text)


def file(name: str, value: Any, fix: str) -> Path:
    """Return the path of an existing regular file.

    Args:
        name: The name of the argument.
        value: The argument.
        fix: What to pass instead.

    Raises:
        TypeError: The value is not a path.
        FileNotFoundError: There is no such file, or it is a folder or another special file.
    """
    found = path(name, value)
    if not os.path.isfile(found):
        what = "does not exist"
        if os.path.lexists(found):
            what = "is a folder" if os.path.isdir(found) else "is not a regular file"
        raise FileNotFoundError(f"the file {str(found)!r} {what}; {fix}")
    return found
