"""Null models: the random graphs that a measure is compared with."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from torch import Tensor
from torch_geometric.data import Data

from graphs import arguments
from graphs.contract import build, validate
from graphs.measures.adjacency import simple
from graphs.measures.reciprocal_synapses import reciprocity
from graphs.transforms.rewiring import rewire_degrees, rewire_reciprocal

# The number of null graphs, a function that makes one, or the graphs themselves.
Nulls = int | Callable[..., Data] | Iterable[Data]

NullModel = Literal["rewire_degrees", "rewire_reciprocal"]
_MODELS: dict[NullModel, Callable[..., Data]] = {
    "rewire_degrees": rewire_degrees,
    "rewire_reciprocal": rewire_reciprocal,
}

_GENERATED = 10
_MOST = 100_000


class NullGraphs(NamedTuple):
    """Null graphs and the name of their model.

    Attributes:
        model: A key of ``_MODELS``, the name of the function that makes the graphs, or ``"given"``.
        graphs: At least one graph.
    """

    model: str
    graphs: Iterable[Data]


def null_graphs(
    data: Data, nulls: Nulls, null_model: NullModel | None, rng: np.random.Generator
) -> NullGraphs:
    """Return the null graphs of a simple directed graph.

    Args:
        data: A connectome without self-loops and parallel synapses.
        nulls: A number of graphs, made by ``null_model``; a function, called as
            ``function(data, seed=generator)`` for each of ten graphs; or the graphs.
        null_model: The model of a number of graphs. None chooses ``"rewire_reciprocal"`` if all
            synapses are reciprocal, that is if the graph is undirected, and otherwise
            ``"rewire_degrees"``.
        rng: The source of randomness.
    """
    options = (None, *_MODELS)
    chosen = arguments.option("null_model", null_model, options)
    if arguments.is_function(nulls):
        _refuse_model(chosen, "a function")
        made = (_of_same_size(data, _called(nulls, data, each)) for each in rng.spawn(_GENERATED))
        return NullGraphs(getattr(nulls, "__name__", type(nulls).__name__), made)
    # Arrays, tensors, strings and mappings are iterable, but do not contain graphs.
    if isinstance(nulls, Iterable) and not isinstance(
        nulls, Data | str | bytes | Mapping | np.ndarray | Tensor
    ):
        _refuse_model(chosen, "graphs")
        given = [_of_same_size(data, each) for each in nulls]
        if not given:
            raise ValueError("nulls must hold at least one graph, got none; pass nulls=10")
        return NullGraphs("given", given)
    number = arguments.count("nulls", nulls, at_least=1, at_most=_MOST)
    if chosen is None:
        chosen = "rewire_reciprocal" if reciprocity(data) == 1 else "rewire_degrees"
    make = _MODELS[chosen]
    return NullGraphs(chosen, (make(data, seed=rng.spawn(1)[0]) for _ in range(number)))


def _called(function: Callable[..., Data], data: Data, rng: np.random.Generator) -> Data:
    try:
        return function(data, seed=rng)
    except TypeError as error:
        raise TypeError(
            f"nulls is called as nulls(data, seed=generator) if it is a function, but "
            f"{function!r} failed: {error}; pass a function such as graphs.rewire_degrees"
        ) from error


def _refuse_model(null_model: NullModel | None, nulls: str) -> None:
    if null_model is not None:
        raise ValueError(
            f"null_model names the model of a number of null graphs, got null_model={null_model!r} "
            f"with {nulls} as nulls; pass null_model=None, or nulls=10"
        )


def _of_same_size(data: Data, null: Any) -> Data:
    if not isinstance(null, Data):
        raise TypeError(
            f"nulls must be an integer, a function that returns a torch_geometric.data.Data, or an "
            f"iterable of them, got {null!r} of type {type(null).__name__} for a graph; "
            "pass nulls=10"
        )
    if validate(null).num_nodes != data.num_nodes:
        raise ValueError(
            f"nulls must have the {data.num_nodes} neurons of data, got one of {null.num_nodes}; "
            "pass a number to have them made, nulls=10"
        )
    return null


def bare(data: Data) -> Data:
    """Return the simple directed graph as a connectome without self-loops and other fields."""
    adjacency = simple(data).tocoo()
    return build(data.num_nodes, adjacency.row.astype(np.int64), adjacency.col.astype(np.int64))
