import dataclasses
import importlib
import inspect
import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs
from graphs.measures import Degrees

# |z| < 4.5 fails for 7 in a million draws. Seeds are fixed, so a pass stays a pass.
Z = 4.5


def connectome(pairs, neurons):
    edge_index = torch.tensor(sorted(pairs), dtype=torch.long).reshape(-1, 2).T.contiguous()
    return Data(edge_index=edge_index, num_nodes=neurons)


@st.composite
def connectomes(draw, least=1):
    neurons = draw(st.integers(least, 12))
    neuron = st.integers(0, max(neurons - 1, 0))
    pairs = draw(st.sets(st.tuples(neuron, neuron), max_size=40 if neurons else 0))
    return connectome(pairs, neurons)


def mean_length(graph):
    """Mean over reachable pairs and their share, by NetworkX."""
    found = [
        length
        for source, lengths in nx.all_pairs_shortest_path_length(graph)
        for target, length in lengths.items()
        if source != target
    ]
    pairs = len(graph) * (len(graph) - 1)
    mean = sum(found) / len(found) if found else math.nan
    return mean, len(found) / pairs if pairs else math.nan


@settings(max_examples=200, deadline=None)
@given(connectomes())
def test_equals_networkx(data):
    found = graphs.summary(data)
    graph = graphs.to_networkx(data)
    simple = nx.Graph(graph)
    simple.remove_edges_from(list(nx.selfloop_edges(simple)))
    length, share = mean_length(graph)
    either, _ = mean_length(simple)
    largest = max(map(len, nx.strongly_connected_components(graph)))

    assert found.num_nodes == graph.number_of_nodes()
    assert found.num_edges == graph.number_of_edges()
    assert found.self_loops == nx.number_of_selfloops(graph)
    assert found.path_length == pytest.approx(length, nan_ok=True)
    assert found.reachable == pytest.approx(share, nan_ok=True)
    assert found.undirected_path_length == pytest.approx(either, nan_ok=True)
    assert found.clustering == pytest.approx(nx.average_clustering(simple), abs=1e-12)
    assert found.strongly_connected == largest / len(graph)
    errors = found.path_length_error, found.undirected_path_length_error, found.clustering_error
    assert errors == (0, 0, 0)
    for ends, measured in (
        (graph.in_degree, found.in_degree),
        (graph.out_degree, found.out_degree),
    ):
        degree = np.array([number for _, number in ends])
        expected = (degree.mean(), degree.std(), degree.min(), degree.max())
        assert dataclasses.astuple(measured) == pytest.approx(expected)


@pytest.mark.parametrize(
    "graph",
    [
        nx.karate_club_graph(),
        nx.les_miserables_graph(),
        nx.star_graph(150),
        nx.path_graph(130),
        nx.gnp_random_graph(200, 0.02, seed=1, directed=True),
        nx.scale_free_graph(150, seed=1),
    ],
    ids=["karate", "miserables", "star", "path", "random", "scale-free"],
)
def test_equals_networkx_on_known_graphs(graph):
    graph = nx.convert_node_labels_to_integers(nx.DiGraph(graph) if graph.is_directed() else graph)
    plain = nx.create_empty_copy(graph, with_data=False)
    plain.add_edges_from(graph.edges)
    found = graphs.summary(graphs.from_networkx(plain))
    simple = nx.Graph(graph)
    simple.remove_edges_from(list(nx.selfloop_edges(simple)))
    assert (found.path_length, found.reachable) == pytest.approx(mean_length(graph))
    assert found.undirected_path_length == pytest.approx(mean_length(simple)[0])
    assert found.clustering == pytest.approx(nx.average_clustering(simple))


def test_by_hand():
    # 0 -> 1 -> 2 -> 0 and 2 -> 3, with a self-loop at 1.
    found = graphs.summary(connectome([(0, 1), (1, 2), (2, 0), (2, 3), (1, 1)], 4))
    # From 0: 1, 2, 3. From 1: 1, 2, 2. From 2: 1, 2, 1. From 3: none.
    assert found.path_length == pytest.approx(15 / 9)
    assert found.reachable == 9 / 12
    assert found.undirected_path_length == pytest.approx((1 + 1 + 2 + 1 + 2 + 1) / 6)
    # The two neighbors of 0 and of 1 are neighbors; of the three pairs of 2, one is.
    assert found.clustering == pytest.approx((1 + 1 + 1 / 3 + 0) / 4)
    assert found.strongly_connected == 3 / 4
    assert found.self_loops == 1
    assert found.in_degree == Degrees(mean=1.25, std=pytest.approx(0.4330127), min=1, max=2)
    assert found.out_degree == Degrees(mean=1.25, std=pytest.approx(0.8291562), min=0, max=2)


@given(connectomes(), st.randoms(use_true_random=False))
def test_order_of_synapses_and_self_loops_make_no_difference(data, random):
    source, target = data.edge_index
    pairs = data.edge_index[:, source != target].T.tolist()
    pairs += [[neuron, neuron] for neuron in range(data.num_nodes)]
    random.shuffle(pairs)
    other = Data(edge_index=torch.tensor(pairs).T, num_nodes=data.num_nodes)
    first, second = graphs.summary(data), graphs.summary(other)
    for name in ("path_length", "reachable", "undirected_path_length", "clustering"):
        np.testing.assert_equal(getattr(first, name), getattr(second, name))
    assert first.strongly_connected == second.strongly_connected


def test_parallel_synapses_count_as_synapses_only():
    single = connectome([(0, 1), (1, 2), (2, 0)], 3)
    double = connectome([(0, 1), (0, 1), (1, 2), (2, 0)], 3)
    double.edge_type = torch.tensor([0, 1, 0, 0])
    first, second = graphs.summary(single), graphs.summary(double)
    assert (first.num_edges, second.num_edges) == (3, 4)
    assert second.out_degree.max == 2
    for name in ("path_length", "undirected_path_length", "clustering"):
        assert getattr(first, name) == getattr(second, name)


def test_no_neurons_and_no_synapses():
    none = graphs.summary(connectome([], 0))
    assert (none.num_nodes, none.num_edges) == (0, 0)
    for value in (none.path_length, none.reachable, none.clustering, none.strongly_connected):
        assert math.isnan(value)
    one = graphs.summary(connectome([(0, 0)], 1))
    assert math.isnan(one.path_length)
    assert math.isnan(one.reachable)
    assert (one.clustering, one.strongly_connected) == (0.0, 1.0)
    apart = graphs.summary(connectome([], 5), max_sources=3)
    assert math.isnan(apart.path_length)
    assert (apart.reachable, apart.clustering, apart.strongly_connected) == (0.0, 0.0, 0.2)


def test_lengths_of_the_ring_and_of_the_grid():
    # A directed ring has every length from 1 to N - 1 once per source.
    ring = connectome([(n, (n + 1) % 300) for n in range(300)], 300)
    assert graphs.path_length(ring) == (150.0, 0.0, 1.0)
    assert graphs.path_length(ring, directed=False).mean == pytest.approx(300**2 / 4 / 299)
    rows, columns = (each.ravel() for each in np.indices((7, 9)))
    far = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns))
    steps = -(-far // 2)
    found = graphs.path_length(graphs.grid_local((7, 9), 2))
    assert found.mean == pytest.approx(steps.sum() / (63 * 62))


@pytest.mark.parametrize(
    "data",
    [
        graphs.small_world(600, 6, 0.1, seed=0),
        graphs.coordinate_random(600, (10, 10), 1.0, seed=0),
        graphs.layered([150, 120, 90]),
    ],
    ids=["small-world", "coordinate", "layered"],
)
def test_sampled_means_are_off_by_what_they_say(data):
    exact = graphs.summary(data)
    names = ("path_length", "undirected_path_length", "clustering")
    found = [graphs.summary(data, max_sources=90, seed=seed) for seed in range(60)]
    for name in names:
        values = np.array([getattr(each, name) for each in found])
        errors = np.array([getattr(each, f"{name}_error") for each in found])
        true = getattr(exact, name)
        if name == "clustering" and true == 0:
            assert (values == 0).all()
            continue
        assert (errors > 0).all()
        assert getattr(exact, f"{name}_error") == 0
        # The mean of 60 samples, and their spread relative to the stated errors: the ratio of the
        # sample variance to the true one has a standard deviation near sqrt(2 / 59).
        assert abs(values.mean() - true) / (errors.mean() / math.sqrt(60)) < Z + 1
        assert 0.6 < values.std(ddof=1) / errors.mean() < 1.6
    shares = [each.reachable for each in found]
    assert np.mean(shares) == pytest.approx(exact.reachable, rel=0.1)


def test_sampling_is_seeded():
    data = graphs.small_world(300, 6, 0.2, seed=0)
    first = graphs.summary(data, max_sources=50, seed=1)
    assert first == graphs.summary(data, max_sources=50, seed=1)
    assert first == graphs.summary(data, max_sources=50, seed=np.random.default_rng(1))
    assert first != graphs.summary(data, max_sources=50, seed=2)
    assert graphs.summary(data, max_sources=300) == graphs.summary(data)


def test_beyond_two_thousand_neurons_is_sampled():
    small, large = (graphs.small_world(neurons, 4, 0.1, seed=0) for neurons in (2000, 2001))
    assert graphs.path_length(small).error == 0
    assert graphs.path_length(large).error > 0
    assert graphs.path_length(large, max_sources=2001).error == 0
    assert graphs.clustering(large).error > 0


def test_many_synapses():
    data = graphs.small_world(30_000, 10, 0.1, seed=0)
    found = graphs.summary(data)
    assert found.num_edges == 300_000
    assert 0 < found.path_length_error < 0.01 * found.path_length
    assert 0 < found.clustering_error < 0.02 * found.clustering


def test_hubs_do_not_fill_memory():
    # There are 10^10 two-step paths through the hub, which must not be in memory at once.
    star = connectome([(0, neuron) for neuron in range(1, 100_001)], 100_001)
    found = graphs.summary(star, max_sources=20)
    assert found.clustering == 0
    assert found.undirected_path_length == pytest.approx(2, abs=0.1)


def test_table():
    data = graphs.small_world(400, 6, 0.1, self_loops=True, seed=0)
    exact, sampled = (str(graphs.summary(data, max_sources=size)) for size in (400, 40))
    lines = exact.splitlines()
    assert lines[0].split() == ["neurons", "400"]
    assert lines[1].split() == ["synapses", "2,800"]
    assert lines[2].split() == ["self-loops", "400"]
    starts = {len(line) - len(line.split("  ", 1)[1].lstrip()) for line in lines}
    assert len(starts) == 1  # aligned
    assert "±" not in exact
    assert [line.count("±") for line in sampled.splitlines()] == [
        0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0,
    ]  # fmt: skip
    assert graphs.summary(data)._repr_html_().count("<tr>") == len(lines)


def test_fields_are_frozen():
    found = graphs.summary(graphs.layered([2, 2]))
    assert [field.name for field in dataclasses.fields(found)] == [
        "num_nodes", "num_edges", "self_loops", "in_degree", "out_degree", "path_length",
        "path_length_error", "reachable", "undirected_path_length",
        "undirected_path_length_error", "clustering", "clustering_error", "strongly_connected",
        "directed_clustering", "directed_clustering_error", "efficiency", "efficiency_error",
        "reciprocity", "weakly_connected", "wiring_length", "full",
    ]  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.num_nodes = 3


def test_the_rest_is_that_of_the_measures():
    data = graphs.small_world(300, 6, 0.2, directed=True, seed=0)
    found = graphs.summary(data, max_sources=100, seed=2)
    # The seed of the sample is drawn once, so that all measures share it.
    state = int(np.random.default_rng(2).integers(2**63))
    directed = graphs.clustering(data, directed=True, max_sources=100, seed=state)
    near = graphs.efficiency(data, max_sources=100, seed=state)
    assert (found.directed_clustering, found.directed_clustering_error) == directed
    assert (found.efficiency, found.efficiency_error) == near
    assert found.reciprocity == graphs.reciprocity(data)
    assert found.wiring_length == graphs.wiring_length(data)
    assert found.weakly_connected == 1
    assert found.full is None
    assert type(found) is graphs.Summary
    assert graphs.summary(connectome([(0, 1)], 3)).weakly_connected == 2 / 3
    assert graphs.summary(connectome([(0, 1)], 3)).wiring_length is None


def test_in_full():
    data = graphs.coordinate_random(150, (10, 10), 2.0, seed=0)
    found = graphs.summary(data, full=True)
    assert type(found) is graphs.FullSummary
    full = found.full
    groups = graphs.communities(data, seed=int(np.random.default_rng(0).integers(2**63)))
    assert full.modularity == graphs.modularity(data, groups)
    assert full.communities == groups.max() + 1
    values = np.abs(graphs.spectrum(data))
    assert (full.spectral_radius, full.spectral_gap) == (values[0], values[0] - values[1])
    assert full.triads == graphs.triad_census(data)
    assert full.small_worldness.sigma > 1
    assert 0 <= full.in_power_law.p_value <= 1
    lines = str(found).splitlines()
    assert len(lines) == len(str(graphs.summary(data)).splitlines()) + 7
    small = [line for line in lines if line.startswith("small-world")]
    assert len(small) == 2
    assert all(line.endswith(" (nulls: rewire_degrees)") for line in small)
    undirected = graphs.summary(graphs.grid_local((5, 5), 1), full=True)
    assert str(undirected).count(" (nulls: rewire_reciprocal)") == 2


@pytest.mark.parametrize("neurons", [0, 1, 2])
def test_in_full_of_next_to_nothing(neurons):
    found = graphs.summary(connectome([], neurons), full=True)
    assert math.isnan(found.full.modularity)
    assert math.isnan(found.full.small_worldness.sigma)
    assert found.full.in_power_law.tail == 0
    lines = str(found).splitlines()
    groups = {1: "1 community"}.get(neurons, f"{neurons} communities")
    for line in (
        "small-world sigma     nan, no neuron reaches another (nulls: rewire_degrees)",
        f"modularity Q          nan, no synapses; {groups}",
        "closed triads         none",
    ):
        assert line in lines
    assert neurons or "in-degree             nan" in lines


def test_in_full_of_a_chain_of_three():
    """Its null graphs are itself, so that errors are 0 and not those of rounding."""
    lines = str(graphs.summary(graphs.grid_local(3, 1), full=True)).splitlines()
    against = "(nulls: rewire_reciprocal)"
    assert f"small-world sigma     nan, no triangles in the null graphs {against}" in lines
    assert f"small-world omega     1 {against}" in lines
    ring = str(graphs.summary(graphs.grid_local(5, 1, periodic=True), full=True)).splitlines()
    assert f"small-world omega     nan, no triangles in the lattice {against}" in ring


@pytest.mark.parametrize("measure", [graphs.summary, graphs.path_length, graphs.clustering])
def test_bad_arguments(measure):
    data = graphs.layered([2, 2])
    with pytest.raises(ValueError, match=r"max_sources must be an integer >= 2, got 1"):
        measure(data, max_sources=1)
    with pytest.raises(TypeError, match=r"max_sources must be an integer >= 2, got 10.0"):
        measure(data, max_sources=10.0)
    with pytest.raises(TypeError, match=r"seed must be an int >= 0"):
        measure(data, seed=0.5)
    with pytest.raises(TypeError, match=r"expected a torch_geometric.data.Data, got DiGraph"):
        measure(graphs.to_networkx(data))


def test_measures_take_only_connectomes():
    with pytest.raises(TypeError, match=r"expected a torch_geometric.data.Data"):
        graphs.strongly_connected(None)
    with pytest.raises(TypeError, match=r"directed must be True or False, got 'no'"):
        graphs.path_length(graphs.layered([1, 1]), directed="no")


MEASURES = {
    "clustering": graphs.clustering,
    "communities": lambda data: graphs.communities(data).tolist(),
    "components": lambda data: graphs.components(data).tolist(),
    "degree_distribution": lambda data: [
        each.tolist() for each in graphs.degree_distribution(data)
    ],
    "efficiency": graphs.efficiency,
    "fit_power_law": lambda data: str(graphs.fit_power_law(data)),
    "modularity": lambda data: graphs.modularity(data, [0] * 20 + [1] * 20),
    "path_length": graphs.path_length,
    "reciprocity": graphs.reciprocity,
    "rich_club": lambda data: graphs.rich_club(data).coefficient.tolist(),
    "small_worldness": lambda data: str(graphs.small_worldness(data, nulls=2)),
    "strongly_connected": graphs.strongly_connected,
    "triad_census": graphs.triad_census,
    "wiring_length": graphs.wiring_length,
}


@pytest.mark.parametrize("name", MEASURES)
def test_measures_read_no_weights_and_say_so(name):
    data = graphs.coordinate_random(40, (10, 5), 3.0, seed=0)
    weighted = data.clone()
    weighted.edge_weight = torch.randn(data.num_edges, generator=torch.Generator().manual_seed(0))
    weighted.edge_sign = weighted.edge_weight.sign()
    assert MEASURES[name](weighted) == MEASURES[name](data)
    said = " ".join(getattr(graphs, name).__doc__.split())
    by_default = "weight: None does not read weights." in said
    assert "weights and signs are not used" in said or by_default
    assert by_default == ("weight" in inspect.signature(getattr(graphs, name)).parameters)


def test_in_full_of_a_long_directed_ring():
    """All eigenvalues have the same magnitude."""
    number = torch.arange(1200)
    ring = Data(edge_index=torch.stack((number, (number + 1) % 1200)), num_nodes=1200)
    full = graphs.summary(ring, full=True, max_sources=20).full
    assert full.spectral_radius == pytest.approx(1, rel=1e-12)
    assert full.spectral_gap == pytest.approx(0, abs=1e-12)
    assert full.reasons == {}


def test_a_row_that_cannot_be_computed_leaves_the_others(monkeypatch):
    """The eigenvalues of a ring with a shortcut lie near a circle; the dense fallback is off."""
    monkeypatch.setattr("graphs.eigenvalues._RESCUE", 0)
    monkeypatch.setattr("graphs.eigenvalues._ATTEMPTS", ((40, 2),))
    number = torch.arange(200)
    ends = torch.stack((number, (number + 1) % 200))
    ring = Data(edge_index=torch.cat((ends, torch.tensor([[0], [2]])), dim=1), num_nodes=200)
    found = graphs.summary(ring, full=True)
    assert math.isnan(found.full.spectral_radius)
    assert math.isnan(found.full.spectral_gap)
    assert list(found.full.reasons) == ["spectral radius"]
    assert "200 neurons did not converge" in found.full.reasons["spectral radius"]
    assert f"nan ({found.full.reasons['spectral radius']})" in str(found)
    assert found.full.communities > 1
    assert sum(found.full.triads.values()) == 200 * 199 * 198 // 6


def test_every_row_may_fail(monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    for name in ("communities", "spectrum", "fit_power_law", "small_worldness", "triad_census"):
        monkeypatch.setattr(importlib.import_module("graphs.measures.costly_measures"), name, fail)
    found = graphs.summary(graphs.layered([2, 2]), full=True)
    assert str(found).count("nan (MemoryError)") == 7
    assert found.num_edges == 4


def test_a_summary_as_a_dict_of_plain_values():
    data = graphs.grid_local((4, 5), 1)
    found = graphs.summary(data, full=True)
    told = found.to_dict()
    assert told["num_nodes"] == 20
    assert told["in_degree_max"] == found.in_degree.max == 9
    assert told["wiring_length_total"] == found.wiring_length.total
    assert told["modularity"] == found.full.modularity
    assert told["triads_300"] == found.full.triads["300"]
    assert told["small_worldness_null_model"] == found.full.small_worldness.null_model
    assert {type(value) for value in told.values()} <= {int, float, str, bool}
    assert "wiring_length_mean" not in graphs.summary(graphs.from_edges([0], [1])).to_dict()
