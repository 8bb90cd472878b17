import dataclasses
import math

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from graphs.measures.small_world_indices import _lattice


@pytest.mark.parametrize("neighbors", [2, 4, 8])
def test_the_lattice_of_equal_degrees_is_a_ring(neighbors):
    lattice = _lattice(graphs.small_world(60, neighbors, 0.0))
    wanted = 3 * (neighbors - 2) / (4 * (neighbors - 1))
    assert graphs.clustering(lattice, directed=True).value == pytest.approx(wanted)
    assert graphs.reciprocity(lattice) == 1


@pytest.mark.parametrize("neurons", [0, 1, 2, 7, 8])
def test_the_lattice_of_all_synapses_has_them(neurons):
    synapses = [(a, b) for a in range(neurons) for b in range(neurons) if a != b]
    edge_index = torch.tensor(synapses, dtype=torch.long).reshape(-1, 2).T.contiguous()
    lattice = graphs.validate(_lattice(Data(edge_index=edge_index, num_nodes=neurons)))
    assert lattice.num_edges == neurons * (neurons - 1)
    assert not lattice.has_self_loops()


def test_the_lattice_keeps_the_synapses_that_each_neuron_sends():
    rng = np.random.default_rng(0)
    adjacency = rng.random((40, 40)) < rng.random((40, 1))
    np.fill_diagonal(adjacency, False)
    data = Data(edge_index=torch.from_numpy(np.stack(adjacency.nonzero())), num_nodes=40)
    lattice = graphs.validate(_lattice(data))
    sent = lattice.edge_index[0].bincount(minlength=40).tolist()
    assert sent == adjacency.sum(axis=1).tolist()


def test_it_is_what_the_equations_say():
    data = graphs.small_world(200, 8, 0.2, directed=True, self_loops=True, seed=0)
    nulls = [graphs.rewire_degrees(data, seed=seed) for seed in range(4)]
    found = graphs.small_worldness(data, nulls=nulls)
    clustering, length = (
        np.array([measure(each) for each in (data, *nulls)])
        for measure in (
            lambda each: graphs.clustering(each, directed=True).value,
            lambda each: graphs.path_length(each).mean,
        )
    )
    sigma = clustering[0] / clustering[1:].mean() / (length[0] / length[1:].mean())
    omega = length[1:].mean() / length[0] - clustering[0] / found.lattice_clustering
    assert (found.sigma, found.omega) == pytest.approx((sigma, omega))
    relative = [each[1:].std(ddof=1) / 2 / each[1:].mean() for each in (clustering, length)]
    assert found.sigma_error == pytest.approx(sigma * math.hypot(*relative))
    ratio = length[1:].mean() / length[0]
    assert found.omega_error == pytest.approx(ratio * relative[1])
    assert found.path_length_error == 0


def test_from_the_ring_to_the_random_graph():
    ring, small, random = (
        graphs.small_worldness(graphs.small_world(600, 10, rewire, seed=0), nulls=3)
        for rewire in (0.0, 0.1, 1.0)
    )
    assert ring.omega < -0.8
    assert abs(small.omega) < 0.2
    assert random.omega > 0.9
    assert small.sigma > 3 * ring.sigma
    # A random graph resembles its null graphs.
    assert random.sigma == pytest.approx(1, abs=0.3)


def test_nulls_in_all_their_forms():
    data = graphs.small_world(100, 6, 0.1, seed=0)
    made = []

    def null(graph, *, seed):
        assert isinstance(seed, np.random.Generator)
        made.append(graphs.rewire_degrees(graph, seed=seed))
        return made[-1]

    called = graphs.small_worldness(data, nulls=null, seed=3)
    assert len(made) == 10
    assert called.null_model == "null"
    counted = graphs.small_worldness(data, nulls=10, seed=3)
    assert counted == dataclasses.replace(called, null_model="rewire_degrees")
    given = graphs.small_worldness(data, nulls=iter(made), seed=3)
    assert given == dataclasses.replace(called, null_model="given")
    assert counted != graphs.small_worldness(data, nulls=10, seed=4)
    one = graphs.small_worldness(data, nulls=1)
    assert one.sigma > 1
    assert math.isnan(one.sigma_error)


def test_what_is_not_defined_is_nan():
    found = graphs.small_worldness(graphs.layered([5, 5]), nulls=2)
    assert found.clustering == 0
    assert math.isnan(found.sigma)
    none = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=0)
    assert math.isnan(graphs.small_worldness(none, nulls=[none]).omega)


def test_parallel_synapses_count_once():
    single = graphs.small_world(60, 4, 0.1, seed=0)
    double = Data(edge_index=single.edge_index.repeat(1, 2), num_nodes=60)
    double.edge_type = torch.arange(2).repeat_interleave(single.num_edges)
    found = [graphs.small_worldness(each, nulls=2) for each in (single, double)]
    assert found[0] == found[1]


def test_bad_nulls():
    data = graphs.small_world(20, 4, 0.1, seed=0)
    for wrong, error, match in (
        (0, ValueError, "nulls must be an integer >= 1, got 0"),
        (2.5, TypeError, "nulls must be an integer >= 1, got 2.5"),
        ([], ValueError, "nulls must hold at least one graph"),
        ([graphs.layered([2, 2])], ValueError, "must have the 20 neurons of data, got one of 4"),
        ([None], TypeError, "nulls must be an integer, a function .* or an iterable of them"),
        (lambda data, seed: 3, TypeError, "nulls must be an integer, a function .*, got 3 of type"),
        (
            lambda: 3,
            TypeError,
            r"nulls is called as nulls\(data, seed=generator\) .*; pass a function",
        ),
        (2**32, ValueError, "nulls must be .* at most 100000, got 4294967296; pass nulls="),
        (np.array(3.0), TypeError, "nulls must be an integer"),
        (torch.tensor(1.5), TypeError, "nulls must be an integer"),
        (b"x", TypeError, "nulls must be an integer"),
        ({1: data}, TypeError, "nulls must be an integer"),
        (data, TypeError, "nulls must be an integer"),
    ):
        for measure in (graphs.small_worldness, graphs.rich_club):
            with pytest.raises(error, match=match):
                measure(data, nulls=wrong)


UNDIRECTED = graphs.small_world(60, 4, 0.1, directed=False, seed=0)


@pytest.mark.parametrize("measure", [graphs.small_worldness, graphs.rich_club])
def test_the_null_model_is_chosen_by_reciprocity(measure):
    lost = Data(edge_index=UNDIRECTED.edge_index[:, 1:], num_nodes=60)
    empty = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=3)
    for data, expected in (
        (UNDIRECTED, "rewire_reciprocal"),
        (graphs.grid_local((5, 5), 1), "rewire_reciprocal"),
        (lost, "rewire_degrees"),
        (graphs.layered([10, 10]), "rewire_degrees"),
        (empty, "rewire_degrees"),
    ):
        found = measure(data, nulls=2)
        assert found.null_model == expected
        assert str(found) == str(measure(data, nulls=2, null_model=expected))
    other = measure(UNDIRECTED, nulls=2, null_model="rewire_degrees")
    assert other.null_model == "rewire_degrees"
    assert "nulls: rewire_degrees" in str(other)


def test_null_graphs_of_an_undirected_connectome_are_undirected():
    # Sigma depends on the null model, so the default must not be the directed one.
    chosen = graphs.small_worldness(UNDIRECTED, seed=0)
    undirected = graphs.small_worldness(UNDIRECTED, nulls=graphs.rewire_reciprocal, seed=0)
    directed = graphs.small_worldness(UNDIRECTED, null_model="rewire_degrees", seed=0)
    assert chosen == dataclasses.replace(undirected, null_model="rewire_reciprocal")
    assert (round(chosen.sigma, 2), round(directed.sigma, 2)) == (5.54, 4.13)


@pytest.mark.parametrize("measure", [graphs.small_worldness, graphs.rich_club])
def test_bad_null_models(measure):
    data = graphs.small_world(20, 4, 0.1, seed=0)
    for nulls, wrong, error, match in (
        (2, "rewire_degree", ValueError, "null_model must be one of None, 'rewire_degrees', "),
        (2, 3, TypeError, "null_model must be one of None, 'rewire_degrees', "),
        ([data], "rewire_degrees", ValueError, "pass null_model=None, or nulls=10"),
        (graphs.rewire_degrees, "rewire_degrees", ValueError, "with a function as nulls; pass"),
    ):
        with pytest.raises(error, match=match):
            measure(data, nulls=nulls, null_model=wrong)
    with pytest.raises(ValueError, match=r"null_model needs nulls, .*; pass nulls=10 too"):
        graphs.rich_club(data, null_model="rewire_degrees")


def test_it_prints_in_one_line():
    found = graphs.small_worldness(graphs.grid_local((6, 6), 1), seed=0)
    assert str(found).startswith("sigma 2.86 ± 0.14, omega -0.196 ± 0.0013: clustering 0.568 (")
    assert str(found).endswith("; nulls: rewire_reciprocal")
