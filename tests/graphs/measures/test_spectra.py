import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs


def dense(data, weight):
    matrix = np.zeros((data.num_nodes, data.num_nodes))
    source, target = data.edge_index.numpy()
    np.add.at(matrix, (target, source), weight)
    return matrix


def largest(matrix, k):
    found = np.linalg.eigvals(matrix)
    return np.sort(np.abs(found))[::-1][:k]


@pytest.mark.parametrize("neurons", [30, 200])
def test_it_is_that_of_the_dense_matrix(neurons):
    """30 neurons are solved as a dense matrix, 200 by Arnoldi's method."""
    data = graphs.small_world(neurons, 8, 0.3, seed=0)
    data.edge_weight = torch.randn(data.num_edges, generator=torch.Generator().manual_seed(0))
    found = graphs.spectrum(data, k=5)
    wanted = largest(dense(data, data.edge_weight.numpy()), 5)
    np.testing.assert_allclose(np.abs(found), wanted, rtol=1e-9)
    assert (np.diff(np.abs(found)) <= 1e-12).all()
    assert found.dtype == np.complex128


def test_a_directed_ring_has_the_roots_of_one():
    """Its eigenvalues are complex and of equal magnitude, so power iteration does not converge."""
    number = torch.arange(7)
    ring = Data(edge_index=torch.stack((number, (number + 1) % 7)), num_nodes=7)
    found = graphs.spectrum(ring, k=7)
    np.testing.assert_allclose(found**7, np.ones(7), atol=1e-12)


def test_a_periodic_grid_has_the_eigenvalues_of_its_convolution():
    data = graphs.grid_local((15, 15), 1, periodic=True)
    wave = 1 + 2 * np.cos(2 * np.pi * np.arange(15) / 15)
    wanted = np.sort(np.abs(np.outer(wave, wave)).ravel())[::-1]
    np.testing.assert_allclose(np.abs(graphs.spectrum(data, k=3)), wanted[:3], rtol=1e-9)


@pytest.mark.parametrize("field", ["edge_sign", "node_sign"])
def test_signs_count_where_weights_have_none(field):
    data = graphs.small_world(100, 6, 0.5, seed=1)
    draw = torch.Generator().manual_seed(0)
    data.edge_weight = torch.rand(data.num_edges, generator=draw)
    size = data.num_edges if field == "edge_sign" else 100
    data[field] = torch.where(torch.rand(size, generator=draw) < 0.5, -1.0, 1.0)
    sign = data[field] if field == "edge_sign" else data[field][data.edge_index[0]]
    signed = dense(data, (data.edge_weight * sign).numpy())
    np.testing.assert_allclose(np.abs(graphs.spectrum(data, k=2)), largest(signed, 2), rtol=1e-6)


def test_parallel_synapses_add_up():
    data = Data(
        edge_index=torch.tensor([[0, 0], [0, 0]]), num_nodes=1, edge_type=torch.tensor([0, 1])
    )
    assert graphs.spectrum(data, k=1).tolist() == [2]


def test_the_same_graph_gives_the_same_numbers():
    data = graphs.coordinate_random(300, (20, 10), 2.0, seed=0)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert graphs.spectrum(data).tolist() == graphs.spectrum(data).tolist()
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


@pytest.mark.parametrize("k", [0, 11])
def test_more_eigenvalues_than_neurons_are_refused(k):
    with pytest.raises(ValueError, match="k must be"):
        graphs.spectrum(graphs.small_world(10, 2, 0.1, seed=0), k=k)


def test_without_cycles_all_are_zero():
    """Arnoldi's method finds the square roots of rounding errors, or does not converge."""
    empty = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=100)
    for data in (graphs.layered([40, 40, 40]), empty):
        assert graphs.spectrum(data).tolist() == [0, 0]
    silent = graphs.small_world(100, 4, 0.1, seed=0)
    silent.edge_weight = torch.zeros(silent.num_edges)
    assert graphs.spectrum(silent).tolist() == [0, 0]


@pytest.mark.parametrize("neurons", [100, 1200])
def test_a_long_directed_ring_is_solved_though_all_are_equally_large(neurons):
    number = torch.arange(neurons)
    ring = Data(edge_index=torch.stack((number, (number + 1) % neurons)), num_nodes=neurons)
    wanted = np.exp(2j * np.pi / neurons * np.array([0, 1, -1, 2]))
    np.testing.assert_allclose(graphs.spectrum(ring, k=4), wanted, atol=1e-12)


def test_parts_that_reach_each_other_one_way_have_their_own_each():
    """A ring of 200 neurons sends to a cycle of two and to a neuron with a self-loop of 9."""
    ring = graphs.small_world(200, 4, 0.0)
    edges = torch.tensor([[0, 200, 201, 5, 202], [200, 201, 200, 202, 202]])
    data = Data(edge_index=torch.cat((ring.edge_index, edges), dim=1), num_nodes=203)
    data.edge_weight = torch.ones(data.num_edges)
    data.edge_weight[-5:] = torch.tensor([3.0, 2.5, 2.5, 7.0, 9.0])
    found = graphs.spectrum(data, k=4)
    wanted = largest(dense(data, data.edge_weight.numpy()), 4)
    np.testing.assert_allclose(np.abs(found), wanted, rtol=1e-9)
    assert found[0] == 9


def test_a_synapse_of_unknown_sign_is_not_lost():
    ring = Data(
        edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]]),
        num_nodes=3,
        edge_weight=torch.tensor([2.0, 2.0, 2.0]),
        edge_sign=torch.tensor([1.0, 0.0, 1.0]),
    )
    np.testing.assert_allclose(np.abs(graphs.spectrum(ring, k=3)), 2.0)
