"""The settings of a comparison in a TOML file.

This module does not import torch, which takes seconds, so that a wrong file is reported at once.
"""

from __future__ import annotations

import difflib
import inspect
import json
import os
import shlex
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphs import arguments
from sparsebrain.experiments import options

NAME = "run.toml"
"""The file in the output folder of a comparison."""

_LARGEST = 2**20
_HEAD = """\
# Settings of a comparison. To repeat it, run: sparsebrain compare --config {path}
# Options on the command line take precedence. Relative paths start at the current folder.
"""
_OWN = """\
# Only Python can repeat it, as these were objects, which a file cannot hold: {names}
"""


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    r"""Read the settings of a comparison, such as for ``compare(**read_config("run.toml"))``.

    Args:
        path: A TOML file whose keys are arguments of :func:`~sparsebrain.experiments.compare`, as
            every comparison writes it into its output folder.

    Returns:
        The settings by name. ``compare`` checks their values.

    Raises:
        TypeError: ``path`` is not a path.
        ValueError: The file does not exist or is not TOML, or has an unknown key.
        OSError: The file cannot be read.

    Example:
        >>> import pathlib, tempfile
        >>> from sparsebrain.experiments import read_config
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "run.toml")
        ...     _ = path.write_text('topologies = ["grid", "none"]\nseeds = 3')
        ...     read_config(path)
        {'topologies': ['grid', 'none'], 'seeds': 3}
    """
    from sparsebrain.experiments.comparison import compare  # noqa: PLC0415

    known = inspect.signature(compare).parameters.keys() - {"console", "callbacks"}
    return read_settings("path", path, known)


def read_settings(name: str, path: object, known: Collection[str]) -> dict[str, Any]:
    """Return the settings in a TOML file.

    Args:
        name: The caller's name of the path.
        path: The path of the file.
        known: The keys that are allowed.

    Raises:
        TypeError: ``path`` is not a path.
        ValueError: The file does not exist or is not TOML, or has an unknown key.
        OSError: The file cannot be read.
    """
    file = options.config_file(name, path)
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST} bytes")
        found = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{name} must be a TOML file with settings of a comparison, but "
            f"{options.shortened(file)} is not: {error}; {options.CONFIG_FIX}"
        ) from None
    for key in found:
        if key not in known:
            nearest = difflib.get_close_matches(key[:100], known, 1)
            raise ValueError(
                f"{name} has the unknown key {arguments.shortened(key)} in "
                f"{options.shortened(file)}; write {' or '.join(nearest or sorted(known))}"
            )
    return found


def objects_in(**given: Any) -> list[str]:
    """Return the names of arguments of ``compare`` that hold objects instead of texts."""
    # This imports torch.
    from sparsebrain.experiments.checksums import is_of_a_package  # noqa: PLC0415

    held = {
        name: [value] if isinstance(value, str) or not isinstance(value, Collection) else value
        for name, value in given.items()
    }
    # A mapping holds labels, for which a file has no place.
    return [
        name
        for name, values in held.items()
        if isinstance(values, Mapping)
        or not all(
            isinstance(each, str) or (isinstance(each, type) and is_of_a_package(each))
            for each in values
        )
    ]


def write_config(out: Path, settings: Mapping[str, Any], own: Sequence[str]) -> None:
    """Write settings to ``run.toml`` in the output folder; either completely or not at all.

    Args:
        out: The folder, which exists.
        settings: The settings by name; those that are None are left out, as TOML has no null.
        own: The names of settings that were given as objects. Their values are the names that
            tables show for them, which a command refuses as unknown.

    Raises:
        OSError: The file cannot be written.
    """
    # This imports torch, which takes seconds and the help of a command does not need.
    from graphs.io.atomic import write_atomically  # noqa: PLC0415

    path = out / NAME
    text = _HEAD.format(path=shlex.quote(_one_line(path)))
    if own:
        text += _OWN.format(names=", ".join(map(_one_line, own)))
    text += "".join(
        f"{name} = {_value(value)}\n" for name, value in settings.items() if value is not None
    )
    write_atomically(path, lambda aside: aside.write_bytes(text.encode()))


def _value(value: Any) -> str:
    """Return a value in TOML, whose strings, numbers and lists are those of JSON but for DEL."""
    if isinstance(value, str | os.PathLike):
        # Bytes of a path that are not text become question marks, as TOML is UTF-8.
        text = os.fspath(value).encode(errors="replace").decode()
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)


def _one_line(text: object) -> str:
    return "".join(each if each.isprintable() else "?" for each in str(text))
