import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs

GRID = graphs.grid_local((6, 5), 1)

FULL = Data(
    edge_index=torch.tensor([[2, 0, 1, 2], [0, 1, 1, 1]]),
    num_nodes=3,
    pos=torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
    edge_weight=torch.tensor([0.5, -1.0, 2.0, 4.0]),
    edge_type=torch.tensor([7, 3, 3, 1]),
    edge_sign=torch.tensor([1.0, -1.0, 1.0, -1.0]),
    node_type=torch.tensor([0, 1, 2]),
    node_type_names=["exc", "inh", "out"],
    node_sign=torch.tensor([1.0, -1.0, 1.0]),
    names=["A", "B", "C"],
    shape=(3,),
)


def synapses(data):
    fields = (data[name].tolist() for name in ("edge_weight", "edge_type", "edge_sign"))
    return sorted(zip(*data.edge_index.tolist(), *fields, strict=True))


def test_subgraph_carries_every_field():
    data = graphs.validate(graphs.subgraph(FULL, [2, 1]))
    assert synapses(data) == [(0, 1, 4.0, 1, -1.0), (1, 1, 2.0, 3, 1.0)]
    assert data.pos.tolist() == [[4.0, 5.0], [2.0, 3.0]]
    assert data.names == ["C", "B"]
    assert data.node_type.tolist() == [2, 1]
    assert data.node_type_names == ["exc", "inh", "out"]
    assert data.node_sign.tolist() == [1.0, -1.0]
    assert "shape" not in data


def test_subgraph_is_the_block_of_the_matrix():
    rng = np.random.default_rng(0)
    kept = rng.permutation(30)[:17]
    expected = graphs.to_scipy(GRID).toarray()[np.ix_(kept, kept)]
    found = graphs.to_scipy(graphs.subgraph(GRID, kept)).toarray()
    assert np.array_equal(found != 0, expected != 0)
    mask = torch.zeros(30, dtype=torch.bool)
    mask[torch.from_numpy(kept)] = True
    by_mask, ordered = (graphs.subgraph(GRID, each) for each in (mask, np.sort(kept)))
    assert torch.equal(by_mask.edge_index, ordered.edge_index)


@pytest.mark.parametrize(
    "cut", [graphs.subgraph, lambda data, what: graphs.lesion(data, neurons=what)]
)
@pytest.mark.parametrize(
    ("neurons", "error", "message"),
    [
        ([0, 30], ValueError, "got 30"),
        ([-1], ValueError, "got -1"),
        ([3, 5, 3], ValueError, "got 3 more than once"),
        ([True] * 29, ValueError, "got a mask of 29"),
        ([0.5], TypeError, r"got \[0.5\] of type list"),
        (7, TypeError, "got 7 of type int"),
        ([[1, 2]], TypeError, r"got \[\[1, 2\]\] of type list"),
    ],
)
def test_bad_neurons(cut, neurons, error, message):
    with pytest.raises(error, match=rf"neurons must be positions in \[0, 30\).*{message}.*; pass"):
        cut(GRID, neurons)


def test_lesioned_neurons_stay_without_synapses():
    data = graphs.validate(graphs.lesion(FULL, neurons=[0]))
    assert synapses(data) == [(1, 1, 2.0, 3, 1.0), (2, 1, 4.0, 1, -1.0)]
    for name in ("pos", "node_type", "node_sign"):
        assert torch.equal(data[name], FULL[name])
    assert data.names == FULL.names
    assert data.shape == (3,)
    assert data.node_type_names == FULL.node_type_names


def test_lesioned_synapses_are_named_by_position():
    assert synapses(graphs.lesion(FULL, synapses=[0, 3])) == synapses(FULL)[:2]
    mask = torch.tensor([True, False, False, True])
    assert synapses(graphs.lesion(FULL, synapses=mask)) == synapses(FULL)[:2]


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 1.0])
def test_a_fraction_is_exact(fraction):
    data = graphs.lesion(GRID, fraction=fraction, seed=0)
    assert data.num_edges == GRID.num_edges - round(fraction * GRID.num_edges)
    assert set(zip(*data.edge_index.tolist(), strict=True)) <= set(
        zip(*GRID.edge_index.tolist(), strict=True)
    )
    # Each neuron of this grid sends to itself.
    data = graphs.lesion(GRID, fraction=fraction, of="neurons", seed=0)
    alive = data.edge_index.unique()
    assert len(alive) == 30 - round(fraction * 30)
    assert torch.equal(
        data.edge_index,
        graphs.lesion(GRID, neurons=~torch.isin(torch.arange(30), alive)).edge_index,
    )


def test_random_lesions_hit_all_alike():
    counts = np.zeros(FULL.num_edges)
    for seed in range(800):
        kept = graphs.lesion(FULL, fraction=0.5, seed=seed)
        counts += np.isin([1.0 * each for *_, each, _, _ in synapses(FULL)], kept.edge_weight)
    # 800 draws of 1/2; 4.5 standard deviations have a probability of 7 in a million.
    assert np.abs(counts - 400).max() < 4.5 * 200**0.5


def test_a_random_lesion_depends_on_the_graph_alone():
    shuffled = FULL.clone()
    for name in ("edge_weight", "edge_type", "edge_sign"):
        shuffled[name] = shuffled[name][[2, 0, 3, 1]]
    shuffled.edge_index = shuffled.edge_index[:, [2, 0, 3, 1]]
    one, other = (graphs.lesion(data, fraction=0.5, seed=1) for data in (FULL, shuffled))
    assert synapses(one) == synapses(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of neurons, synapses and fraction, got none; pass"),
        ({"neurons": [0], "fraction": 0.5}, "got neurons and fraction; pass"),
        ({"fraction": 1.5}, r"fraction must be .*got 1.5; pass"),
        ({"fraction": 0.5, "of": "cells"}, "of must be one of .*got 'cells'; pass"),
        ({"synapses": [5000]}, "synapses must be positions"),
    ],
)
def test_bad_lesions(options, message):
    with pytest.raises(ValueError, match=message):
        graphs.lesion(GRID, **options)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda data: graphs.subgraph(data, range(100)), "both"),
        (lambda data: graphs.lesion(data, neurons=[0]), "both"),
        (lambda data: graphs.match(data, 1000, seed=0), "both"),
        (lambda data: graphs.rewire_degrees(data, seed=0), "chemical"),
    ],
    ids=["subgraph", "lesion", "match", "rewire"],
)
def test_names_of_types_are_kept(change, kind):
    worm = graphs.c_elegans(kind)
    changed = graphs.validate(change(worm))
    assert "edge_type_names" in worm
    assert changed.edge_type_names == worm.edge_type_names
    assert changed.node_type_names == worm.node_type_names


@pytest.mark.parametrize("make", ["subgraph", "lesion", "match", "rewire_degrees"])
def test_values_of_neurons_beyond_the_contract_are_carried(make):
    data = graphs.grid_local((2, 3), 1, self_loops=False)
    data.transmitters = list("abcdef")
    data.column = torch.arange(12).reshape(6, 2)
    data.source = torch.tensor([True, False] * 3)
    data.edge_attr, data.note = torch.ones(data.num_edges, 2), "of the whole"
    cut = {
        "subgraph": lambda: graphs.subgraph(data, [4, 1]),
        "lesion": lambda: graphs.lesion(data, neurons=[0]),
        "match": lambda: graphs.match(data, 5, seed=0),
        "rewire_degrees": lambda: graphs.rewire_degrees(data, seed=0),
    }[make]()
    kept = [4, 1] if make == "subgraph" else list(range(6))
    assert cut.transmitters == [data.transmitters[each] for each in kept]
    assert torch.equal(cut.column, data.column[kept])
    assert torch.equal(cut.source, data.source[kept])
    assert "edge_attr" not in cut
    assert "note" not in cut


def test_as_many_synapses_as_neurons():
    data = graphs.from_edges([0, 1], [1, 0], num_nodes=2)
    data.edge_attr, data.x = torch.ones(2, 1), torch.ones(2, 1)
    cut = graphs.lesion(data, synapses=[])
    assert "edge_attr" not in cut
    assert "x" in cut
