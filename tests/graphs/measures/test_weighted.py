"""Measures that read weights against NetworkX and against definitions, on small directed graphs."""

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs

thorough = settings(max_examples=60, deadline=None)


WEIGHTS = st.sampled_from((0.25, 0.5, 1.0, 2.0, 4.0))


@st.composite
def connectomes(draw, least=1):
    """Graphs with self-loops, parallel synapses and isolated neurons.

    Sums of inverse weights are exact, so that shortest paths of equal length are ties.
    """
    neurons = draw(st.integers(least, 9))
    neuron = st.integers(0, neurons - 1)
    size = draw(st.sampled_from((8, 25, 70)))
    edges = sorted(draw(st.sets(st.tuples(neuron, neuron, st.integers(0, 1)), max_size=size)))
    index = torch.tensor([each[:2] for each in edges], dtype=torch.long).reshape(-1, 2)
    weight = draw(st.lists(WEIGHTS, min_size=len(edges), max_size=len(edges)))
    return Data(
        edge_index=index.T.contiguous(),
        num_nodes=neurons,
        edge_type=torch.tensor([each[2] for each in edges], dtype=torch.long),
        edge_weight=torch.tensor(weight, dtype=torch.float32),
    )


def summed(data, *, self_loops=False):
    """The graph in which parallel synapses are one, with the sum of their weights."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(data.num_nodes))
    for source, target, weight in zip(
        *data.edge_index.tolist(), data.edge_weight.tolist(), strict=True
    ):
        if self_loops or source != target:
            before = graph.get_edge_data(source, target, {"weight": 0})["weight"]
            graph.add_edge(source, target, weight=before + weight)
    for *_, fields in graph.edges(data=True):
        fields["length"] = 1 / fields["weight"] if fields["weight"] else math.inf
    return graph


def undirected(graph):
    """The graph in which the weight of a pair is the sum of both directions."""
    both = nx.Graph()
    both.add_nodes_from(graph)
    for source, target, weight in graph.edges(data="weight"):
        before = both.get_edge_data(source, target, {"weight": 0})["weight"]
        both.add_edge(source, target, weight=before + weight, length=1 / (before + weight))
    return both


@thorough
@given(connectomes())
def test_strength(data):
    graph = summed(data, self_loops=True)
    for direction, degree in (
        ("in", graph.in_degree),
        ("out", graph.out_degree),
        ("both", graph.degree),
    ):
        wanted = [dict(degree(weight="weight"))[each] for each in range(data.num_nodes)]
        assert graphs.strength(data, direction=direction) == pytest.approx(wanted)
    counts = graphs.strength(data, weight=None)
    assert counts.tolist() == data.edge_index[1].bincount(minlength=data.num_nodes).tolist()


@thorough
@given(connectomes())
def test_clustering(data):
    graph = summed(data)
    for way, peer in ((True, graph), (False, undirected(graph))):
        found = graphs.clustering(data, directed=way, weight="edge_weight").value
        wanted = nx.average_clustering(peer, weight="weight") if peer.edges else 0.0
        assert found == pytest.approx(wanted, abs=1e-12)
    if data.num_nodes > 3:
        local = nx.clustering(graph, weight="weight") if graph.edges else dict.fromkeys(graph, 0)
        chosen = np.random.default_rng(5).choice(data.num_nodes, 3, replace=False)
        found = graphs.clustering(
            data, directed=True, weight="edge_weight", max_sources=3, seed=5
        ).value
        assert found == pytest.approx(np.mean([local[each] for each in chosen]), abs=1e-12)


@thorough
@given(connectomes(), st.integers(1, 4), st.sampled_from((0.5, 1.0, 2.0)))
def test_modularity(data, number, resolution):
    graph = summed(data)
    group = np.arange(data.num_nodes) * 7 % number
    parts = [set(np.flatnonzero(group == each).tolist()) for each in range(number)]
    found = graphs.modularity(data, group, resolution=resolution, weight="edge_weight")
    if not graph.edges:
        assert math.isnan(found)
        return
    wanted = nx.community.modularity(graph, parts, weight="weight", resolution=resolution)
    assert found == pytest.approx(wanted, abs=1e-12)
    texts = np.array(["a", "b", "c", "d"])[group]
    same = graphs.modularity(data, texts, resolution=resolution, weight="edge_weight")
    assert same == pytest.approx(found, abs=1e-12)


@thorough
@given(connectomes(), st.booleans())
def test_path_length_and_efficiency(data, way):
    graph = summed(data)
    lengths = [
        length
        for source, reached in nx.all_pairs_dijkstra_path_length(
            graph if way else undirected(graph), weight="length"
        )
        for target, length in reached.items()
        if source != target
    ]
    found = graphs.path_length(data, directed=way, weight="edge_weight")
    near = graphs.efficiency(data, directed=way, weight="edge_weight")
    pairs = data.num_nodes * (data.num_nodes - 1)
    assert found.mean == pytest.approx(np.mean(lengths) if lengths else math.nan, nan_ok=True)
    if pairs:
        assert found.reachable == pytest.approx(len(lengths) / pairs)
        assert near.value == pytest.approx(sum(1 / each for each in lengths) / pairs)


@thorough
@given(connectomes(), st.booleans())
def test_betweenness(data, normalized):
    graph = summed(data)
    for weight, length in ((None, None), ("edge_weight", "length")):
        found = graphs.betweenness(data, normalized=normalized, weight=weight)
        wanted = nx.betweenness_centrality(graph, normalized=normalized, weight=length)
        assert found == pytest.approx([wanted[each] for each in range(len(graph))], abs=1e-12)
    if data.num_nodes > 3:
        chosen = np.random.default_rng(5).choice(data.num_nodes, 3, replace=False)
        wanted = nx.betweenness_centrality_subset(graph, chosen.tolist(), list(graph), weight=None)
        found = graphs.betweenness(data, normalized=False, max_sources=3, seed=5)
        scale = data.num_nodes / 3
        assert found == pytest.approx([scale * wanted[each] for each in range(len(graph))])


@thorough
@given(connectomes(), st.sampled_from((0.0, 0.5, 0.85)))
def test_pagerank(data, damping):
    graph = summed(data, self_loops=True)
    wanted = nx.pagerank(graph, alpha=damping, tol=1e-14, max_iter=1000)
    found = graphs.pagerank(data, damping=damping)
    assert found == pytest.approx([wanted[each] for each in range(len(graph))], abs=1e-11)
    for *_, fields in graph.edges(data=True):
        fields["weight"] = 0
    for source, target in data.edge_index.T.tolist():
        graph[source][target]["weight"] += 1
    wanted = nx.pagerank(graph, alpha=damping, tol=1e-14, max_iter=1000)
    found = graphs.pagerank(data, damping=damping, weight=None)
    assert found == pytest.approx([wanted[each] for each in range(len(graph))], abs=1e-11)


@thorough
@given(connectomes())
def test_weights_of_1_change_nothing(data):
    data.edge_weight = torch.ones(data.num_edges)
    del data.edge_type
    data.edge_index, _ = torch.unique(data.edge_index, dim=1, return_inverse=True)
    data.edge_weight = data.edge_weight[: data.num_edges]
    bare = Data(edge_index=data.edge_index, num_nodes=data.num_nodes)
    for each in (data, bare):
        for measure in (
            lambda one, **weight: graphs.clustering(one, directed=True, **weight).value,
            lambda one, **weight: graphs.path_length(one, **weight).mean,
            lambda one, **weight: graphs.efficiency(one, **weight).value,
            lambda one, **weight: graphs.modularity(one, [0] * one.num_nodes, **weight),
            graphs.betweenness,
            graphs.communities,
        ):
            wanted = measure(each)
            assert measure(each, weight="edge_weight") == pytest.approx(wanted, nan_ok=True)


def test_synapses_of_weight_0_are_no_connections_of_paths():
    data = Data(
        edge_index=torch.tensor([[0, 1, 0], [1, 2, 2]]),
        num_nodes=3,
        edge_weight=torch.tensor([2.0, 4.0, 0.0]),
    )
    assert graphs.path_length(data, weight="edge_weight").mean == pytest.approx(
        (0.5 + 0.25 + 0.75) / 3
    )
    assert graphs.betweenness(data, weight="edge_weight", normalized=False).tolist() == [0, 1, 0]
    assert graphs.betweenness(data, normalized=False).tolist() == [0, 0, 0]
    silent = data.clone()
    silent.edge_weight = torch.zeros(3)
    assert graphs.clustering(silent, weight="edge_weight").value == 0
    assert graphs.path_length(silent, weight="edge_weight").reachable == 0
    assert math.isnan(graphs.modularity(silent, [0, 0, 1], weight="edge_weight"))
    assert graphs.communities(silent, weight="edge_weight").tolist() == [0, 1, 2]
    assert graphs.pagerank(silent).tolist() == pytest.approx([1 / 3] * 3)


def test_any_field_of_one_number_per_synapse_is_a_weight():
    data = graphs.layered([1, 2])
    for values in (torch.tensor([3, 4]), torch.tensor([3.0, 4.0], dtype=torch.float64)):
        data.counts = values
        assert graphs.strength(data, weight="counts").tolist() == [0, 3, 4]
    data.counts = torch.tensor([3.0, -4.0])
    assert graphs.strength(data, weight="counts").tolist() == [0, 3, -4]


@pytest.mark.parametrize(
    ("weight", "error", "told"),
    [
        ("nix", ValueError, r"weight must be None or the name of a field .*, got 'nix'; pass weig"),
        (1, TypeError, r"weight must be None or the name of a field .*, got 1 of type int; pass"),
        ("pos", ValueError, r"weight='pos': data.pos must be .* of shape \[2\], got .*; name a fi"),
        (
            "names",
            TypeError,
            r"weight='names': data.names must be .* tensor of shape \[2\], got li",
        ),
        ("minus", ValueError, r"weight='minus' must name numbers >= 0, got -4 at position 1 of da"),
        ("lost", ValueError, r"weight='lost': data.lost must be finite, got nan at position \[0\]"),
    ],
)
def test_bad_weights(weight, error, told):
    data = graphs.layered([1, 2])
    data.names, data.minus = ["a", "b", "c"], torch.tensor([3.0, -4.0])
    data.lost = torch.tensor([math.nan, 1.0])
    for measure in (graphs.clustering, graphs.path_length, graphs.communities, graphs.pagerank):
        with pytest.raises(error, match=told):
            measure(data, weight=weight)


def test_the_summary_reads_weights_if_asked():
    data = graphs.larva_mushroom_body()
    found = graphs.summary(data, weight="edge_weight")
    assert found.path_length == graphs.path_length(data, weight="edge_weight").mean
    assert found.clustering == graphs.clustering(data, weight="edge_weight").value
    assert found.efficiency == graphs.efficiency(data, weight="edge_weight").value
    assert found.path_length != graphs.summary(data).path_length


def test_communities_follow_the_weights():
    """A ring of four, cut where the weights are small."""
    ring = Data(
        edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]),
        num_nodes=4,
        edge_weight=torch.tensor([9.0, 1.0, 9.0, 1.0]),
    )
    for method in ("louvain", "leiden"):
        found = graphs.communities(ring, weight="edge_weight", method=method)
        assert found.tolist() == [0, 0, 1, 1]
    ring.edge_weight = torch.tensor([1.0, 9.0, 1.0, 9.0]) / 7e9
    for method in ("louvain", "leiden"):
        found = graphs.communities(ring, weight="edge_weight", method=method)
        assert found.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("scale", [1.0, 0.37, 1e8])
def test_fractions_and_large_weights_are_rounded_without_harm(scale, plain):
    data = graphs.larva_mushroom_body()
    data.edge_weight = data.edge_weight * scale
    found = graphs.communities(data, weight="edge_weight")
    assert graphs.modularity(data, found, weight="edge_weight") > 0.17
    assert np.array_equal(found, plain(graphs.communities, data, weight="edge_weight"))


def test_leiden_is_seeded_and_as_good_as_louvain():
    data = graphs.larva_mushroom_body()
    for weight in (None, "edge_weight"):
        quality = {}
        for method in ("louvain", "leiden"):
            found = graphs.communities(data, weight=weight, method=method)
            again = graphs.communities(data, weight=weight, method=method)
            assert np.array_equal(found, again)
            assert np.array_equal(np.unique(found), np.arange(found.max() + 1))
            quality[method] = graphs.modularity(data, found, weight=weight)
        assert quality["leiden"] > quality["louvain"] - 0.005


def test_without_igraph_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "igraph", None)
    data = graphs.layered([1, 2])
    told = r"needs igraph; call pip install 'sparsebrain\[communities\]'"
    with pytest.raises(ModuleNotFoundError, match=f"betweenness {told}"):
        graphs.betweenness(data)
    with pytest.raises(ModuleNotFoundError, match=rf"communities\(method='leiden'\) {told}"):
        graphs.communities(data, method="leiden")
