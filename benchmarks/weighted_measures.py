"""Measures that read weights, and those of other libraries, on graphs with whole weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import igraph
import networkx
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csgraph
from torch_geometric.data import Data

import graphs
from benchmarks.graph_cases import OURS, Candidate, Case, rounding
from benchmarks.graph_generators import DEGREE

_SOURCES = 64
_GROUP = 100
_NETWORKX_MOST = 100_000
_WEIGHT = "edge_weight"
_STEPS = 3


def _weighted(neurons: int) -> Data:
    data = graphs.small_world(neurons, DEGREE, 0.1, seed=0)
    drawn = np.random.default_rng(0).geometric(0.2, data.num_edges)
    data.edge_weight = torch.from_numpy(drawn.astype(np.float32))
    return data


def _case(
    ours: Candidate | Callable[[Data], Any],
    tolerance: Callable[[int, Any], ArrayLike] = rounding,
    **peers: Candidate,
) -> Case:
    one = ours if isinstance(ours, Candidate) else Candidate(ours)
    return Case(
        family="measure",
        candidates={OURS: one, **peers},
        tolerance=tolerance,
        graph=_weighted,
    )


def _networkx(run: Callable[[Any], Any], **others: Any) -> Candidate:
    return Candidate(run, most=_NETWORKX_MOST, **others)


def _by_neuron(found: Mapping[int, float]) -> NDArray[np.float64]:
    return np.array([found[each] for each in sorted(found)])


def _groups(neurons: int) -> NDArray[np.int64]:
    return np.arange(neurons) // _GROUP


def _sources(neurons: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(1).choice(neurons, min(_SOURCES, neurons), replace=False))


def _lengths(matrix: Any) -> Any:
    inverse = matrix.copy()
    inverse.data = 1 / inverse.data
    return inverse


def _mean_length_by_scipy(matrix: Any) -> float:
    distance = csgraph.dijkstra(_lengths(matrix), indices=_sources(matrix.shape[0]))
    return float(distance[np.isfinite(distance)].sum() / (np.isfinite(distance).sum() - _SOURCES))


def _mean_length_by_igraph(graph: igraph.Graph) -> float:
    inverse = 1 / np.asarray(graph.es["weight"])
    total = pairs = 0.0
    for source in _sources(graph.vcount()).tolist():
        row = np.asarray(graph.distances(source, weights=inverse, mode="out")[0])
        total += row[np.isfinite(row)].sum()
        pairs += np.isfinite(row).sum() - 1
    return total / pairs


def _betweenness_by_networkx(graph: networkx.DiGraph) -> dict[int, float]:
    chosen = _sources(len(graph)).tolist()
    found = networkx.betweenness_centrality_subset(graph, chosen, list(graph))
    scale = len(graph) / len(chosen)
    return {each: scale * value for each, value in found.items()}


def _dense_shares(matrix: Any) -> NDArray[np.float64]:
    """The product of a few rows with SciPy's sparse matrix of shares."""
    shares = matrix / matrix.sum(axis=0)
    rows = shares[[0]]
    total = rows.toarray()
    for _ in range(_STEPS - 1):
        rows = rows @ shares
        total += rows.toarray()
    return np.asarray(total)


WEIGHTED: dict[str, Case] = {
    "strength": _case(
        graphs.strength,
        networkx=_networkx(
            lambda graph: dict(graph.in_degree(weight="weight")), numbers=_by_neuron
        ),
        igraph=Candidate(lambda graph: graph.strength(mode="in", weights="weight")),
        scipy=Candidate(lambda matrix: matrix.sum(axis=0)),
    ),
    "clustering, weighted": _case(
        Candidate(
            lambda data: graphs.clustering(
                data, directed=True, max_sources=data.num_nodes, weight=_WEIGHT
            ),
            lambda found: found.value,
        ),
        networkx=_networkx(lambda graph: networkx.average_clustering(graph, weight="weight")),
    ),
    "modularity, weighted": _case(
        lambda data: graphs.modularity(data, _groups(data.num_nodes), weight=_WEIGHT),
        networkx=_networkx(
            lambda graph: networkx.community.modularity(
                graph,
                [range(at, min(at + _GROUP, len(graph))) for at in range(0, len(graph), _GROUP)],
            )
        ),
        igraph=Candidate(
            lambda graph: graph.modularity(_groups(graph.vcount()).tolist(), weights="weight")
        ),
    ),
    "communities, weighted": _case(
        Candidate(
            lambda data: (data, graphs.communities(data, trials=1, weight=_WEIGHT)),
            lambda found: graphs.modularity(*found, weight=_WEIGHT),
        ),
        # Each finds a local maximum of its own.
        lambda _neurons, _ours: 0.02,
        networkx=_networkx(
            lambda graph: (graph, networkx.community.louvain_communities(graph, seed=0)),
            numbers=lambda found: networkx.community.modularity(*found),
        ),
    ),
    "communities by Leiden's method": _case(
        Candidate(
            lambda data: (
                data,
                graphs.communities(data, trials=1, weight=_WEIGHT, method="leiden"),
            ),
            lambda found: graphs.modularity(*found, weight=_WEIGHT),
        ),
    ),
    f"path_length, weighted, {_SOURCES} sources": _case(
        Candidate(
            lambda data: graphs.path_length(data, max_sources=_SOURCES, weight=_WEIGHT, seed=1),
            lambda found: found.mean,
        ),
        igraph=Candidate(_mean_length_by_igraph),
        scipy=Candidate(_mean_length_by_scipy),
    ),
    f"betweenness, {_SOURCES} sources": _case(
        lambda data: graphs.betweenness(data, normalized=False, max_sources=_SOURCES, seed=1),
        tolerance=lambda neurons, _ours: neurons**2 * 1e-9,
        networkx=_networkx(_betweenness_by_networkx, numbers=_by_neuron),
    ),
    "pagerank": _case(
        graphs.pagerank,
        networkx=_networkx(lambda graph: networkx.pagerank(graph, tol=1e-14), numbers=_by_neuron),
        igraph=Candidate(lambda graph: graph.pagerank(weights="weight")),
    ),
    "by_type": _case(
        Candidate(
            lambda data: graphs.by_type(data, _groups(data.num_nodes)),
            lambda found: found.weight.sum(),
        ),
    ),
    "influence": _case(
        Candidate(
            lambda data: graphs.influence(data, [0], steps=_STEPS), lambda found: found.total
        ),
        scipy=Candidate(_dense_shares),
    ),
    "strongest_paths": _case(
        Candidate(
            lambda data: graphs.strongest_paths(
                data, range(_GROUP), range(_GROUP, 2 * _GROUP), steps=4, count=_GROUP
            ),
            lambda found: [path.strength for path in found],
        ),
    ),
    "against_nulls": _case(
        Candidate(
            lambda data: graphs.against_nulls(data, "reciprocity", samples=3),
            lambda found: found.value,
        ),
    ),
}
"""By what is called, as in ``MEASURES``."""
