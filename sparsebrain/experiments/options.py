"""Checks of the arguments of ``compare``, ``reproduce`` and the study of error diffusion.

The first argument of each check is the caller's name of the value, ``epochs`` in Python and
``--epochs`` on the command line, so that messages use the caller's terms. All checks raise
TypeError for wrong types and ValueError for wrong values.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from graphs import arguments, paths
from sparsebrain.experiments import texts as read_texts
from sparsebrain.locations import OpenTable

# Larger numbers are mistakes, and would never finish.
MOST_EPOCHS = 1_000_000
MOST_SEEDS = 10_000
MOST_TRIALS = 100_000
MOST_SEED = 2**63 - 1
MOST_JOBS = 10_000
MOST_NULLS = 1_000_000
MOST_SAMPLES = 10_000_000
MOST_LOOPS = 100_000
MOST_NEURONS = 10_000_000
MOST_PARTS = 2**20
# All inhibit each other.
MOST_EXCITATORY = 10_000
# What to do if a file cannot be read.
CONFIG_FIX = "pass a file such as results/run.toml, which a comparison writes"
FILE_FIX = (
    "pass a file written by graphs.save, and convert others with graphs.load, which has options "
    "for them"
)


_AFTER_PATH = re.compile(
    r"(?P<path>.*),(?P<option>symmetric|null)=(?P<value>(?<=symmetric=)true|(?<=null=)[\w.:-]+)"
)


class OptionError(ValueError):
    """An argument whose value turns out to be unusable while it is used.

    Attributes:
        option: Name of the argument, such as ``"data_dir"``.
        reason: What is wrong, and what to pass instead.
    """

    def __init__(self, option: str, reason: str) -> None:
        # Exceptions from other processes are made again from these arguments.
        super().__init__(option, reason)
        self.option = option
        self.reason = reason

    def __str__(self) -> str:
        return self.told(self.option)

    def told(self, name: str) -> str:
        """Return the message with the caller's name of the option."""
        return f"{name}: {self.reason}"


def epochs(name: str, value: object) -> int:
    """Return a number of epochs."""
    return arguments.count(name, value, at_least=1, at_most=MOST_EPOCHS)


def seeds(name: str, value: object) -> int:
    """Return a number of seeds."""
    return arguments.count(name, value, at_least=1, at_most=MOST_SEEDS)


def seed(name: str, value: object) -> int:
    """Return a seed."""
    return arguments.count(name, value, at_most=MOST_SEED)


def trials(name: str, value: object) -> int:
    """Return a number of trials."""
    return arguments.count(name, value, at_least=1, at_most=MOST_TRIALS)


def samples(name: str, value: object) -> int:
    """Return a number of null graphs."""
    return arguments.count(name, value, at_least=1, at_most=MOST_NULLS)


def excitatory(name: str, value: object) -> int:
    """Return a number of excitatory neurons that inhibit each other."""
    return arguments.count(name, value, at_least=1, at_most=MOST_EXCITATORY)


def images(name: str, value: object) -> int:
    """Return a number of images."""
    return arguments.count(name, value, at_least=1, at_most=MOST_SAMPLES)


def batch_size(name: str, value: object) -> int:
    """Return a number of samples per step; batch normalization has no variance of one sample."""
    return arguments.count(name, value, at_least=2, at_most=MOST_SAMPLES)


def jobs(name: str, value: object) -> int:
    """Return a number of simultaneous trainings, or -1 for one per core."""
    if type(value) is int and value == -1:
        return -1
    try:
        return arguments.count(name, value, at_least=1, at_most=MOST_JOBS)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{error}, or {name}=-1 for one training per core") from None


def learning_rate(name: str, value: object) -> float | None:
    """Return a learning rate; None means each rule's own."""
    return None if value is None else arguments.real(name, value, positive=True)


def names(name: str, value: object, known: Iterable[str] | OpenTable[Any]) -> tuple[str, ...]:
    """Return names if all are known and different."""
    chosen = texts(name, value, example=next(iter(known)))
    for at, each in enumerate(chosen):
        # An option of the command line is repeated, so it has no index.
        option = name if name.startswith("-") else f"{name}[{at}]"
        if isinstance(known, OpenTable):
            known.choose(option, each)
        else:
            arguments.option(option, each, known)
    return chosen


def texts(name: str, value: object, *, example: str) -> tuple[str, ...]:
    """Return the different strings of a sequence of at least one; a single string is refused."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        fix = value if isinstance(value, str) else example
        raise TypeError(
            f"{name} must be a sequence of strings, got {value!r} of type {type(value).__name__}; "
            f"pass {name}=[{fix!r}]"
        )
    for each in value:
        if not isinstance(each, str):
            raise TypeError(
                f"{name} must be a sequence of strings, but {each!r} is of type "
                f"{type(each).__name__}; pass for example {name}=[{example!r}]"
            )
    if not value:
        raise ValueError(f"{name} must not be empty; pass for example {name}=[{example!r}]")
    once(name, value)
    return tuple(value)


def once(name: str, value: Sequence[str]) -> None:
    """Raise ValueError if a string is given twice."""
    twice = [each for at, each in enumerate(value) if each in value[:at]]
    if twice:
        raise ValueError(f"{name} has {twice[0]!r} twice; pass {name}={twice[0]!r} once")


def sheet(name: str, value: object) -> tuple[int, ...]:
    """Return the shape of a lattice from a string such as ``28x28``."""
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be a string, got {value!r} of type {type(value).__name__}; pass for "
            f"example {name}='28x28'"
        )
    try:
        sides = read_texts.shape(value)
    except read_texts.NotReadableError:
        sides = ()
    if not 1 <= len(sides) <= 3 or min(sides) < 1 or math.prod(sides) > MOST_NEURONS:
        raise ValueError(
            f"{name} must be 1 to 3 integers >= 1, separated by x, whose product is at most "
            f"{MOST_NEURONS}, got {value!r}; pass for example {name}=28x28"
        )
    return sides


def path(name: str, value: object) -> Path:
    """Return the path of a file or folder."""
    if not isinstance(value, str | os.PathLike) or isinstance(value, bytes):
        raise TypeError(
            f"{name} must be a path, got {value!r} of type {type(value).__name__}; pass a string "
            f"or a pathlib.Path, such as {name}='results'"
        )
    text = os.fspath(value)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise ValueError(f"{name} must be a path, got {text!r}; pass for example {name}=results")
    return Path(text)


def out_folder(name: str, value: object) -> Path:
    """Return the path of a folder that exists or can be made."""
    folder = path(name, value)
    try:
        above = next(each for each in (folder, *folder.parents) if each.exists())
    except OSError as error:
        raise ValueError(
            f"{name} cannot be a folder: {error.strerror}, {shortened(folder)}; pass the path of "
            "another folder"
        ) from None
    if not above.is_dir():
        raise ValueError(f"{name} must be a folder, but {above} is a file; pass another path")
    return folder


def saved_file(name: str, value: object) -> Path:
    """Return the path of a connectome's file that exists."""
    try:
        return paths.file(name, value, FILE_FIX)
    except FileNotFoundError as error:
        raise ValueError(f"{name}: {error}") from None


def config_file(name: str, value: object) -> Path:
    """Return the path of a file with settings that exists."""
    try:
        return paths.file(name, path(name, value), CONFIG_FIX)
    except FileNotFoundError as error:
        raise ValueError(f"{name}: {error}") from None


def page_file(name: str, value: object) -> Path:
    """Return the path of an HTML page that can be written, in a folder that exists."""
    file = path(name, value)
    if file.suffix.lower() not in (".html", ".htm"):
        raise ValueError(
            f"{name} must end in .html, got {shortened(file)}; pass for example {name}=report.html"
        )
    return _in_a_folder(name, file)


def split_path(text: str) -> tuple[str, dict[str, str]]:
    """Split ``PATH,symmetric=true,null=rewire_degrees`` into the path and the options after it.

    The path may contain commas and equality signs.
    """
    found: dict[str, str] = {}
    while match := _AFTER_PATH.fullmatch(text):
        if match["option"] in found:
            break
        text, found[match["option"]] = match["path"], match["value"]
    return text, found


def new_file(name: str, value: object) -> Path:
    """Return the path of a connectome's file that can be written, in a folder that exists."""
    # This imports torch, which the other options do not need.
    from graphs.io.formats import format_of  # noqa: PLC0415

    file = path(name, value)
    try:
        format_of(file, written=True)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return _in_a_folder(name, file)


def new_file_or_folder(name: str, value: object) -> Path:
    """Return the path of a new connectome's file, or of a folder, which has no suffix."""
    return new_file(name, value) if path(name, value).suffix else out_folder(name, value)


def parts(name: str, value: object) -> int:
    """Return a number of parts."""
    return arguments.count(name, value, at_least=1, at_most=MOST_PARTS)


def _in_a_folder(name: str, file: Path) -> Path:
    """Return the path of a file that can be made in a folder that exists."""
    try:
        if file.is_dir():
            raise ValueError(f"{name} must be a file, but {file} is a folder; pass another path")
        there = file.absolute().parent.is_dir()
    except OSError:
        there = False
    if not there:
        raise ValueError(
            f"{name} must be in a folder that exists, got {shortened(file)}; make the folder, or "
            "pass another path"
        )
    return file


def data_folder(name: str, value: object) -> Path | None:
    """Return the path of a folder that exists; None means the default."""
    if value is None:
        return None
    folder = path(name, value)
    try:
        there = folder.is_dir()
    except OSError:
        there = False
    if not there:
        raise ValueError(
            f"{name} must be a folder with the files of the data set, but {shortened(folder)} is "
            f"no folder; pass the path of one, or leave {name} out"
        )
    return folder


def shortened(folder: Path) -> str:
    """Return a path as a string, without the middle of a very long one."""
    text = str(folder)
    return text if len(text) <= 200 else f"{text[:90]}...{text[-90:]}"
