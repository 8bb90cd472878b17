import math

import numpy as np
import pytest
import torch

import graphs

# |z| >= 4.5 has a probability of 7 in a million. Seeds are fixed, so a passing test keeps passing.
Z = 4.5


def synapses_between(data, blocks):
    source, target = data.node_type[data.edge_index]
    return torch.bincount(source * blocks + target, minlength=blocks**2).reshape(blocks, blocks)


@pytest.mark.parametrize("directed", [True, False])
def test_density_of_every_pair_of_blocks(directed):
    sizes = np.array([400, 150, 1, 250])
    chance = np.array(
        [[0.05, 0.01, 0.5, 0.0], [0.01, 0.3, 0.2, 0.1], [0.5, 0.2, 1.0, 0.4], [0.0, 0.1, 0.4, 0.9]]
    )
    if directed:
        chance[0, 1:] = 0.02, 0.3, 1.0
    data = graphs.stochastic_block(sizes, chance, directed=directed, seed=0)
    found = synapses_between(data, 4).double().numpy()
    places = np.outer(sizes, sizes) - np.diag(sizes)
    # An undirected pair within a block is drawn once but counted twice.
    variance = places * chance * (1 - chance) * (1 if directed else 1 + np.eye(4))
    sure = variance == 0
    assert (found[sure] == (places * chance)[sure]).all()
    z = (found - places * chance)[~sure] / np.sqrt(variance[~sure])
    assert np.abs(z).max() < Z


def test_pairs_within_a_block_are_equally_likely():
    for directed in (True, False):
        counts = np.zeros((6, 6))
        for seed in range(400):
            data = graphs.stochastic_block([6], [[0.3]], directed=directed, seed=seed)
            counts[tuple(data.edge_index.numpy())] += 1
        assert not counts.diagonal().any()
        pairs = counts[~np.eye(6, dtype=bool)]
        assert np.abs(pairs - 120).max() < Z * math.sqrt(400 * 0.3 * 0.7)


def test_one_and_zero_are_sure():
    data = graphs.stochastic_block([3, 2], [[0, 1], [0, 0]], seed=0)
    assert set(zip(*data.edge_index.tolist(), strict=True)) == {
        (s, t) for s in range(3) for t in (3, 4)
    }
    assert data.node_type.tolist() == [0, 0, 0, 1, 1]
    assert data.node_type_names == ["block 0", "block 1"]
    assert graphs.stochastic_block([30], [[1.0]]).num_edges == 30 * 29


def test_undirected_needs_symmetry():
    with pytest.raises(ValueError, match=r"must be symmetric if not directed.*directed=True"):
        graphs.stochastic_block([3, 2], [[0, 1], [0, 0]], directed=False)


def level_of(data, branching):
    """The level of the smallest common module of both ends of every synapse."""
    source, target = data.node_type[data.edge_index]
    level = torch.zeros_like(source)
    while (source != target).any():
        level += source != target
        source, target = source // branching, target // branching
    return level


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("ratio", [0.1, 1 / 3, 1.0])
def test_density_falls_by_the_ratio_at_every_level(directed, ratio):
    n, b, levels, p = 30, 3, 3, 0.4
    data = graphs.hierarchical_modules(n, b, levels, p, ratio, directed=directed, seed=1)
    found = torch.bincount(level_of(data, b), minlength=levels + 1).double().numpy()
    neurons = n * b**levels
    assert data.num_nodes == neurons
    degree = np.array([n - 1, *(n * (b - 1) * b ** (level - 1) for level in (1, 2, 3))])
    chance = p * ratio ** np.arange(levels + 1)
    expected = neurons * degree * chance
    variance = expected * (1 - chance) * (1 if directed else 2)
    assert np.abs((found - expected) / np.sqrt(variance)).max() < Z
    if ratio == 1 / 3:
        np.testing.assert_allclose(expected[1:], expected[1])


def test_all_pairs_of_a_level_are_equally_likely():
    options = {"module_size": [2, 1, 3, 2], "branching": 2, "levels": 2}
    for directed in (True, False):
        counts = np.zeros((8, 8))
        for seed in range(400):
            data = graphs.hierarchical_modules(
                **options, probability=0.8, ratio=0.5, directed=directed, seed=seed
            )
            counts[tuple(data.edge_index.numpy())] += 1
        module = np.array([0, 0, 1, 2, 2, 2, 3, 3])
        level = (module[:, None] != module) + 1 * (module[:, None] // 2 != module // 2)
        chance = np.where(np.eye(8), 0, 0.8 * 0.5**level)
        deviation = np.abs(counts - 400 * chance)
        assert (deviation <= Z * np.sqrt(400 * chance * (1 - chance))).all()


def test_names_tell_the_modules_from_the_largest_down():
    data = graphs.hierarchical_modules(1, 2, 2, 1.0, 1.0)
    names = ["module 0.0", "module 0.1", "module 1.0", "module 1.1"]
    assert data.node_type_names == names
    assert data.num_edges == 12
    assert graphs.hierarchical_modules(4, 2, 0, 1.0, 0.0).node_type_names == ["module 0"]


def test_without_ratio_modules_are_apart():
    data = graphs.hierarchical_modules([2, 3], 2, 1, 1.0, 0.0)
    assert data.num_edges == 2 + 6
    assert (level_of(data, 2) == 0).all()


def test_pinned_number_of_synapses():
    blocks = graphs.stochastic_block([300, 100], [[0.1, 0.01], [0.0, 0.2]], seed=0)
    modules = graphs.hierarchical_modules(50, 4, 2, 0.3, 0.25, seed=0)
    assert (blocks.num_edges, modules.num_edges) == (11372, 29998)
