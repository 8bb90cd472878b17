"""Random graphs that measures are held against."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build, validate
from graphs.measures.adjacency import simple
from graphs.transforms.rewiring import rewire_degrees

# How many there are, a function that makes one, or the graphs themselves.
Nulls = int | Callable[..., Data] | Iterable[Data]

_GENERATED = 10


def null_graphs(data: Data, nulls: Nulls, rng: np.random.Generator) -> Iterable[Data]:
    """Return the null graphs of a simple directed graph, at least one.

    A number is that many of `graphs.rewire_degrees`; a function is called as
    ``function(data, seed=generator)`` for each of ten.
    """
    # A Data can be called and iterated as well.
    if callable(nulls) and not isinstance(nulls, Data):
        return (_of_same_size(data, nulls(data, seed=each)) for each in rng.spawn(_GENERATED))
    if isinstance(nulls, Iterable) and not isinstance(nulls, Data | str):
        given = [_of_same_size(data, each) for each in nulls]
        if not given:
            raise ValueError("nulls must hold at least one graph, got none; pass nulls=10")
        return given
    number = arguments.count("nulls", nulls, at_least=1)
    return (rewire_degrees(data, seed=rng.spawn(1)[0]) for _ in range(number))


def _of_same_size(data: Data, null: Any) -> Data:
    if validate(null).num_nodes != data.num_nodes:
        raise ValueError(
            f"nulls must have the {data.num_nodes} neurons of data, got one of {null.num_nodes}; "
            "pass a number to have them made, nulls=10"
        )
    return null


def bare(data: Data) -> Data:
    """Return the simple directed graph as a connectome of its own: no self-loops, no fields."""
    adjacency = simple(data).tocoo()
    return build(data.num_nodes, adjacency.row.astype(np.int64), adjacency.col.astype(np.int64))
