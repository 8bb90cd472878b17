"""Generators of ``graphs`` and those of other libraries, about ten synapses a neuron."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import igraph
import networkx
import numpy as np
import torch
from scipy.sparse import random_array
from scipy.spatial import KDTree
from torch_geometric.data import Data
from torch_geometric.utils import erdos_renyi_graph, grid, stochastic_blockmodel_graph

import graphs
from benchmarks.graph_cases import OURS, SIGMA, Candidate, Case, synapses

DEGREE = 10
_HALF = DEGREE // 2
_BLOCKS = 10
_SHORTCUTS = 0.1
_ANY_PAIR = "lays out N^2 places"


def _side(neurons: int) -> int:
    return math.isqrt(neurons)


def _made(run: Callable[[int], Any], **others: Any) -> Candidate:
    return Candidate(run, synapses, **others)


def _drawn(standard_deviation: Callable[[int], float]) -> Callable[[int, Any], float]:
    # Ours and the peer's are both drawn.
    return lambda neurons, _ours: SIGMA * math.sqrt(2) * standard_deviation(neurons)


def _case(
    ours: Callable[[int], Data],
    deviation: Callable[[int], float] = lambda _neurons: 0.0,
    **peers: Candidate,
) -> Case:
    return Case(
        family="generator",
        candidates={OURS: _made(ours), **peers},
        tolerance=_drawn(deviation),
    )


def _blocks(neurons: int) -> tuple[list[int], list[list[float]]]:
    """Ten blocks of equal size, half of the synapses within."""
    size = neurons // _BLOCKS
    within, between = _HALF / size, _HALF / (neurons - size)
    return [size] * _BLOCKS, [
        [within if one == other else between for other in range(_BLOCKS)] for one in range(_BLOCKS)
    ]


def _degrees(neurons: int) -> tuple[np.ndarray, np.ndarray]:
    """In- and out-degrees from 5 to 15."""
    degrees = _HALF + np.arange(neurons) % (DEGREE + 1)
    return degrees, np.roll(degrees[::-1], neurons // 3)


def _reach(neurons: int) -> float:
    """Within which ten neurons lie, of those in the unit square."""
    return math.sqrt(DEGREE / (math.pi * neurons))


def _square_deviation(neurons: int) -> float:
    """At most: pairs by themselves, and neurons near the border, of which no one has fewer than a
    quarter of the others within its reach.
    """
    pairs, border = neurons * DEGREE / 2, min(1.0, 4 * _reach(neurons))
    return 2 * math.sqrt(pairs + neurons * border * (0.75 * DEGREE) ** 2)


def _steps(neurons: int) -> Data:
    return graphs.coordinate_random(
        neurons, (1.0, 1.0), _reach(neurons), profile="step", directed=False, seed=0
    )


def _linear(neurons: int) -> Data:
    # A third of the neurons within d are connected.
    reach = math.sqrt(3) * _reach(neurons)
    return graphs.coordinate_random(neurons, (1.0, 1.0), reach, directed=False, seed=0)


def _soft(neurons: int) -> networkx.Graph:
    reach = math.sqrt(3) * _reach(neurons)
    return networkx.soft_random_geometric_graph(
        neurons, reach, p_dist=lambda distance: 1 - distance / reach, seed=0
    )


def _within_reach(neurons: int) -> torch.Tensor:
    pos = np.random.default_rng(1).random((neurons, 2))
    pairs = KDTree(pos).query_pairs(_reach(neurons), output_type="ndarray")
    return torch.from_numpy(np.concatenate((pairs, pairs[:, ::-1])).T)


def _lattice_window(neurons: int) -> Data:
    return graphs.grid_local((_side(neurons),) * 2, 1)


def _swapped(neurons: int) -> igraph.Graph:
    made = igraph.Graph.Erdos_Renyi(neurons, m=DEGREE * neurons, directed=True)
    made.rewire(DEGREE * made.ecount())
    return made


GENERATORS: dict[str, Case] = {
    "grid_local, 4 neighbors": _case(
        lambda n: graphs.grid_local((_side(n),) * 2, 1, metric="manhattan", self_loops=False),
        networkx=_made(lambda n: networkx.grid_2d_graph(_side(n), _side(n))),
        igraph=_made(lambda n: igraph.Graph.Lattice([_side(n)] * 2, directed=True, circular=False)),
    ),
    "grid_local, 3 x 3": _case(
        _lattice_window,
        pyg=_made(lambda n: grid(_side(n), _side(n))[0]),
    ),
    "hexagonal_lattice": _case(
        lambda n: graphs.hexagonal_lattice(shape=(_side(n),) * 2, periodic=False, self_loops=False),
        # Borders of theirs are cut otherwise.
        lambda n: 4 * _side(n) / SIGMA,
        networkx=_made(lambda n: networkx.triangular_lattice_graph(_side(n) - 1, 2 * _side(n) - 1)),
        igraph=_made(lambda n: igraph.Graph.Triangular_Lattice([_side(n)] * 2, directed=True)),
    ),
    "coordinate_random, step": _case(
        _steps,
        _square_deviation,
        networkx=_made(lambda n: networkx.random_geometric_graph(n, _reach(n), seed=1)),
        igraph=_made(lambda n: igraph.Graph.GRG(n, _reach(n))),
        scipy=_made(_within_reach),
    ),
    "coordinate_random, linear": _case(_linear, _square_deviation, networkx=_made(_soft)),
    "kaiser_hilgetag": _case(
        lambda n: graphs.kaiser_hilgetag(n, math.sqrt(n), 0.5, seed=0),
    ),
    "small_world, Watts-Strogatz": _case(
        lambda n: graphs.small_world(n, DEGREE, _SHORTCUTS, directed=False, seed=0),
        networkx=_made(lambda n: networkx.watts_strogatz_graph(n, DEGREE, _SHORTCUTS, seed=0)),
        igraph=_made(
            lambda n: igraph.Graph.Watts_Strogatz(1, n, _HALF, _SHORTCUTS),
            other="rewires both ends",
        ),
    ),
    "small_world, Newman-Watts": _case(
        lambda n: graphs.small_world(
            n, DEGREE, _SHORTCUTS, method="newman-watts", directed=False, seed=0
        ),
        lambda n: 2 * math.sqrt(n * _HALF * _SHORTCUTS),
        networkx=_made(
            lambda n: networkx.newman_watts_strogatz_graph(n, DEGREE, _SHORTCUTS, seed=0)
        ),
    ),
    "erdos_renyi": _case(
        lambda n: graphs.erdos_renyi(n, probability=DEGREE / n, seed=0),
        lambda n: math.sqrt(DEGREE * n),
        networkx=_made(
            lambda n: networkx.fast_gnp_random_graph(n, DEGREE / n, directed=True, seed=0)
        ),
        igraph=_made(lambda n: igraph.Graph.Erdos_Renyi(n, p=DEGREE / n, directed=True)),
        pyg=_made(
            lambda n: erdos_renyi_graph(n, DEGREE / n, directed=True),
            power=2.0,
            most=10_000,
            other=_ANY_PAIR,
        ),
    ),
    "fixed_total": _case(
        lambda n: graphs.fixed_total(n, DEGREE * n, seed=0),
        networkx=_made(lambda n: networkx.gnm_random_graph(n, DEGREE * n, directed=True, seed=0)),
        igraph=_made(lambda n: igraph.Graph.Erdos_Renyi(n, m=DEGREE * n, directed=True)),
        scipy=_made(
            lambda n: random_array((n, n), density=DEGREE / n, rng=0), other="draws self-loops too"
        ),
    ),
    "fixed_in_degree": _case(
        lambda n: graphs.fixed_in_degree(n, DEGREE, seed=0),
        igraph=_made(
            lambda n: igraph.Graph.K_Regular(n, DEGREE, directed=True), other="fixes both degrees"
        ),
    ),
    "fixed_out_degree": _case(
        lambda n: graphs.fixed_out_degree(n, DEGREE, seed=0),
        networkx=_made(
            lambda n: networkx.random_k_out_graph(n, DEGREE, 1e9, self_loops=False, seed=0),
            power=2.0,
            other="repeats pairs",
        ),
        igraph=_made(
            lambda n: igraph.Graph.K_Regular(n, DEGREE, directed=True), other="fixes both degrees"
        ),
    ),
    "configuration": _case(
        lambda n: graphs.configuration(*_degrees(n), seed=0),
        networkx=_made(
            lambda n: networkx.directed_configuration_model(
                *(each.tolist() for each in _degrees(n)), seed=0
            ),
            other="repeats pairs",
        ),
        igraph=_made(
            lambda n: igraph.Graph.Degree_Sequence(
                *(each.tolist() for each in _degrees(n)[::-1]), method="fast_heur_simple"
            )
        ),
    ),
    "barabasi_albert": _case(
        lambda n: graphs.barabasi_albert(n, _HALF, seed=0),
        networkx=_made(lambda n: networkx.barabasi_albert_graph(n, _HALF, seed=0)),
        igraph=Candidate(
            lambda n: igraph.Graph.Barabasi(n, _HALF),
            # It starts with a single neuron and not with m.
            lambda made: synapses(made) - _HALF * (_HALF - 1),
        ),
    ),
    "power_law_cluster": _case(
        lambda n: graphs.power_law_cluster(n, _HALF, 0.5, seed=0),
        # Theirs leaves out some of the first pairs.
        lambda n: 2 * DEGREE**2 / SIGMA,
        networkx=_made(lambda n: networkx.powerlaw_cluster_graph(n, _HALF, 0.5, seed=0)),
    ),
    "stochastic_block": _case(
        lambda n: graphs.stochastic_block(*_blocks(n), seed=0),
        lambda n: math.sqrt(DEGREE * n),
        networkx=_made(
            lambda n: networkx.stochastic_block_model(*_blocks(n), directed=True, seed=0)
        ),
        igraph=_made(
            lambda n: igraph.Graph.SBM(
                pref_matrix=_blocks(n)[1], block_sizes=_blocks(n)[0], directed=True
            )
        ),
        pyg=_made(
            lambda n: stochastic_blockmodel_graph(*_blocks(n), directed=True),
            power=2.0,
            most=10_000,
            other=_ANY_PAIR,
        ),
    ),
    "hierarchical_modules": _case(
        lambda n: graphs.hierarchical_modules(n // 8, 2, 3, 5 / (n // 8), 0.25, seed=0),
    ),
    "layered": _case(lambda n: graphs.layered([n // DEGREE, DEGREE] * 2)),
    "rewire_degrees": _case(
        lambda n: graphs.rewire_degrees(graphs.fixed_total(n, DEGREE * n, seed=0), seed=0),
        igraph=_made(_swapped),
    ),
}
"""By what is called; each has as many synapses, or in distribution."""
