"""Measures of ``graphs`` and those of other libraries, on graphs of about ten synapses a neuron."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import igraph
import networkx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csgraph
from scipy.sparse.linalg import eigs
from torch_geometric.data import Data

import graphs
from benchmarks.graph_cases import OURS, SIGMA, Candidate, Case, rounding
from benchmarks.graph_generators import DEGREE
from graphs.measures.triads import TRIADS

SOURCES = 256
_GROUP = 100
_NETWORKX_MOST = 100_000
"""Its graph of a million neurons and ten million synapses takes some gigabytes."""


def _small_world(neurons: int) -> Data:
    return graphs.small_world(neurons, DEGREE, 0.1, seed=0)


def _undirected(neurons: int) -> Data:
    return graphs.small_world(neurons, DEGREE, 0.1, directed=False, seed=0)


def _sparse(neurons: int) -> Data:
    return graphs.erdos_renyi(neurons, probability=2 / neurons, seed=0)


def _hubs(neurons: int) -> Data:
    return graphs.barabasi_albert(neurons, DEGREE // 2, seed=0)


def _networkx(run: Callable[[Any], Any], **others: Any) -> Candidate:
    return Candidate(run, most=_NETWORKX_MOST, **others)


def _case(
    ours: Candidate | Callable[[Data], Any],
    graph: Callable[[int], Data] = _small_world,
    tolerance: Callable[[int, Any], ArrayLike] = rounding,
    directed: bool = True,
    **peers: Candidate,
) -> Case:
    one = ours if isinstance(ours, Candidate) else Candidate(ours)
    return Case(
        family="measure",
        candidates={OURS: one, **peers},
        tolerance=tolerance,
        graph=graph,
        directed=directed,
    )


def _first(result: Sequence[float]) -> float:
    return result[0]


def _sampled(_neurons: int, ours: Any) -> float:
    # Both draw sources, so that both have the standard error of ours.
    return float(SIGMA * np.sqrt(2) * ours[1])


def _drawn_sources(neurons: int) -> list[int]:
    rng = np.random.default_rng(1)
    return rng.choice(neurons, min(SOURCES, neurons), replace=False).tolist()


def _mean_of_searches(graph: networkx.DiGraph) -> float:
    total = pairs = 0
    for source in _drawn_sources(len(graph)):
        found = networkx.single_source_shortest_path_length(graph, source)
        total, pairs = total + sum(found.values()), pairs + len(found) - 1
    return total / pairs


def _mean_of_rows(graph: igraph.Graph) -> float:
    total = pairs = 0
    # Row by row: all of them are lists of a quarter of a gigabyte for each million neurons.
    for source in _drawn_sources(graph.vcount()):
        row = np.asarray(graph.distances(source, mode="out")[0])
        finite = np.isfinite(row)
        total, pairs = total + row[finite].sum(), pairs + finite.sum() - 1
    return float(total / pairs)


def _mean_of_matrix(matrix: Any) -> float:
    distance = csgraph.shortest_path(matrix, unweighted=True)
    finite = np.isfinite(distance)
    return float(distance[finite].sum() / (finite.sum() - matrix.shape[0]))


def _mean_of_some_rows(matrix: Any) -> float:
    sources = _drawn_sources(matrix.shape[0])
    total = pairs = 0
    for source in sources:
        distance = csgraph.dijkstra(matrix, indices=np.array([source]), unweighted=True)
        finite = np.isfinite(distance)
        total, pairs = total + distance[finite].sum(), pairs + finite.sum() - 1
    return float(total / pairs)


def _mean_inverse(graph: igraph.Graph) -> float:
    return float(np.mean(graph.harmonic_centrality(mode="out")))


def _total_length(data: Data) -> float:
    source, target = data.edge_index.numpy()
    pos = data.pos.numpy().astype(np.float64)
    return float(np.linalg.norm(pos[target] - pos[source], axis=1).sum())


def _sizes(groups: Iterable[Any]) -> NDArray[np.int64]:
    return np.sort([len(group) for group in groups])


def _counted(part: ArrayLike) -> NDArray[np.int64]:
    return np.sort(np.bincount(np.asarray(part)))


def _parts(connection: Literal["strong", "weak"]) -> Case:
    connected = getattr(networkx, f"{connection}ly_connected_components")
    return _case(
        Candidate(lambda data: graphs.components(data, connection=connection), _counted),
        _sparse,
        networkx=_networkx(lambda graph: list(connected(graph)), numbers=_sizes),
        igraph=Candidate(
            lambda graph: graph.connected_components(mode=connection).membership, numbers=_counted
        ),
        scipy=Candidate(
            lambda matrix: csgraph.connected_components(matrix, connection=connection)[1], _counted
        ),
    )


def _neighborhoods(neurons: int) -> NDArray[np.int64]:
    return np.arange(neurons) // _GROUP


def _groups_of(graph: networkx.Graph) -> list[range]:
    return [range(at, min(at + _GROUP, len(graph))) for at in range(0, len(graph), _GROUP)]


def _histogram(degrees: Iterable[int]) -> Mapping[int, int]:
    return Counter(degrees)


def _numbers(histogram: Mapping[int, int]) -> list[tuple[int, int]]:
    return sorted(histogram.items())


def _clubs(coefficient: Mapping[int, float]) -> list[float]:
    return [coefficient[at] for at in sorted(coefficient)]


def _tail(data: Data) -> list[float]:
    found = graphs.fit_power_law(data)
    return [found.xmin, found.alpha, found.distance]


def _igraph_tail(graph: igraph.Graph) -> list[float]:
    found = igraph.power_law_fit(graph.degree())
    return [found.xmin, found.alpha, found.D]


def _magnitudes(values: NDArray[np.complex128]) -> NDArray[np.float64]:
    return np.sort(np.abs(values))[::-1][:2]


def _share_within(partition: Callable[[Any], Any], graph: Any) -> tuple[Any, Any]:
    return partition(graph), graph


def _of_communities(found: tuple[Any, Any]) -> float:
    """The modularity, by ours for whoever found them."""
    groups, graph = found
    if isinstance(graph, Data):
        return graphs.modularity(graph, groups)
    if isinstance(graph, igraph.Graph):
        return float(graph.modularity(groups))
    return float(networkx.community.modularity(graph, groups))


MEASURES: dict[str, Case] = {
    "path_length, all sources": _case(
        Candidate(
            lambda data: graphs.path_length(data, max_sources=data.num_nodes), _first, power=2.0
        ),
        networkx=_networkx(networkx.average_shortest_path_length, power=2.0),
        igraph=Candidate(lambda graph: graph.average_path_length(), power=2.0),
        scipy=Candidate(_mean_of_matrix, power=2.0, most=10_000),
    ),
    f"path_length, {SOURCES} sources": _case(
        Candidate(lambda data: graphs.path_length(data, max_sources=SOURCES), _first),
        tolerance=_sampled,
        networkx=_networkx(_mean_of_searches),
        igraph=Candidate(_mean_of_rows),
        scipy=Candidate(_mean_of_some_rows),
    ),
    "efficiency, all sources": _case(
        Candidate(
            lambda data: graphs.efficiency(data, max_sources=data.num_nodes), _first, power=2.0
        ),
        _undirected,
        directed=False,
        networkx=_networkx(networkx.global_efficiency, power=2.0),
        igraph=Candidate(_mean_inverse, power=2.0),
    ),
    "clustering": _case(
        Candidate(lambda data: graphs.clustering(data, max_sources=data.num_nodes), _first),
        _undirected,
        directed=False,
        networkx=_networkx(networkx.average_clustering),
        igraph=Candidate(lambda graph: graph.transitivity_avglocal_undirected(mode="zero")),
    ),
    "clustering, directed": _case(
        Candidate(
            lambda data: graphs.clustering(data, directed=True, max_sources=data.num_nodes), _first
        ),
        networkx=_networkx(networkx.average_clustering),
    ),
    "triad_census": _case(
        Candidate(graphs.triad_census, lambda found: list(found.values())),
        # Counts beyond 2^53 are rounded by those who compare them.
        tolerance=lambda neurons, _ours: neurons**3 * 1e-15,
        networkx=_networkx(networkx.triadic_census, numbers=lambda found: list(found.values())),
        igraph=Candidate(
            lambda graph: graph.triad_census(),
            lambda found: [getattr(found, f"t{kind}") for kind in TRIADS],
        ),
    ),
    "strongly_connected": _case(
        graphs.strongly_connected,
        _sparse,
        networkx=_networkx(
            lambda graph: max(map(len, networkx.strongly_connected_components(graph))) / len(graph)
        ),
        igraph=Candidate(
            lambda graph: max(graph.connected_components(mode="strong").sizes()) / graph.vcount()
        ),
        scipy=Candidate(
            lambda matrix: (
                np.bincount(csgraph.connected_components(matrix, connection="strong")[1]).max()
                / matrix.shape[0]
            )
        ),
    ),
    "wiring_length": _case(
        Candidate(graphs.wiring_length, lambda found: found.total),
        # On a ring of radius 1.
        tolerance=lambda neurons, _ours: neurons * 1e-9,
        numpy=Candidate(_total_length),
    ),
    "summary": _case(Candidate(graphs.summary, lambda found: found.num_edges)),
    "reciprocity": _case(
        graphs.reciprocity,
        networkx=_networkx(networkx.overall_reciprocity),
        igraph=Candidate(lambda graph: graph.reciprocity()),
    ),
    "components, strong": _parts("strong"),
    "components, weak": _parts("weak"),
    "degree_distribution": _case(
        Candidate(graphs.degree_distribution, lambda found: np.stack(found, axis=1)),
        networkx=_networkx(
            lambda graph: _histogram(degree for _, degree in graph.in_degree()), numbers=_numbers
        ),
        igraph=Candidate(lambda graph: _histogram(graph.indegree()), _numbers),
    ),
    "modularity": _case(
        lambda data: graphs.modularity(data, _neighborhoods(data.num_nodes)),
        networkx=_networkx(lambda graph: networkx.community.modularity(graph, _groups_of(graph))),
        igraph=Candidate(lambda graph: graph.modularity(_neighborhoods(graph.vcount()).tolist())),
    ),
    "communities": _case(
        Candidate(
            lambda data: _share_within(lambda one: graphs.communities(one, trials=1), data),
            _of_communities,
        ),
        _undirected,
        # Each finds a local maximum of its own.
        lambda _neurons, _ours: 0.02,
        directed=False,
        networkx=_networkx(
            lambda graph: _share_within(
                lambda one: networkx.community.louvain_communities(one, seed=0), graph
            ),
            numbers=_of_communities,
        ),
        igraph=Candidate(
            lambda graph: _share_within(lambda one: one.community_multilevel().membership, graph),
            _of_communities,
        ),
    ),
    "rich_club": _case(
        Candidate(graphs.rich_club, lambda found: found.coefficient[::2]),
        _hubs,
        directed=False,
        networkx=_networkx(
            lambda graph: networkx.rich_club_coefficient(graph, normalized=False), numbers=_clubs
        ),
    ),
    "fit_power_law": _case(
        _tail,
        _hubs,
        # Exponents up to where each stops to look for the largest likelihood.
        lambda _neurons, _ours: [0.0, 2e-3, 2e-3],
        directed=False,
        igraph=Candidate(_igraph_tail),
    ),
    "spectrum": _case(
        Candidate(graphs.spectrum, _magnitudes),
        tolerance=lambda _neurons, _ours: 1e-6,
        networkx=_networkx(networkx.adjacency_spectrum, numbers=_magnitudes, power=3.0),
        scipy=Candidate(lambda matrix: eigs(matrix, k=2, return_eigenvectors=False), _magnitudes),
    ),
    "small_worldness": _case(
        Candidate(lambda data: graphs.small_worldness(data, nulls=2), lambda found: found.sigma),
    ),
}
"""By what is called. Peers get their own graph ready-made; ours reads the Data at every call."""
