"""The null models by name: random connectomes that keep some properties of a connectome."""

from collections.abc import Callable
from typing import Literal

from torch_geometric.data import Data

from graphs.transforms.blocks import rewire_populations
from graphs.transforms.rewiring import rewire_degrees, rewire_lengths, rewire_reciprocal
from graphs.transforms.weights import shuffle_weights

NullName = Literal[
    "rewire_degrees",
    "rewire_reciprocal",
    "rewire_lengths",
    "rewire_populations",
    "shuffle_weights",
]
# The help of the commands parses these tables from the source, without importing them.
REWIRINGS: dict[NullName, Callable[..., Data]] = {
    "rewire_degrees": rewire_degrees,
    "rewire_reciprocal": rewire_reciprocal,
    "rewire_lengths": rewire_lengths,
    "rewire_populations": rewire_populations,
}
"""The null models that change which neurons are connected."""

NULL_MODELS: dict[NullName, Callable[..., Data]] = {
    "rewire_degrees": rewire_degrees,
    "rewire_reciprocal": rewire_reciprocal,
    "rewire_lengths": rewire_lengths,
    "rewire_populations": rewire_populations,
    "shuffle_weights": shuffle_weights,
}
"""All null models: functions of a connectome and ``seed``."""
