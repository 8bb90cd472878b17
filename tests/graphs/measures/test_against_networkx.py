"""Measures of small directed graphs against NetworkX, with and without the compiled helpers."""

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs
from graphs import compiled

thorough = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def helpers(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(compiled, "module", lambda: None)
    elif compiled.module() is None:
        pytest.skip("no compiled helpers; .ci/run asserts them")


@st.composite
def connectomes(draw, least=1):
    """Sparse and dense graphs with self-loops and neurons without synapses."""
    neurons = draw(st.integers(least, 12))
    neuron = st.integers(0, max(neurons - 1, 0))
    size = draw(st.sampled_from((10, 40, 120)))
    pairs = draw(st.sets(st.tuples(neuron, neuron), max_size=size if neurons else 0))
    edge_index = torch.tensor(sorted(pairs), dtype=torch.long).reshape(-1, 2).T.contiguous()
    return Data(edge_index=edge_index, num_nodes=neurons)


def directed(data):
    graph = nx.DiGraph(graphs.to_networkx(data))
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    return graph


@thorough
@given(connectomes())
def test_triad_census(data):
    found = graphs.triad_census(data)
    assert found == nx.triadic_census(directed(data))
    assert sum(found.values()) == math.comb(data.num_nodes, 3)
    assert all(type(number) is int for number in found.values())


@thorough
@given(connectomes())
def test_clustering(data):
    graph = directed(data)
    found = graphs.clustering(data, directed=True)
    assert found.value == pytest.approx(nx.average_clustering(graph), abs=1e-12)
    assert graphs.clustering(data).value == pytest.approx(
        nx.average_clustering(graph.to_undirected()), abs=1e-12
    )


@thorough
@given(connectomes(), st.booleans())
def test_clustering_of_a_sample_is_that_of_its_neurons(data, way):
    local = nx.clustering(directed(data) if way else directed(data).to_undirected())
    if data.num_nodes > 3:
        rng = np.random.default_rng(5)
        chosen = np.sort(rng.choice(data.num_nodes, 3, replace=False))
        found = graphs.clustering(data, directed=way, max_sources=3, seed=5)
        assert found.value == pytest.approx(np.mean([local[each] for each in chosen]), abs=1e-12)


@thorough
@given(connectomes(least=2))
def test_efficiency(data):
    graph = directed(data)
    near = sum(
        1 / length
        for _, lengths in nx.all_pairs_shortest_path_length(graph)
        for length in lengths.values()
        if length
    )
    pairs = data.num_nodes * (data.num_nodes - 1)
    assert graphs.efficiency(data).value == pytest.approx(near / pairs, abs=1e-12)
    either = graphs.efficiency(data, directed=False).value
    assert either == pytest.approx(nx.global_efficiency(graph.to_undirected()), abs=1e-12)


@thorough
@given(connectomes())
def test_reciprocity(data):
    graph = directed(data)
    if graph.number_of_edges():
        assert graphs.reciprocity(data) == pytest.approx(nx.overall_reciprocity(graph), abs=1e-12)
    else:
        assert math.isnan(graphs.reciprocity(data))


@thorough
@given(connectomes())
def test_components(data):
    graph = directed(data)
    for connection, parts in (
        ("strong", nx.strongly_connected_components(graph)),
        ("weak", nx.weakly_connected_components(graph)),
    ):
        wanted = sorted((sorted(part) for part in parts), key=lambda part: (-len(part), part[0]))
        found = graphs.components(data, connection=connection)
        assert [np.flatnonzero(found == each).tolist() for each in range(len(wanted))] == wanted


@thorough
@given(connectomes())
def test_rich_club_of_synapses_both_ways(data):
    graph = directed(data).to_undirected()
    found = graphs.rich_club(graphs.from_networkx(graph)).coefficient
    wanted = nx.rich_club_coefficient(graph, normalized=False) if len(graph) else {}
    for degree, coefficient in wanted.items():
        assert found[2 * degree] == pytest.approx(coefficient)


@thorough
@given(connectomes(), st.integers(1, 4), st.sampled_from((0.5, 1.0, 2.0)))
def test_modularity(data, groups, resolution):
    graph = directed(data)
    group = np.arange(data.num_nodes) * 7 % groups
    parts = [set(np.flatnonzero(group == each).tolist()) for each in range(groups)]
    found = graphs.modularity(data, group, resolution=resolution)
    if graph.number_of_edges():
        wanted = nx.community.modularity(graph, parts, resolution=resolution)
        assert found == pytest.approx(wanted, abs=1e-12)
        typed = data.clone().update({"node_type": torch.from_numpy(group)})
        assert graphs.modularity(typed, resolution=resolution) == found
    else:
        assert math.isnan(found)


@thorough
@given(connectomes(least=0), st.sampled_from(("in", "out", "both")))
def test_degree_distribution(data, direction):
    graph = directed(data)
    ends = {"in": graph.in_degree, "out": graph.out_degree, "both": graph.degree}[direction]
    wanted = np.unique([number for _, number in ends] or np.zeros(0, int), return_counts=True)
    found = graphs.degree_distribution(data, direction=direction)
    assert [each.tolist() for each in found] == [each.tolist() for each in wanted]


@pytest.mark.parametrize(
    "graph",
    [
        nx.gnp_random_graph(300, 0.02, seed=1, directed=True),
        nx.DiGraph(nx.scale_free_graph(300, seed=1)),
        nx.DiGraph(nx.star_graph(200)),
    ],
    ids=["random", "scale-free", "star"],
)
def test_hubs_and_more_sources_than_a_word_has_bits(graph):
    data = graphs.from_networkx(graph)
    graph = directed(data)
    assert graphs.triad_census(data) == nx.triadic_census(graph)
    found = graphs.clustering(data, directed=True)
    assert found.value == pytest.approx(nx.average_clustering(graph), abs=1e-12)
    lengths = [
        length
        for _, reached in nx.all_pairs_shortest_path_length(graph)
        for length in reached.values()
        if length
    ]
    assert graphs.path_length(data).mean == pytest.approx(np.mean(lengths))


def test_no_neurons():
    none = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=0)
    for value in (
        graphs.clustering(none, directed=True).value,
        graphs.efficiency(none).value,
        graphs.reciprocity(none),
        graphs.modularity(none, []),
    ):
        assert math.isnan(value)
    assert set(graphs.triad_census(none).values()) == {0}
    assert graphs.components(none).tolist() == graphs.communities(none).tolist() == []
    assert graphs.rich_club(none, nulls=[none]).coefficient.tolist() == []
