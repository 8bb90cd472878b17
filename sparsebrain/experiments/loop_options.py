"""Loops as text: how many, or until nothing changes."""

from __future__ import annotations

from typing import NamedTuple

from graphs import arguments
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.experiments import texts
from sparsebrain.experiments.options import MOST_LOOPS

_KIND = "equilibrium"
# lipschitz= is for activations that are functions, which have no text.
_READERS = texts.readers_of(Equilibrium, without=("lipschitz",))


class LoopsOption(NamedTuple):
    """What a layer is made with, and the number or text by which results know it."""

    spec: int | str
    value: int | Equilibrium


def parse_loops(given: int | str, name: str = "loops") -> LoopsOption:
    """Read a number, or ``equilibrium:option=value,option=value`` with those of an Equilibrium.

    Raises:
        ValueError: an unknown text, option or value, or a number less than 1. TypeError: neither.

    Example:
        >>> from sparsebrain.experiments.loop_options import parse_loops
        >>> parse_loops("20")
        LoopsOption(spec=20, value=20)
        >>> parse_loops("equilibrium:tol=1e-3").value
        Equilibrium(tol=0.001)
    """
    kind, _, rest = given.strip().partition(":") if isinstance(given, str) else ("", "", "")
    if kind != _KIND:
        try:
            number = texts.integer(given) if isinstance(given, str) else given
        except texts.NotReadableError:
            raise ValueError(
                f"{name} must be an integer >= 1 or {_KIND}, got {given!r}; pass for example "
                f"{name}=5 or {name}={_KIND}:tol=1e-3"
            ) from None
        loops = arguments.count(name, number, at_least=1, at_most=MOST_LOOPS)
        return LoopsOption(loops, loops)
    try:
        told, options = texts.read_options(kind, rest, _READERS)
        value = Equilibrium(**options)
    except ValueError as error:
        raise ValueError(f"{name}={given!r}: {error}") from None
    return LoopsOption(f"{kind}:{told}" if told else kind, value)
