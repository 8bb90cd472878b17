"""Checks of the options of `graphs.load`."""

from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from graphs import arguments, memory, paths
from graphs.io.duplicates import DUPLICATES

# csv cannot use these as delimiters.
_QUOTING = '"\r\n'
_MOST_COLUMNS = 2**16


def _text(name: str, value: Any) -> str | None:
    """Return a str or None."""
    if value is None or isinstance(value, str):
        return value
    raise TypeError(
        f"{name} must be a str or None, got {arguments.described(value)}; pass {name}=None"
    )


def _delimiter(name: str, value: Any) -> str | None:
    """Return one character that csv can use as a delimiter, or None."""
    text = _text(name, value)
    if text is not None and (len(text) != 1 or text in _QUOTING):
        raise ValueError(
            f"{name} must be one character other than a quote or a line end, got {text!r}; pass "
            f"{name}=';'"
        )
    return text


def _columns(name: str, value: Any) -> dict[str, str | int | None]:
    """Return the columns by their roles; the table checks the roles."""
    if value is None:
        return {}
    example = f"pass {name}={{'type': 'class'}}"
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} must be a dict from roles to names of columns, got "
            f"{arguments.described(value)}; {example}"
        )
    for role, each in value.items():
        if isinstance(role, str) and isinstance(each, int) and not isinstance(each, bool):
            arguments.count(f"{name}[{role!r}]", each, at_most=_MOST_COLUMNS)
        elif not isinstance(role, str) or not isinstance(each, str | None):
            odd = role if isinstance(each, str | None) else each
            raise TypeError(
                f"{name} must map a str to a str, a position or None, got "
                f"{arguments.described(odd)}; {example}"
            )
    return dict(value)


def _transmitter_signs(name: str, value: Any) -> dict[str, float]:
    """Return the signs of transmitters by their names."""
    if value is None:
        return {}
    example = f"pass {name}={{'glutamate': 1}}"
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(
            f"{name} must be a dict from names of transmitters to signs, got "
            f"{arguments.described(value)}; {example}"
        )
    for transmitter, sign in value.items():
        if isinstance(sign, bool) or not isinstance(sign, Real) or sign not in (-1, 0, 1):
            raise ValueError(
                f"{name} must be -1, 0 (unknown) or 1, got {arguments.described(sign)} for "
                f"{transmitter!r}; {example}, or leave the column out with "
                "columns={'transmitter': None} or neuron_columns={'transmitter': None}"
            )
    return {transmitter: float(sign) for transmitter, sign in value.items()}


def _neurons(name: str, value: Any) -> Path | None:
    """Return the path of an existing file, or None."""
    fix = f"pass {name}= the path of the file that lists the neurons"
    return None if value is None else paths.file(name, value, fix)


def _num_nodes(name: str, value: Any) -> int | None:
    """Return a number of neurons that fits into memory, or None."""
    if value is None:
        return None
    neurons = arguments.count(name, value)
    memory.check(name, "pass the number of neurons", neurons=neurons)
    return neurons


OPTIONS: dict[str, Callable[[str, Any], Any]] = {
    "neurons": _neurons,
    "num_nodes": _num_nodes,
    "columns": _columns,
    "neuron_columns": _columns,
    "transmitter_signs": _transmitter_signs,
    "delimiter": _delimiter,
    "population": _text,
    "variable": _text,
    "duplicates": lambda name, value: arguments.option(name, value, DUPLICATES),
}
"""The check of each option that a format may take; it returns the value."""
