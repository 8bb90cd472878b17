"""Influence and the strongest paths against dense matrices and all paths of small graphs."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import graphs
from graphs import memory

thorough = settings(max_examples=60, deadline=None)


@st.composite
def connectomes(draw):
    """Signed graphs with self-loops, parallel synapses, zeros and isolated neurons."""
    neurons = draw(st.integers(1, 7))
    neuron = st.integers(0, neurons - 1)
    size = draw(st.sampled_from((8, 30)))
    edges = sorted(draw(st.sets(st.tuples(neuron, neuron, st.integers(0, 1)), max_size=size)))
    index = torch.tensor([each[:2] for each in edges], dtype=torch.long).reshape(-1, 2)
    weights = st.lists(st.sampled_from((0.0, 1.0, 2.0, 5.0)), min_size=len(edges))
    sign = st.lists(st.sampled_from((-1.0, 0.0, 1.0)), min_size=neurons, max_size=neurons)
    return Data(
        edge_index=index.T.contiguous(),
        num_nodes=neurons,
        edge_type=torch.tensor([each[2] for each in edges], dtype=torch.long),
        edge_weight=torch.tensor(draw(weights)[: len(edges)], dtype=torch.float32),
        node_sign=torch.tensor(draw(sign)),
    )


def shares(data, *, signed=False, threshold=0.0):
    """Input shares [N, N] with sources as rows."""
    matrix = np.zeros((data.num_nodes,) * 2)
    np.add.at(matrix, tuple(data.edge_index.numpy()), data.edge_weight.abs().numpy())
    total = matrix.sum(axis=0)
    matrix = matrix / np.where(total, total, 1)
    matrix[matrix < threshold] = 0
    if signed:
        matrix *= np.where(data.node_sign.numpy() < 0, -1, 1)[:, None]
    return matrix


@thorough
@given(connectomes(), st.sampled_from((0.0, 0.3)), st.booleans(), st.data())
def test_influence_is_a_power_of_the_shares(data, threshold, signed, draw):
    every = st.lists(st.integers(0, data.num_nodes - 1), min_size=1, unique=True)
    sources, targets = draw.draw(every), draw.draw(every)
    found = graphs.influence(data, sources, targets, steps=4, threshold=threshold, signed=signed)
    matrix = shares(data, signed=signed, threshold=threshold)
    powers = [np.linalg.matrix_power(matrix, step + 1) for step in range(4)]
    wanted = np.array(powers)[:, sources][:, :, targets]
    assert found.share == pytest.approx(wanted, abs=1e-12)
    assert found.total == pytest.approx(wanted.sum(axis=0), abs=1e-12)
    together = graphs.influence(
        data, sources, targets, steps=4, threshold=threshold, signed=signed, grouped=True
    )
    assert together.share == pytest.approx(wanted.sum(axis=1, keepdims=True), abs=1e-12)


@thorough
@given(connectomes(), st.sampled_from((0.0, 0.3)), st.integers(1, 3), st.integers(1, 30), st.data())
def test_the_strongest_paths_are_those_of_an_exhaustive_search(data, threshold, steps, count, draw):
    every = st.lists(st.integers(0, data.num_nodes - 1), min_size=1, unique=True)
    sources, targets = draw.draw(every), draw.draw(every)
    matrix = shares(data, threshold=threshold)
    wanted = sorted(
        (-math.prod(matrix[pair] for pair in itertools.pairwise(path)), path)
        for length in range(2, steps + 2)
        for path in itertools.permutations(range(data.num_nodes), length)
        if path[0] in sources and path[-1] in targets
    )
    wanted = [(-strength, path) for strength, path in wanted if strength < 0]
    found = graphs.strongest_paths(
        data, sources, targets, steps=steps, count=count, threshold=threshold
    )
    assert len(found) == min(count, len(wanted))
    every_strength = {path: strength for strength, path in wanted}
    for at, path in enumerate(found):
        assert path.strength == pytest.approx(wanted[at][0])
        assert path.strength == pytest.approx(every_strength[path.neurons])
        assert path.shares == pytest.approx(
            [matrix[pair] for pair in itertools.pairwise(path.neurons)]
        )
    assert len({path.neurons for path in found}) == len(found)


def chain():
    """Neurons a, b and c in a chain with shortcuts; c also receives from d."""
    return Data(
        edge_index=torch.tensor([[0, 1, 0, 3], [1, 2, 2, 2]]),
        num_nodes=4,
        edge_weight=torch.tensor([5.0, 2.0, 1.0, 7.0]),
        names=["a", "b", "c", "d"],
        node_type=torch.tensor([0, 1, 1, 0]),
        node_type_names=["in", "out"],
    )


def test_a_count_by_hand():
    found = graphs.influence(chain(), ["a"], ["c", "b"], steps=2)
    assert found.share[:, 0].tolist() == [[0.1, 1.0], [0.2, 0.0]]
    assert (found.sources.tolist(), found.targets.tolist()) == ([0], [2, 1])
    assert found.total.tolist() == [[pytest.approx(0.3), 1.0]]
    assert str(found) == (
        "influence of 1 neurons on 2: 0.55, 0.1 over 1 to 2 steps, mean over targets"
    )
    paths = graphs.strongest_paths(chain(), "in", "out")
    assert [path.names for path in paths] == [
        ("a", "b"), ("d", "c"), ("a", "b", "c"), ("a", "c"),
    ]  # fmt: skip
    assert [path.strength for path in paths] == pytest.approx([1, 0.7, 0.2, 0.1])
    assert str(paths).splitlines()[2] == "0.2  a -> b -> c"
    assert len(graphs.strongest_paths(chain(), "in", "out", threshold=0.15)) == 3
    assert len(graphs.strongest_paths(chain(), "in", "out", steps=1)) == 3
    none = graphs.strongest_paths(chain(), ["c"], ["a"])
    assert (list(none), str(none)) == ([], "no path")


def test_as_dataframes():
    frame = graphs.influence(chain(), "in", steps=2).to_dataframe("pyarrow").to_pydict()
    rows = set(zip(frame["source"], frame["target"], frame["step"], strict=True))
    assert rows == {(0, 1, 1), (0, 2, 1), (3, 2, 1), (0, 2, 2)}
    assert sum(frame["influence"]) == pytest.approx(2.0)
    grouped = graphs.influence(chain(), "in", steps=2, grouped=True).to_dataframe("pyarrow")
    assert grouped.column_names == ["target", "step", "influence"]
    frame = graphs.strongest_paths(chain(), "in", ["c"]).to_dataframe("pyarrow").to_pydict()
    assert frame["path"] == [0, 1, 1, 2]
    assert frame["source"] == ["d", "a", "b", "a"]
    assert frame["target"] == ["c", "b", "c", "c"]
    assert frame["step"] == [1, 1, 2, 1]
    assert frame["share"] == pytest.approx([0.7, 1, 0.2, 0.1])


def test_blocks_of_sources_are_the_whole(monkeypatch):
    data = graphs.larva_mushroom_body()
    whole = graphs.influence(data, range(20), steps=3).share
    monkeypatch.setattr("graphs.measures.influences._BLOCK", 3 * data.num_nodes)
    assert np.array_equal(graphs.influence(data, range(20), steps=3).share, whole)


def test_weights_of_either_sign():
    data = chain()
    data.edge_weight = torch.tensor([5.0, -2.0, 1.0, -7.0])
    assert graphs.influence(data, "in", steps=2).share == pytest.approx(
        graphs.influence(chain(), "in", steps=2).share
    )
    signed = graphs.influence(data, ["a"], ["c"], steps=2, signed=True)
    assert signed.share.ravel() == pytest.approx([0.1, -0.2])


def test_each_synapse_has_the_sign_of_its_signed_weight():
    """Also if other weights are negative."""
    data = Data(edge_index=torch.tensor([[0, 1], [2, 2]]), num_nodes=3)
    data.edge_weight = torch.tensor([-5.0, 3.0])
    data.node_sign = torch.tensor([0.0, -1.0, 1.0])
    assert graphs.signed_weights(data).tolist() == [-5, -3]
    found = graphs.influence(data, [0, 1], [2], steps=1, signed=True)
    assert found.share.ravel().tolist() == [-5 / 8, -3 / 8]
    counted = graphs.influence(data, [0, 1], [2], steps=1, signed=True, weight=None)
    assert counted.share.ravel().tolist() == [0.5, -0.5]
    data.edge_sign = torch.tensor([-1.0, 0.0])
    found = graphs.influence(data, [0, 1], [2], steps=1, signed=True)
    assert found.share.ravel().tolist() == [-5 / 8, 3 / 8]


@thorough
@given(connectomes(), st.data())
def test_one_step_is_the_share_of_signed_weights(data, draw):
    known = graphs.contract.signs(data)
    flips = draw.draw(st.lists(st.booleans(), min_size=len(known), max_size=len(known)))
    data.edge_weight[torch.tensor(flips, dtype=torch.bool) & torch.from_numpy(known <= 0)] *= -1
    wanted = np.zeros((data.num_nodes,) * 2)
    np.add.at(wanted, tuple(data.edge_index.numpy()), graphs.signed_weights(data))
    total = np.zeros(data.num_nodes)
    np.add.at(total, data.edge_index[1].numpy(), data.edge_weight.abs().numpy())
    wanted /= np.where(total, total, 1)
    found = graphs.influence(data, range(data.num_nodes), steps=1, signed=True)
    assert found.share[0] == pytest.approx(wanted, abs=1e-12)


def test_bad_arguments(monkeypatch):
    with pytest.raises(ValueError, match="sources names 'x', which is not in connectome.names"):
        graphs.influence(chain(), ["x"])
    with pytest.raises(ValueError, match="targets must be one of 'in', 'out', got 'nix'"):
        graphs.influence(chain(), [0], "nix")
    with pytest.raises(ValueError, match="steps must be an integer >= 1 and at most 100, got 101"):
        graphs.influence(chain(), [0], steps=101)
    with pytest.raises(ValueError, match=r"threshold must be a finite number in \[0, 1\]"):
        graphs.strongest_paths(chain(), [0], [1], threshold=1.5)
    with pytest.raises(ValueError, match="count must be an integer >= 1"):
        graphs.strongest_paths(chain(), [0], [1], count=0)
    monkeypatch.setattr(memory, "available", lambda: 170)
    with pytest.raises(ValueError, match="sources and targets must be few .* pass grouped=True or"):
        graphs.influence(chain(), [0, 1], [1, 2], steps=3)
