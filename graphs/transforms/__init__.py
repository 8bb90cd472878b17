"""Connectomes made from other connectomes."""

from graphs.transforms.blocks import rewire_populations
from graphs.transforms.collapsing import collapse
from graphs.transforms.lesions import lesion, subgraph
from graphs.transforms.matching import match
from graphs.transforms.nesting import nest
from graphs.transforms.rewiring import rewire_degrees, rewire_lengths, rewire_reciprocal
from graphs.transforms.symmetry import symmetrize
from graphs.transforms.unions import join
from graphs.transforms.weights import shuffle_weights

__all__ = [
    "collapse",
    "join",
    "lesion",
    "match",
    "nest",
    "rewire_degrees",
    "rewire_lengths",
    "rewire_populations",
    "rewire_reciprocal",
    "shuffle_weights",
    "subgraph",
    "symmetrize",
]
