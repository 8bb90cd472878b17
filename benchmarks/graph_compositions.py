"""Connectomes made of others, populations and null models, about ten synapses a neuron."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import igraph
import networkx
from torch_geometric.data import Data

import graphs
from benchmarks.graph_cases import OURS, SIGMA, Candidate, Case, synapses
from benchmarks.graph_generators import DEGREE

_PARTS = 10
_COPIED = 4
_INHIBITORY = 0.2
_BINS = 10


def _case(
    ours: Callable[[Any], Data],
    graph: Callable[[int], Data] | None,
    tolerance: Callable[[int, Any], float] = lambda _neurons, _ours: 0.0,
    **peers: Callable[[Any], Any],
) -> Case:
    return Case(
        family="composition",
        candidates={
            name: Candidate(run, synapses, most=100_000 if name == "networkx" else 1_000_000)
            for name, run in {OURS: ours, **peers}.items()
        },
        tolerance=tolerance,
        graph=graph,
    )


def _small_world(neurons: int) -> Data:
    return graphs.small_world(neurons, DEGREE, 0.1, seed=0)


def _in_a_square(neurons: int) -> Data:
    side = math.sqrt(neurons)
    # A neuron sends pi d^2 / 3 synapses at density 1.
    return graphs.coordinate_random(neurons, (side, side), math.sqrt(3 * DEGREE / math.pi), seed=0)


def _ring(neurons: int) -> Data:
    """Two synapses a neuron, of which each becomes four times as many."""
    return graphs.small_world(neurons // _COPIED, 2, 0.0, seed=0)


def _sizes(neurons: int) -> list[int]:
    inhibitory = int(_INHIBITORY * neurons)
    return [neurons - inhibitory, inhibitory]


def _chances(neurons: int) -> list[list[float]]:
    return [[0.5 * DEGREE / neurons, DEGREE / neurons], [2 * DEGREE / neurons, DEGREE / neurons]]


def _populations(neurons: int) -> Data:
    names = ("exc", "inh")
    rules = {
        (one, other): graphs.FixedProbability(chance)
        for one, row in zip(names, _chances(neurons), strict=True)
        for other, chance in zip(names, row, strict=True)
    }
    return graphs.populations(dict(zip(names, _sizes(neurons), strict=True)), rules, seed=0)


COMPOSITIONS: dict[str, Case] = {
    "populations": _case(
        _populations,
        None,
        # Both are drawn, each with less variance than a Poisson number of twelve a neuron.
        lambda neurons, _ours: SIGMA * math.sqrt(2 * 1.2 * DEGREE * neurons),
        networkx=lambda n: networkx.stochastic_block_model(
            _sizes(n), _chances(n), directed=True, seed=0
        ),
        igraph=lambda n: igraph.Graph.SBM(
            pref_matrix=_chances(n), block_sizes=_sizes(n), directed=True
        ),
    ),
    "join": _case(
        lambda part: graphs.join([part] * _PARTS),
        lambda n: _small_world(n // _PARTS),
        networkx=lambda part: networkx.disjoint_union_all([part] * _PARTS),
        igraph=lambda part: igraph.disjoint_union([part] * _PARTS),
    ),
    "nest": _case(
        lambda ring: graphs.nest(ring, graphs.grid_local(_COPIED, _COPIED, self_loops=False)),
        _ring,
        networkx=lambda ring: networkx.lexicographic_product(
            ring, networkx.complete_graph(_COPIED, networkx.DiGraph)
        ),
    ),
    "subgraph": _case(
        lambda data: graphs.subgraph(data, range(data.num_nodes // 2)),
        _small_world,
        networkx=lambda graph: graph.subgraph(range(len(graph) // 2)).copy(),
        igraph=lambda graph: graph.induced_subgraph(range(graph.vcount() // 2)),
    ),
    "match, fewer": _case(
        lambda data: graphs.match(data, data.num_edges // 2, seed=0), _small_world
    ),
    "match, more": _case(
        lambda data: graphs.match(data, data.num_edges * 3 // 2, seed=0), _small_world
    ),
    "rewire_reciprocal": _case(lambda data: graphs.rewire_reciprocal(data, seed=0), _in_a_square),
    "rewire_lengths": _case(
        lambda data: graphs.rewire_lengths(data, math.sqrt(3 * DEGREE / math.pi) / _BINS, seed=0),
        _in_a_square,
    ),
}
"""By what is called; each has as many synapses, or in distribution."""
