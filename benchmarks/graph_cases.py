"""What a generator or a measure of ``graphs`` is compared with, and what makes both the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import igraph
import networkx
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from torch_geometric.data import Data

from benchmarks.equality import WrongResultError

OURS = "graphs"
SIGMA = 5.0
"""Standard errors by which results that are drawn may differ: a false alarm in 10^6 cases."""


class Candidate(NamedTuple):
    """Who does the work of a case, and how."""

    run: Callable[[Any], Any]
    numbers: Callable[[Any], ArrayLike] = np.asarray
    """What is compared, of what ``run`` returned."""
    power: float = 1.0
    """Time grows at least as this power of the neurons."""
    most: int = 1_000_000
    """Neurons beyond which it is not tried, for its graph alone takes gigabytes."""
    other: str = ""
    """How its work differs, where it does; no goal is judged by it then."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A generator, given the number of neurons, or a measure, given a graph of so many."""

    family: str
    candidates: Mapping[str, Candidate]
    tolerance: Callable[[int, Any], ArrayLike] = lambda _neurons, _ours: 0.0
    """Largest difference of ``numbers`` by neurons and by what the run of ours returned."""
    graph: Callable[[int], Data] | None = None
    directed: bool = True

    def given(self, name: str, neurons: int) -> Any:
        """What a candidate is called with; making it is nobody's time."""
        if self.graph is None:
            return neurons
        data = self.graph(neurons)
        return CONVERSIONS[name](data, self.directed)

    def assert_equal(self, title: str, neurons: int, results: Mapping[str, Any]) -> None:
        """Compare what all candidates returned with ours.

        Raises:
            WrongResultError: the numbers of one are others.
        """
        ours = np.asarray(self.candidates[OURS].numbers(results[OURS]), dtype=np.float64)
        allowed = np.asarray(self.tolerance(neurons, results[OURS]), dtype=np.float64)
        for name, result in results.items():
            theirs = np.asarray(self.candidates[name].numbers(result), dtype=np.float64)
            if theirs.shape != ours.shape:
                raise WrongResultError(
                    f"{title}, {neurons} neurons: {name} has shape {list(theirs.shape)}, "
                    f"{OURS} {list(ours.shape)}; it was not timed."
                )
            # Written so that NaN fails too.
            wrong = ~(np.abs(theirs - ours) <= allowed)
            if wrong.any():
                at = np.flatnonzero(wrong.ravel())[0]
                raise WrongResultError(
                    f"{title}, {neurons} neurons: {name} has {theirs.ravel()[at]:.10g}, {OURS} "
                    f"{ours.ravel()[at]:.10g}, allowed are {float(allowed.max()):.3g} between "
                    "them; it was not timed."
                )


def rounding(_neurons: int, _ours: Any) -> float:
    """Sums of at most some million terms near 1, in another order."""
    return 1e-9


def synapses(graph: Any) -> int:
    """How many synapses the graph of any library has; an undirected edge is two."""
    if isinstance(graph, Data):
        return int(graph.num_edges)
    if isinstance(graph, torch.Tensor):
        return int(graph.shape[1])
    if isinstance(graph, igraph.Graph):
        return int(graph.ecount()) * (1 if graph.is_directed() else 2)
    if isinstance(graph, networkx.Graph):
        return int(graph.number_of_edges()) * (1 if graph.is_directed() else 2)
    return int(graph.nnz)


def _chosen(data: Data, directed: bool) -> NDArray[np.bool_]:
    source, target = data.edge_index.numpy()
    return source != target if directed else source < target


def _pairs(data: Data, directed: bool) -> NDArray[np.int64]:
    return data.edge_index.numpy().T[_chosen(data, directed)]


def _weights(data: Data, directed: bool) -> NDArray[np.float64] | None:
    """The weights of the pairs, or None without any."""
    if "edge_weight" not in data:
        return None
    return data.edge_weight.numpy()[_chosen(data, directed)].astype(np.float64)


def _networkx(data: Data, directed: bool) -> networkx.Graph:
    made = networkx.DiGraph() if directed else networkx.Graph()
    made.add_nodes_from(range(data.num_nodes))
    pairs, weight = _pairs(data, directed).tolist(), _weights(data, directed)
    if weight is None:
        made.add_edges_from(pairs)
    else:
        made.add_weighted_edges_from(
            (*pair, each) for pair, each in zip(pairs, weight.tolist(), strict=True)
        )
    return made


def _igraph(data: Data, directed: bool) -> igraph.Graph:
    made = igraph.Graph(data.num_nodes, _pairs(data, directed), directed=directed)
    weight = _weights(data, directed)
    if weight is not None:
        made.es["weight"] = weight.tolist()
    return made


def _scipy(data: Data, _directed: bool) -> Any:
    source, target = _pairs(data, directed=True).T
    weight = _weights(data, directed=True)
    values = np.ones(len(source)) if weight is None else weight
    return coo_array((values, (source, target)), shape=(data.num_nodes,) * 2).tocsr()


CONVERSIONS: dict[str, Callable[[Data, bool], Any]] = {
    OURS: lambda data, _directed: data,
    "networkx": _networkx,
    "igraph": _igraph,
    "scipy": _scipy,
    "numpy": lambda data, _directed: data,
}
"""The same graph for each library, without self-loops; undirected ones have each pair once."""
