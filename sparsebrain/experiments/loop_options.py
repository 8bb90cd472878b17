"""Parsing of loops: a number, or an equilibrium."""

from __future__ import annotations

from typing import NamedTuple

from graphs import arguments
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.experiments import texts
from sparsebrain.experiments.options import MOST_LOOPS

_KIND = "equilibrium"
# lipschitz= is for activations that are functions, which no text can express.
_READERS = texts.readers_of(Equilibrium, without=("lipschitz",))


class LoopsOption(NamedTuple):
    """Loops of a layer.

    Attributes:
        spec: The number or text that result tables contain.
        value: The ``loops`` argument of the layer.
    """

    spec: int | str
    value: int | Equilibrium


def parse_loops(given: int | str, name: str = "loops") -> LoopsOption:
    """Parse a number, or ``equilibrium:option=value,option=value``.

    Args:
        given: The number, or the text of a number or of an equilibrium, whose options are the
            arguments of :class:`~sparsebrain.equilibrium.Equilibrium`.
        name: Name of the argument, for messages.

    Returns:
        The loops.

    Raises:
        TypeError: ``given`` is neither an int nor a string.
        ValueError: The text, an option or a value is unknown, or the number is less than 1.

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
