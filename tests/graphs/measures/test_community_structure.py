import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs


def planted(sizes, seed=0):
    """Blocks with many synapses within and few between them."""
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


# Sizes of all groups and the groups of every fiftieth neuron, which no machine may change.
PINNED = [
    (
        lambda: graphs.small_world(300, 6, 0.1, seed=0),
        1.0,
        [31, 30, 29, 27, 25, 23, 22, 19, 19, 17, 17, 17, 12, 12],
        [4, 7, 10, 3, 6, 1],
    ),
    (
        lambda: graphs.grid_local((15, 20), 2),
        1.0,
        [58, 53, 45, 42, 41, 34, 27],
        [4, 2, 4, 6, 0, 3],
    ),
    (
        lambda: graphs.grid_local((15, 20), 2),
        0.25,
        [191, 109],
        [1, 0, 1, 0, 1, 0],
    ),
    (graphs.c_elegans, 1.0, [97, 80, 57, 44, 19, 1, 1, 1, 1, 1], [2, 2, 1, 4, 0, 0, 1]),
]


@pytest.mark.parametrize(
    ("make", "resolution", "sizes", "some"), PINNED, ids=["ring", "plane", "large groups", "worm"]
)
def test_partitions_stay(make, resolution, sizes, some):
    found = graphs.communities(make(), resolution=resolution, seed=0)
    assert np.bincount(found).tolist() == sizes
    assert found[::50].tolist() == some


def test_two_cliques_joined_by_a_synapse_are_its_largest_modularity():
    clique = 1 - np.eye(5, dtype=int)
    both = np.kron(np.eye(2, dtype=int), clique)
    both[4, 5] = 1
    edge_index = torch.from_numpy(np.stack(np.nonzero(both)))
    data = Data(edge_index=edge_index, num_nodes=10)
    for seed in range(20):
        found = graphs.communities(data, trials=1, seed=seed)
        assert found.tolist() == [0] * 5 + [1] * 5
    # E = 41, of which 40 are within groups; each group sends and receives 20 or 21.
    assert graphs.modularity(data, found) == pytest.approx(40 / 41 - 2 * 20 * 21 / 41**2)


def test_direction_counts():
    """Sources with common targets do not form a community if directions count."""
    data = graphs.layered([6, 6])
    assert graphs.modularity(data, graphs.communities(data)) == 0


def test_self_loops_and_parallel_synapses_change_nothing():
    data, _ = planted([10, 10, 10])
    source, target = data.edge_index[:, data.edge_index[0] != data.edge_index[1]]
    loops = torch.arange(30)
    edge_index = torch.stack(
        (torch.cat((source, loops, source)), torch.cat((target, loops, target)))
    )
    kind = torch.cat((torch.zeros(len(source) + 30), torch.ones(len(source)))).long()
    other = Data(edge_index=edge_index, num_nodes=30, edge_type=kind)
    assert np.array_equal(graphs.communities(data), graphs.communities(other))


def test_neurons_without_synapses_are_groups_of_their_own():
    edge_index = torch.tensor([[0, 1, 3], [1, 0, 3]])
    found = graphs.communities(Data(edge_index=edge_index, num_nodes=4))
    assert found.tolist() == [0, 0, 1, 2]
    alone = Data(edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=3)
    assert graphs.communities(alone).tolist() == [0, 1, 2]


def test_bad_arguments():
    data = graphs.small_world(10, 2, 0.0)
    with pytest.raises(ValueError, match=r"partition is None, .*; pass partition=graphs"):
        graphs.modularity(data)
    with pytest.raises(ValueError, match="partition must hold one integer .*; pass partition="):
        graphs.modularity(data, [[1], [1, 2]])
    for wrong in (
        torch.zeros(10, dtype=torch.long).to_sparse(),
        torch.zeros(10, dtype=torch.long, device="meta"),
        torch.zeros(10, requires_grad=True),
    ):
        with pytest.raises(TypeError, match="partition must hold one integer .*; pass partition="):
            graphs.modularity(data, wrong)
    for wrong in ([0] * 9, np.zeros(10), np.zeros((2, 5), int), np.zeros(10, "m8[s]")):
        with pytest.raises(ValueError, match="one integer or text for each of the 10 neurons"):
            graphs.modularity(data, wrong)
    with pytest.raises(ValueError, match="resolution must be"):
        graphs.communities(data, resolution=-1)
    with pytest.raises(ValueError, match=r"resolution must be a finite number in \[0, 1e\+12\]"):
        graphs.communities(data, resolution=1e20)
    with pytest.raises(ValueError, match="trials must be"):
        graphs.communities(data, trials=0)
    with pytest.raises(ValueError, match="trials must be .* at most 100000, got 4294967296; pass"):
        graphs.communities(data, trials=2**32)


def test_weights_are_not_read():
    """Two triangles of weight 2, joined by reciprocal synapses of weight 1."""
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
