"""Checks of plain options, with one wording for all."""

from __future__ import annotations

from collections.abc import Iterable


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """ValueError unless ``value`` is one of ``choices``."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """TypeError unless ``value`` is an int, ValueError if it is less than ``least``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__} ({value!r}).")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
