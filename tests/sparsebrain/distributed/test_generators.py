"""Generators of single parts: their union is one graph for every number of parts."""

import numpy as np
import pytest
import torch

import graphs
from sparsebrain.distributed import Part, generators

LATTICES = [
    {"shape": (6, 5), "distance": 1},
    {"shape": 9, "distance": 2, "periodic": True},
    {"shape": (3, 2, 3, 2), "distance": 1.5},
    {"shape": (6, 5), "distance": 2, "padding": False},
    {"shape": (6, 7), "distance": 1.5, "metric": "euclidean"},
    {"shape": (5, 7), "distance": 1, "periodic": (True, False), "self_loops": False},
    {"shape": (3, 40), "distance": 3},
]
BOXES = [
    {"num_nodes": 60, "extent": (4, 3), "distance": 1.0},
    {"num_nodes": 200, "extent": (20, 2, 2), "distance": 1.0, "profile": "gaussian", "seed": 5},
    {"num_nodes": 50, "extent": 9.0, "distance": 2.0, "profile": "step", "p_max": 0.5},
    {"num_nodes": 40, "extent": 9.0, "distance": 2.0, "self_loops": True},
    {"num_nodes": 0, "extent": 9.0, "distance": 2.0},
]


def union(parts):
    """Sources and targets, the numbers of the synapses, and their types, of all parts."""
    edges = torch.cat([part.nodes[part.data.edge_index] for part in parts], 1)
    synapse = torch.cat([part.synapse for part in parts])
    order = synapse.argsort()
    types = [part.data.edge_type for part in parts if "edge_type" in part.data]
    return edges[:, order], synapse[order], torch.cat(types)[order] if types else None


@pytest.mark.parametrize("options", LATTICES)
@pytest.mark.parametrize("parts", [1, 3, 7])
def test_parts_of_a_lattice_are_the_lattice(options, parts):
    whole = graphs.grid_local(**options)
    made = [generators.grid_local(**options, rank=rank, parts=parts) for rank in range(parts)]
    edges, synapse, types = union(made)
    assert torch.equal(edges, whole.edge_index)
    assert torch.equal(synapse, torch.arange(whole.num_edges))
    assert torch.equal(types, whole.edge_type)
    owner = torch.empty(whole.num_nodes, dtype=torch.int64)
    for rank, part in enumerate(made):
        assert part.num_edges == whole.num_edges
        owner[part.owned] = rank
    for part in made:
        assert torch.equal(part.owner, owner[part.nodes])
        assert "pos" not in whole or torch.equal(part.data.pos, whole.pos[part.nodes])


@pytest.mark.parametrize("options", BOXES)
def test_a_random_box_is_the_same_for_every_number_of_parts(options):
    whole = union([generators.coordinate_random(**options, rank=0, parts=1)])
    for parts in (2, 3, 8):
        made = [generators.coordinate_random(**options, rank=r, parts=parts) for r in range(parts)]
        found = union(made)
        assert torch.equal(found[0], whole[0])
        assert torch.equal(found[1], whole[1])
        assert sum(len(part.owned) for part in made) == options["num_nodes"]


def test_a_random_box_has_the_density_of_its_law():
    """A linear profile gives density * pi * d^2 / 3 synapses per neuron far from the borders."""
    part = generators.coordinate_random(4000, (40, 25), 1.0, rank=0, parts=1, seed=1)
    pos = part.data.pos
    inner = ((pos > 1) & (pos < torch.tensor([39.0, 24.0]))).all(1)
    degree = torch.bincount(part.data.edge_index[1], minlength=4000)[inner].double()
    expected = 4 * np.pi / 3
    # Six standard errors: a false alarm in a billion.
    assert abs(float(degree.mean()) - expected) < 6 * float(degree.std()) / len(degree) ** 0.5
    source, target = part.data.edge_index
    assert float((pos[source] - pos[target]).norm(dim=1).max()) <= 1.0


def test_numbers_beyond_32_bits_stay_right(tmp_path):
    """Of ten billion neurons and ninety billion synapses, one part in a million."""
    part = generators.grid_local((100_000, 100_000), 1, rank=500_000, parts=10**6)
    assert (part.num_nodes, part.num_edges) == (10**10, 9 * 10**10 - 2 * 6 * 10**5 + 4)
    assert part.owned.tolist() == list(range(5 * 10**9, 5 * 10**9 + 10**4))
    source, target = part.nodes[part.data.edge_index]
    row, column = target // 10**5, target % 10**5
    apart = torch.maximum((source // 10**5 - row).abs(), (source % 10**5 - column).abs())
    assert int(apart.max()) == 1
    # All synapses onto the lines before, and onto the neurons before in this line.
    before = 50_000 * (9 * 10**5 - 6) - (3 * 10**5 - 2)
    assert part.synapse[:2].tolist() == [before, before + 1]
    part.save(tmp_path)
    again = Part.load(tmp_path, 500_000)
    for name in ("nodes", "owner", "synapse"):
        assert torch.equal(getattr(again, name), getattr(part, name))
    box = generators.coordinate_random(4 * 10**9, (4e8, 1), 0.5, rank=999_999, parts=10**6)
    assert int(box.owned.max()) == 4 * 10**9 - 1
    assert int(box.synapse.min()) > 2**51
    assert bool((box.synapse.diff() > 0).all())


WRONG = [
    ({"rank": 3}, ValueError, "rank must be an integer >= 0 and at most 2, got 3; pass rank=2"),
    ({"rank": True}, TypeError, "rank must be an integer"),
    ({"parts": 0}, ValueError, "parts must be an integer >= 1"),
    ({"distance": -1}, ValueError, "distance must be a finite number"),
]


@pytest.mark.parametrize(("change", "kind", "match"), WRONG)
def test_wrong_arguments(change, kind, match):
    place = {"rank": 0, "parts": 3}
    with pytest.raises(kind, match=match):
        generators.grid_local(**{"shape": (4, 4), "distance": 1, **place, **change})
    box = {"num_nodes": 9, "extent": 3.0, "distance": 1.0}
    with pytest.raises(kind, match=match):
        generators.coordinate_random(**{**box, **place, **change})


def test_parts_that_do_not_fit_into_memory():
    with pytest.raises(ValueError, match="shape and distance needs .* GiB.*; pass more parts"):
        generators.grid_local((10**6, 10**6), 3, rank=0, parts=10)
    with pytest.raises(ValueError, match="num_nodes and distance needs .* GiB.*; pass more parts"):
        generators.coordinate_random(10**11, 1e11, 5.0, rank=0, parts=2)
