"""Options as text; what cannot be read is a ValueError that says what it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def read_options(
    what: str, kind: str, rest: str, known: Mapping[str, Callable[[str], Any]]
) -> tuple[str, dict[str, Any]]:
    """Read ``option=value,option=value`` into that text and its values, in the order of ``known``.

    Args:
        what: names the whole in errors, such as "topology 'grid:distance=2'".
        kind: what takes the options.
        rest: their text.
        known: every option, and what reads its value.
    """
    options: dict[str, Any] = {}
    stated: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        key, equals, text = (part.strip() for part in item.partition("="))
        if key not in known or not equals:
            told = ", ".join(f"{name}=" for name in known) or "no options"
            raise ValueError(f"cannot read {item!r} in {what}; {kind} takes {told}.")
        if key in options:
            raise ValueError(f"{what} states {key} twice.")
        stated[key] = text
        try:
            options[key] = known[key](text)
        except ValueError as error:
            raise ValueError(f"{what}: {key}={text!r} is no {error}.") from None
    order = [key for key in known if key in options]
    told = ",".join(f"{key}={stated[key]}" for key in order)
    return told, {key: options[key] for key in order}


def integer(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("whole number") from None


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("number") from None


def flag(text: str) -> bool:
    """Read true or false."""
    if text.lower() not in ("true", "false"):
        raise ValueError("truth value; write true or false")
    return text.lower() == "true"


def shape(text: str) -> tuple[int, ...]:
    """Read the sides of a lattice, such as ``28x28``."""
    try:
        return tuple(int(side) for side in text.split("x"))
    except ValueError:
        raise ValueError("shape; write sides such as 28x28") from None


def extent(text: str) -> tuple[float, ...]:
    """Read the sides of a box, such as ``20x10``."""
    try:
        return tuple(float(side) for side in text.split("x"))
    except ValueError:
        raise ValueError("extent; write sides such as 20x10") from None


def lengths(text: str) -> float | tuple[float, ...]:
    """Read one length for all axes, or one for each."""
    try:
        lengths = tuple(float(length) for length in text.split("x"))
    except ValueError:
        raise ValueError("length; write 2.4, or one for each axis such as 2x1") from None
    return lengths[0] if len(lengths) == 1 else lengths
