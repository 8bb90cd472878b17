"""Parsing of ``option=value,option=value`` by the types of a function's arguments."""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from graphs import arguments

Reader = Callable[[str], Any]

# Options whose name changed before the first release.
_RENAMED = {
    "neurons": "num_nodes",
    "synapses": "num_edges",
    "synapses_per_neuron": "edges_per_node",
}
_WORDS = {"true": True, "false": False}


class NotReadableError(ValueError):
    """A text is not a value of its type; the message completes "option='text' ..."."""


def read_options(kind: str, rest: str, known: Mapping[str, Reader]) -> tuple[str, dict[str, Any]]:
    """Parse ``option=value,option=value``.

    Args:
        kind: Name of what takes the options, for messages.
        rest: Text of the options.
        known: Every option, and the reader of its value.

    Returns:
        The text and the values, both in the order of ``known``.

    Raises:
        ValueError: An option is unknown or given twice, or its value cannot be read.
    """
    options: dict[str, Any] = {}
    stated: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        key, equals, text = (part.strip() for part in item.partition("="))
        if _RENAMED.get(key) in known and key not in known:
            raise ValueError(
                f"cannot read {item!r}; {key}= is now called {_RENAMED[key]}=, write "
                f"{_RENAMED[key]}={text}"
            )
        if key not in known or not equals:
            told = ", ".join(f"{name}=" for name in known)
            near = difflib.get_close_matches(key, known, 1)
            fix = f"write option=value, with the options {told}" if known else f"write {kind} alone"
            fix += f"; did you mean {near[0]}=?" if near and near[0] != key else ""
            raise ValueError(f"cannot read {item!r}; {fix}")
        if key in options:
            raise ValueError(f"{key} is given twice; write {key}= once")
        stated[key] = text
        try:
            options[key] = known[key](text)
        except NotReadableError as error:
            raise ValueError(f"{key}={text!r} {error}") from None
    order = [key for key in known if key in options]
    told = ",".join(f"{key}={stated[key]}" for key in order)
    return told, {key: options[key] for key in order}


def unknown_kind(kind: str, known: Iterable[str]) -> str:
    """Return what is wrong with a kind of topology that is not known, and the nearest one."""
    known = [*known]
    near = difflib.get_close_matches(kind[:100], known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown kind {kind[:100]!r}; choose one of {', '.join(known)}{meant}"


def readers_of(function: Callable[..., Any], *, without: Sequence[str] = ()) -> dict[str, Reader]:
    """Return the reader of each argument of a function, by its type, in order.

    Arguments whose types no text can express, such as functions and arrays, are left out. The type
    of an argument without an annotation is that of its default, if this is a number or a text.

    Args:
        function: A function of annotated arguments, or a dataclass.
        without: Arguments to leave out.

    Returns:
        Readers by the names of the arguments.

    Raises:
        TypeError: An argument has neither a type annotation nor a default.

    Example:
        >>> import graphs
        >>> from sparsebrain.experiments.texts import readers_of
        >>> readers = readers_of(graphs.grid_local)
        >>> readers["shape"]("28x28"), readers["periodic"]("true")
        ((28, 28), True)
    """
    hints = typing.get_type_hints(function)
    readers: dict[str, Reader] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in without or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if isinstance(parameter.default, int | float | str):
            hints.setdefault(name, type(parameter.default))
        if name not in hints and parameter.default is not parameter.empty:
            continue
        if name not in hints:
            told = getattr(function, "__name__", repr(function))
            raise TypeError(
                f"argument {name} of {told} must have a type annotation; "
                f"write for example {name}: float"
            )
        reader = reader_of(name, hints[name])
        if reader is not None:
            readers[name] = reader
    return readers


def reader_of(name: str, hint: Any) -> Reader | None:
    """Return the reader of a type; None for a type that no text can express.

    In a union, sequences come first and strings last: ``float | Sequence[float]`` reads "2" as a
    number and "2x1" as two numbers.

    Args:
        name: Name of the argument, for messages.
        hint: The type annotation.
    """
    members = [hint]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [each for each in typing.get_args(hint) if each is not types.NoneType]
    choices = [
        choice
        for each in members
        if typing.get_origin(each) is Literal
        for choice in typing.get_args(each)
    ]
    scalars = [each for each in _SCALARS if each in members]
    for each in members:
        item = (typing.get_args(each) or (None,))[0]
        if typing.get_origin(each) in (Sequence, list, tuple) and item in _SCALARS:
            return _reader_of_several(item, alone=item in scalars)
    if scalars:
        return _SCALARS[scalars[0]][0]
    if str in members:
        return str
    return _reader_of_choice(name, choices) if choices else None


def integer(text: str) -> int:
    """Read an integer."""
    try:
        return int(text)
    except ValueError:
        raise NotReadableError("is not an integer; write for example 5") from None


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise NotReadableError("is not a number; write for example 2.5") from None


def flag(text: str) -> bool:
    """Read true or false."""
    if text.lower() not in _WORDS:
        raise NotReadableError("is neither true nor false; write one of them")
    return _WORDS[text.lower()]


_SCALARS: dict[Any, tuple[Reader, str]] = {
    bool: (flag, "truth values; write true, or truexfalse with one for each axis"),
    int: (integer, "integers; write for example 28x28"),
    float: (number, "numbers; write for example 2.5, or 20x10 with one for each axis"),
}


def shape(text: str) -> tuple[int, ...]:
    """Read the shape of a lattice, such as ``28x28``."""
    sides: tuple[int, ...] = _reader_of_several(int, alone=False)(text)
    return sides


def _reader_of_several(item: Any, *, alone: bool) -> Reader:
    """Return the reader of values separated by x; if ``alone``, one value is not a sequence."""
    read, told = _SCALARS[item]

    def several(text: str) -> Any:
        try:
            values = tuple(read(part) for part in text.split("x"))
        except NotReadableError:
            raise NotReadableError(f"does not consist of {told}") from None
        return values[0] if alone and len(values) == 1 else values

    return several


def _reader_of_choice(name: str, choices: Sequence[object]) -> Reader:
    def choice(text: str) -> str:
        arguments.option(name, text, choices)
        return text

    return choice
