import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs


def planted(sizes, seed=0):
    """Blocks whose neurons send to each other often, and seldom to others."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    share = np.where(group[:, None] == group, 0.5, 0.02)
    source, target = np.nonzero(rng.random(share.shape) < share)
    edge_index = torch.from_numpy(np.stack((source, target)))
    return Data(edge_index=edge_index, num_nodes=len(group)), group


def test_blocks_are_found_and_numbered_by_size():
    data, group = planted([30, 50, 40])
    assert np.array_equal(graphs.communities(data), np.array([2, 0, 1])[group])


def test_it_finds_no_less_than_was_planted():
    data, group = planted([10] * 12, seed=1)
    found = graphs.communities(data)
    assert graphs.modularity(data, found) >= graphs.modularity(data, group)


def test_more_resolution_means_more_groups():
    data, _ = planted([20] * 6)
    few, many = (graphs.communities(data, resolution=each).max() for each in (0.2, 8.0))
    assert few < many


def test_it_is_seeded():
    data = graphs.small_world(300, 6, 0.5, seed=0)
    first, again, other = (graphs.communities(data, trials=1, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    best = graphs.communities(data, trials=5, seed=1)
    assert graphs.modularity(data, best) >= graphs.modularity(data, first)


def test_neurons_without_synapses_are_groups_of_their_own():
    edge_index = torch.tensor([[0, 1, 3], [1, 0, 3]])
    found = graphs.communities(Data(edge_index=edge_index, num_nodes=4))
    assert found.tolist() == [0, 0, 1, 2]
    alone = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=3)
    assert graphs.communities(alone).tolist() == [0, 1, 2]


def test_bad_arguments():
    data = graphs.small_world(10, 2, 0.0)
    with pytest.raises(
        ValueError, match=r"no partition, and data has no node_type; pass partition"
    ):
        graphs.modularity(data)
    for wrong in ([0] * 9, np.zeros(10), np.zeros((2, 5), int)):
        with pytest.raises(ValueError, match="one integer for each of the 10 neurons"):
            graphs.modularity(data, wrong)
    with pytest.raises(ValueError, match="resolution must be"):
        graphs.communities(data, resolution=-1)
    with pytest.raises(ValueError, match="trials must be"):
        graphs.communities(data, trials=0)


def test_weights_are_not_read():
    """Two triangles of weight 2, joined by a synapse each way of weight 1."""
    pairs = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (2, 3)]
    weight = [2.0] * 6 + [1.0]
    graph = nx.Graph()
    graph.add_weighted_edges_from((*pair, each) for pair, each in zip(pairs, weight, strict=True))
    data = graphs.from_networkx(graph)
    back = graphs.to_networkx(data)
    groups = [{0, 1, 2}, {3, 4, 5}]
    ours = graphs.modularity(data, [0, 0, 0, 1, 1, 1])
    assert ours == pytest.approx(0.3571, abs=5e-5)
    assert ours == pytest.approx(nx.community.modularity(back, groups, weight=None), rel=1e-12)
    assert nx.community.modularity(back, groups) == pytest.approx(0.4231, abs=5e-5)
