"""Checks of plain options, with one wording for all."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, SupportsIndex

from numpy.typing import NDArray


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """ValueError unless ``value`` is one of ``choices``."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_count(name: str, value: object, *, least: int = 1) -> int:
    """``value`` as an int: TypeError if it is none, ValueError if it is less than ``least``.

    Integers of NumPy count, as they come out of every loop over an array; a bool does not.
    """
    if type(value) is int and value >= least:
        # Asking for a protocol takes longer than a small kernel.
        return value
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{name} must be an int, got {type(value).__name__} ({value!r}).")
    count = operator.index(value)
    if count < least:
        raise ValueError(f"{name} must be at least {least}, got {count}.")
    return count


def check_flag(name: str, value: object) -> None:
    """TypeError unless ``value`` is a bool: any text would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {type(value).__name__} ({value!r}).")


def check_numbers(name: str, numbers: NDArray[Any], num_nodes: int) -> None:
    """ValueError that tells the first of ``numbers`` [K] which are not those of neurons."""
    wrong = numbers[(numbers < 0) | (numbers >= num_nodes)].tolist()
    if wrong:
        told = ", ".join(map(str, wrong[:8]))
        told += f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise ValueError(
            f"{name} must be from 0 to {num_nodes - 1}, the numbers of {num_nodes} neurons, but "
            f"{len(wrong)} of {len(numbers)} are not: {told}."
        )
