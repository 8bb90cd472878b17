"""Null models: random connectomes that keep some properties of a connectome and no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import validate_as
from graphs.transforms.null_models import REWIRINGS
from sparsebrain import locations

NULL = "null"
"""The option of texts of topologies, which is always the last one."""

Null: TypeAlias = Callable[..., Data]
NullLike: TypeAlias = str | Null

_TEXT = re.compile(rf"(?P<base>.+?)[:,]{NULL}=(?P<name>[\w.:-]+)")


class _NullTable(locations.OpenTable[Null]):
    """Null models, which functions of the user's own extend."""

    def adapt(self, name: str, found: Any) -> Null:
        """Return a function of the user's own; TypeError if it is something else."""
        return check_null(found, name)


NULLS: locations.OpenTable[Null] = _NullTable(
    "", {str(name): make for name, make in REWIRINGS.items()}
)
"""The null models by name: functions of a connectome and ``seed``.

Shuffled weights are none of them, because the networks of a comparison draw their own weights.
``NULLS["package.module:function"]`` imports one of the user's own.
"""

KEPT = {
    "rewire_degrees": "the in-degree and the out-degree of every neuron",
    "rewire_reciprocal": "the degrees and the number of reciprocal partners of every neuron",
    "rewire_lengths": "the degrees of every neuron and the lengths of synapses",
    "rewire_populations": "the number of synapses between every two populations",
}
"""What each null model keeps."""


def check_null(found: Any, name: str) -> Null:
    """Return a null model; TypeError if it is not a function."""
    if not callable(found) or isinstance(found, type):
        raise TypeError(
            f"the null model {name!r} must be a function of a connectome and seed=, got "
            f"{arguments.described(found)}; pass for example null='rewire_degrees'"
        )
    return found


def read_null(text: str) -> str:
    """Return the name of a null model from the text of a topology."""
    return NULLS.choose(NULL, text)


def draw_null(data: Data, name: str, seed: int) -> Data:
    """Draw a null model of a connectome.

    Args:
        data: The connectome.
        name: A key of :data:`NULLS`.
        seed: Random seed.

    Returns:
        ``NULLS[name](data, seed=seed)``.

    Raises:
        TypeError: The function does not return a connectome.
        ValueError: The null model does not exist for this connectome, or has another number of
            neurons or synapses.
    """
    drawn = NULLS[name](data, seed=seed)
    if not isinstance(drawn, Data):
        raise TypeError(
            f"the null model {name} must return a Data, got {arguments.described(drawn)}; return "
            "for example graphs.rewire_degrees(data, seed=seed)"
        )
    validate_as(f"the null model {name}", drawn)
    found, wanted = ((each.num_nodes, each.num_edges) for each in (drawn, data))
    if found != wanted:
        raise ValueError(
            f"the null model {name} must keep the {wanted[0]} neurons and {wanted[1]} synapses, "
            f"got {found[0]} and {found[1]}; return a connectome of the same size"
        )
    return drawn


def with_null(spec: str, kind: str, name: str) -> str:
    """Return the text of a topology with a null model.

    Args:
        spec: The text, with its options in order.
        kind: The kind of topology in it.
        name: The null model.

    Example:
        >>> with_null("grid", "grid", "rewire_degrees")
        'grid:null=rewire_degrees'
        >>> with_null("file:brain.npz", "file", "rewire_degrees")
        'file:brain.npz,null=rewire_degrees'
    """
    mark = ":" if spec == kind and not locations.is_location(kind) else ","
    return f"{spec}{mark}{NULL}={name}"


def split_null(spec: str) -> tuple[str, str]:
    """Return the text of a topology without its null model, and the null model or "".

    Example:
        >>> split_null("grid:distance=2,null=rewire_degrees")
        ('grid:distance=2', 'rewire_degrees')
    """
    match = _TEXT.fullmatch(spec)
    return (match["base"], match["name"]) if match else (spec, "")
