"""Partitions, their reports, and parts on disk."""

import sys

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain.distributed import Part, partition
from sparsebrain.distributed.parts import file_name
from tests.sparsebrain.distributed.layers import assignments, graph_of, typed

METHODS = ["blocks", "rcm", "uneven", "empty"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("parts", [1, 2, 4, 50])
def test_every_neuron_and_synapse_is_in_one_part(method, parts):
    data = typed()
    whole = partition(data, parts, assignments(data.num_nodes, parts)[method])
    made = [whole.part(rank) for rank in range(parts)]
    assert torch.cat([part.owned for part in made]).sort().values.tolist() == list(range(30))
    synapse = torch.cat([part.synapse for part in made])
    assert sorted(synapse.tolist()) == list(range(data.num_edges))
    for rank, part in enumerate(made):
        assert torch.equal(part.owned, whole.owned(rank))
        ends = part.nodes[part.data.edge_index]
        assert torch.equal(ends, data.edge_index[:, part.synapse])
        assert torch.equal(part.data.edge_weight, data.edge_weight[part.synapse])
        assert torch.equal(part.data.node_type, data.node_type[part.nodes])
        # In canonical order, as everywhere.
        assert bool((ends[1].diff() >= 0).all())
        assert set(part.halo.tolist()) == set(ends[0].tolist()) - set(part.owned.tolist())
    report = whole.report
    assert report.neurons == tuple(len(part.owned) for part in made)
    assert report.synapses == tuple(len(part.synapse) for part in made)
    assert report.halo == tuple(len(part.halo) for part in made)
    assert report.bytes_per_loop == tuple(4 * each for each in report.halo)
    assert report.halo_share == sum(report.halo) / 30
    assert report.to_dict()["synapses"] == report.synapses


def test_the_halo_of_topologies():
    """A grid reads two rows per border; a random graph reads almost everything."""
    grid = partition(graphs.grid_local((40, 40), 1), 2).report
    assert grid.halo == (40, 40)
    random = partition(graphs.erdos_renyi(400, 0.1, seed=0), 2).report
    assert random.halo_share > 0.99


def test_rcm_finds_the_line_in_a_shuffled_line():
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    line = torch.stack([order[:-1], order[1:]])
    data = Data(edge_index=torch.cat([line, line.flip(0)], 1), num_nodes=200)
    assert sum(partition(data, 4, "rcm").report.halo) == 6
    assert sum(partition(data, 4, "blocks").report.halo) > 100


def test_blocks_are_balanced_by_synapses_and_neurons():
    star = torch.stack([torch.arange(1, 100), torch.zeros(99, dtype=torch.int64)])
    whole = partition(Data(edge_index=star, num_nodes=100), 2)
    assert whole.report.neurons == (1, 99)
    assert partition(Data(edge_index=star[:, :0], num_nodes=100), 2).report.neurons == (50, 50)


def test_metis_cuts_few_synapses():
    pytest.importorskip("pymetis")
    grid = graphs.grid_local((20, 20), 1)
    shuffled = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    data = Data(edge_index=shuffled[grid.edge_index], num_nodes=400)
    metis, blocks = (partition(data, 4, method).report for method in ("metis", "blocks"))
    assert sum(metis.halo) < 0.3 * sum(blocks.halo)
    assert metis.imbalance < 1.1


def test_metis_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    with pytest.raises(ImportError, match=r"method='metis' needs pymetis; run pip install"):
        partition(graph_of("grid"), 2, "metis")


@pytest.mark.parametrize("name", ["grid", "grid-4d"])
def test_parts_survive_the_disk(name, tmp_path):
    data = typed() if name == "grid" else graph_of(name)
    whole = partition(data, 3, "rcm")
    paths = whole.save(tmp_path)
    assert [path.name for path in paths] == [file_name(rank, 3) for rank in range(3)]
    for rank in range(3):
        one, other = whole.part(rank), Part.load(tmp_path, rank)
        assert repr(one) == repr(other)
        assert one.graph == other.graph
        for field in ("nodes", "owner", "synapse", "projections"):
            mine, read = getattr(one, field), getattr(other, field)
            assert mine is read is None or torch.equal(mine, read)
        assert set(one.data.keys()) == set(other.data.keys())
        for field in set(one.data.keys()):
            if field != "num_nodes":
                assert torch.equal(one.data[field], other.data[field])


def test_folders_and_files_that_are_wrong(tmp_path):
    whole = partition(graph_of("grid"), 3)
    (path, *_) = whole.save(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"must have one file of part 3, and has none; call"
    ):
        Part.load(tmp_path, 3)
    with pytest.raises(ValueError, match=r"folder .* has parts of another partition, such as"):
        partition(graph_of("grid"), 2).save(tmp_path)
    path.with_name("part-0-of-2.npz").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"must have one file of part 0, and has 2: part-0-of-2"):
        Part.load(tmp_path, 0)
    path.with_name("part-0-of-2.npz").unlink()
    whole_file = path.read_bytes()
    path.write_bytes(whole_file[:-100])
    with pytest.raises(ValueError, match=r"damaged file .*part-0-of-3\.npz"):
        Part.load(tmp_path, 0)
    path.write_bytes(whole_file)
    with np.load(path) as loaded:
        arrays = dict(loaded)
    changes = {
        "nodes": arrays["nodes"][::-1],
        "edge_index": arrays["edge_index"] + 1000,
        "synapse": arrays["synapse"] - 5,
        "owner": arrays["owner"] + 7,
        "sizes": arrays["sizes"][:3],
    }
    for name, value in changes.items():
        np.savez(path, **arrays | {name: value})
        with pytest.raises(ValueError, match="damaged file"):
            Part.load(tmp_path, 0)
    np.savez(path, **{name: value for name, value in arrays.items() if name != "owner"})
    with pytest.raises(ValueError, match="lacks owner"):
        Part.load(tmp_path, 0)
    np.savez(path, **arrays | {"graph": np.array([object()])})
    with pytest.raises(ValueError, match="damaged file"):
        Part.load(tmp_path, 0)


WRONG = [
    ((None, 2), TypeError, "data: expected a torch_geometric"),
    (("grid", 0), ValueError, "parts must be an integer >= 1, got 0; pass parts=1"),
    (("grid", 2.0), TypeError, "parts must be an integer"),
    (("grid", 10**9), ValueError, "parts must be an integer >= 1 and at most"),
    (("grid", 2, "block"), ValueError, "method must be one of 'blocks'.*method='blocks'"),
    (("grid", 2, 3), TypeError, "method must be 'blocks', 'rcm', 'metis' or a tensor"),
    (("grid", 2, torch.zeros(5)), TypeError, "method must be an integer tensor"),
    (("grid", 2, torch.zeros(5).long()), ValueError, "method must be an integer tensor of shape"),
    (("grid", 2, torch.arange(30)), ValueError, "method must hold parts from 0 to 1.*parts=30"),
]


@pytest.mark.parametrize(("call", "kind", "match"), WRONG)
def test_wrong_arguments(call, kind, match):
    data, *others = call
    with pytest.raises(kind, match=match):
        partition(graph_of("grid") if data else None, *others)


def test_parts_of_ids_beyond_32_bits_do_not_overflow():
    """Keys of two numbers would exceed 64 bits from 3.04 billion neurons on."""
    far = 9 * 10**9
    owned = np.array([far, far + 5])
    source, target = np.array([3, far + 5, far - 1]), np.array([far, far, far + 5])
    part = Part.of(
        1,
        2,
        owned,
        source,
        target,
        lambda nodes: (nodes >= far).astype(np.int64),
        np.array([2**40, 2**40 + 1, 2**41]),
        num_nodes=10**10,
        num_edges=2**42,
        graph="sparse",
    )
    assert part.nodes.tolist() == [3, far - 1, far, far + 5]
    assert part.halo.tolist() == [3, far - 1]
    assert part.data.edge_index.tolist() == [[0, 3, 1], [2, 2, 3]]
