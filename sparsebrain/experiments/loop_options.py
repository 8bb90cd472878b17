"""Loops as text: how many, or until nothing changes."""

from __future__ import annotations

from typing import NamedTuple

from graphs import arguments
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.experiments import texts

_KIND = "equilibrium"
# lipschitz= is for activations that are functions, which have no text.
_READERS = texts.readers_of(Equilibrium, without=("lipschitz",))


class LoopsOption(NamedTuple):
    """What a layer is made with, and the number or text by which results know it."""

    spec: int | str
    value: int | Equilibrium


def parse_loops(given: int | str) -> LoopsOption:
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
    kind, _, rest = str(given).strip().partition(":")
    if kind != _KIND:
        if isinstance(given, str) and not given.strip().isdecimal():
            raise ValueError(
                f"loops must be a number or {_KIND}, as in {_KIND}:tol=1e-3, got {given!r}."
            )
        number = int(given) if isinstance(given, str) else given
        loops = arguments.count("loops", number, at_least=1)
        return LoopsOption(loops, loops)
    what = f"loops {given!r}"
    name, options = texts.read_options(what, kind, rest, _READERS)
    try:
        value = Equilibrium(**options)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    return LoopsOption(f"{kind}:{name}" if name else kind, value)
