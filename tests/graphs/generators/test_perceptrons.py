from itertools import pairwise

import numpy as np
import pytest
import torch

import graphs


def test_all_neurons_of_a_layer_send_to_all_of_the_next():
    data = graphs.layered([2, 3, 1])
    assert data.num_nodes == 6
    expected = {(s, t) for s in (0, 1) for t in (2, 3, 4)} | {(s, 5) for s in (2, 3, 4)}
    assert set(zip(*data.edge_index.tolist(), strict=True)) == expected
    assert data.num_edges == len(expected)


def test_layers_are_populations():
    data = graphs.layered((2, 3, 1))
    assert data.node_type.tolist() == [0, 0, 1, 1, 1, 2]
    assert data.node_type_names == ["layer 0", "layer 1", "layer 2"]
    assert torch.equal(data.pos[:, 0], data.node_type.float())
    assert data.pos[:, 1].tolist() == [-0.5, 0.5, -1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("sizes", [[4, 5], [3, 4, 5, 6], np.array([7, 1, 7])])
def test_no_clustering(sizes):
    found = graphs.summary(graphs.layered(sizes))
    assert found.clustering == 0.0
    assert found.num_edges == sum(a * b for a, b in pairwise(sizes))
    assert found.strongly_connected == 1 / sum(sizes)


def test_one_layer_has_no_synapses():
    data = graphs.layered([4])
    assert (data.num_nodes, data.num_edges) == (4, 0)
    assert graphs.validate(data).edge_index.shape == (2, 0)


def test_a_loop_per_layer_is_a_dense_network():
    rng = np.random.default_rng(0)
    data = graphs.layered([3, 4, 2])
    data.edge_weight = torch.from_numpy(rng.normal(size=data.num_edges).astype(np.float32))
    loop = graphs.to_scipy(data).toarray().T
    first, second = loop[3:7, :3], loop[7:, 3:7]
    x = rng.normal(size=3).astype(np.float32)
    state = loop @ loop @ np.concatenate((x, np.zeros(6, np.float32)))
    np.testing.assert_allclose(state[7:], second @ (first @ x), rtol=1e-5)
