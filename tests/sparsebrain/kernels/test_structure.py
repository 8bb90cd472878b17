import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric import EdgeIndex

from graphs import compiled
from sparsebrain import kernels
from sparsebrain.kernels import Structure


def test_both_views_hold_the_same_synapses_and_remember_their_order(structure):
    source, target = structure.edge_index
    synapse = torch.arange(structure.num_edges)
    for rows, near, far in (
        (structure.by_target, target, source),
        (structure.by_source, source, target),
    ):
        place = rows.arrange(synapse)
        owner = torch.repeat_interleave(rows.pointer.diff())
        assert torch.equal(owner, near[place])
        assert torch.equal(rows.neuron.long(), far[place])
        assert torch.equal(rows.restore(rows.arrange(synapse)), synapse)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30))
def test_taking_apart_and_putting_together_changes_nothing(edges):
    structure = Structure(torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t(), 7)
    again = Structure.from_arrays(structure.arrays(), 7)
    weight = torch.arange(len(edges))
    assert again.num_edges == len(edges)
    assert torch.equal(again.by_target.arrange(weight), structure.by_target.arrange(weight))
    assert torch.equal(again.by_source.neuron, structure.by_source.neuron)


@pytest.mark.parametrize("given_order", ["any", "target", "source"])
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30))
def test_rows_are_sorted_and_equal_synapses_keep_their_order(given_order, edges):
    edge_index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t()
    if given_order != "any":
        near = 1 if given_order == "target" else 0
        edge_index = edge_index[:, torch.argsort(edge_index[near] * 5 + edge_index[1 - near])]
    structure = Structure(edge_index, 5)
    source, target = edge_index
    for rows, near, far in (
        (structure.by_target, target, source),
        (structure.by_source, source, target),
    ):
        order = torch.argsort(near * 5 + far, stable=True)
        sorted_already = torch.equal(order, torch.arange(len(edges)))
        assert (rows.order is None) == sorted_already
        assert rows.order is None or torch.equal(rows.order, order.int())
        assert torch.equal(rows.neuron, far[order].int())
        assert torch.equal(rows.pointer.diff(), torch.bincount(near, minlength=5).int())
        assert all(each is None or each.is_contiguous() for each in rows)


@pytest.mark.parametrize("near", [None, 1, 0])
def test_structures_are_the_same_without_compiled_helpers(monkeypatch, near):
    edge_index = torch.randint(50, (2, 300), generator=torch.Generator().manual_seed(0))
    if near is not None:
        keys = (edge_index[near] * 50 + edge_index[1 - near]).unique()
        edge_index = torch.stack([keys % 50, keys // 50] if near else [keys // 50, keys % 50])
    found = Structure(edge_index, 50).arrays()
    monkeypatch.setattr(compiled, "module", lambda: None)
    for one, other in zip(found, Structure(edge_index, 50).arrays(), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def edges_of(neurons, synapses, given_order="any"):
    edge_index = torch.randint(neurons, (2, synapses), generator=torch.Generator().manual_seed(0))
    if given_order == "any":
        return edge_index
    near = 1 if given_order == "target" else 0
    return edge_index[:, torch.argsort(edge_index[near] * neurons + edge_index[1 - near])]


def kept_bytes(structure):
    views = [structure.by_target, *([structure.by_source] if structure.has_by_source else [])]
    return sum(each.nbytes for view in views for each in view[1:] if each is not None)


@pytest.mark.parametrize(
    ("given_order", "inference", "training"),
    [("target", 4, 12), ("source", 8, 12), ("any", 8, 16)],
)
def test_the_transpose_is_kept_from_the_first_backward_pass_on(given_order, inference, training):
    structure = Structure(edges_of(50, 400, given_order), 50)
    weight, x = torch.ones(400), torch.randn(50, 3)
    kernels.loop(structure, weight, x, loops=30)
    assert structure.edge_index.shape == (2, 400)
    assert kept_bytes(structure) == inference * 400
    (last,) = kernels.loop(structure, weight.requires_grad_(), x, loops=30)
    assert not structure.has_by_source
    last.sum().backward()
    assert kept_bytes(structure) == training * 400


def test_edges_are_the_given_ones_until_they_are_dropped():
    given_edges = edges_of(9, 40)
    structure = Structure(given_edges, 9)
    edges = structure.edge_index
    assert torch.equal(edges, given_edges)
    assert structure.edge_index is edges
    edges[0, 0] = 8 - edges[0, 0]
    assert torch.equal(structure.edge_index, given_edges)
    with torch.inference_mode():
        assert torch.equal(Structure(given_edges, 9).edge_index, given_edges)


def test_many_threads_share_one_transpose():
    structure = Structure(edges_of(300, 20_000), 300)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: structure.by_source, range(16)))
    assert all(each is found[0] for each in found)


def test_a_structure_of_an_older_version_is_read():
    structure = Structure(edges_of(9, 40), 9)
    views = (*structure.by_target, *structure.by_source)
    again = Structure.from_arrays([structure.edge_index, *views], 9)
    assert torch.equal(again.edge_index, structure.edge_index)
    assert torch.equal(again.by_source.order, structure.by_source.order)


def test_operators_find_what_a_structure_keeps():
    structure = Structure(edges_of(9, 40), 9)
    assert Structure.of(structure.arrays()) is structure
    copies = [array.clone() for array in structure.arrays()]
    other = Structure.of(copies)
    assert other is not structure
    assert torch.equal(other.edge_index, structure.edge_index)
    weight = torch.ones(40)
    torch.ops.sparsebrain.propagate(weight, torch.ones(9, 2), structure.arrays(), True, "native")
    assert structure.has_by_source


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_hold_the_same_synapses(copy_of):
    structure = Structure(edges_of(9, 40), 9)
    structure.by_source  # noqa: B018
    again = copy_of(structure)
    assert torch.equal(again.edge_index, structure.edge_index)
    assert not again.has_by_source


def test_any_integer_dtype_and_pygs_own_edge_index_are_taken():
    edges = [[0, 1, 1], [1, 0, 1]]
    plain = Structure(torch.tensor(edges), 2)
    assert torch.equal(
        Structure(torch.tensor(edges, dtype=torch.int32), 2).edge_index, plain.edge_index
    )
    special = Structure(EdgeIndex(edges, sparse_size=(2, 2)), 2).edge_index
    assert type(special) is torch.Tensor
    assert torch.equal(special, plain.edge_index)


@pytest.mark.parametrize(
    ("edge_index", "num_nodes", "error", "match"),
    [
        (torch.tensor([[0, 3], [1, 0]]), 3, ValueError, "neuron 3, but num_nodes=3.*num_nodes=4"),
        (torch.tensor([[0, -1], [1, 0]]), 3, ValueError, "neuron -1"),
        (torch.tensor([[2**62], [0]]), 3, ValueError, "neuron 4611686018427387904"),
        (
            torch.tensor([[0.0], [1.0]]),
            2,
            TypeError,
            r"an integer tensor .*, got torch.float32; pass edge_index.long\(\)",
        ),
        (
            torch.zeros(2, 1, dtype=torch.int64),
            2**31,
            ValueError,
            "at most 2147483647",
        ),
        (
            torch.zeros(2, 1, dtype=torch.int64),
            2**40,
            ValueError,
            "at most 2147483647",
        ),
        (torch.zeros(2, 1, dtype=torch.int64, device="meta"), 2, ValueError, "got one on 'meta'"),
        (torch.zeros(2, 1).cfloat(), 2, TypeError, r"complex64; pass edge_index.real.long\(\)"),
        (torch.eye(2).long().to_sparse(), 2, TypeError, "layout torch.sparse_coo"),
        (torch.tensor([[True], [False]]), 2, TypeError, "got torch.bool"),
        (torch.tensor([[0, 1], [1, 0], [0, 0]]), 2, ValueError, r"\[2, E\], got \[3, 2\].*\.t\(\)"),
        (torch.tensor([0, 1]), 2, ValueError, r"\[2, E\], got \[2\]"),
        ([[0], [1]], 2, TypeError, "got list.*torch.as_tensor"),
        (torch.tensor([[0], [0]]), 1.0, TypeError, "num_nodes must be an integer >= 0, got"),
        (torch.tensor([[0], [0]]), True, TypeError, "num_nodes must be an integer >= 0, got True"),
        (
            torch.zeros(2, 0, dtype=torch.int64),
            -1,
            ValueError,
            "num_nodes must be an integer >= 0, got -1",
        ),
    ],
)
def test_bad_edges_are_refused_with_the_remedy(edge_index, num_nodes, error, match):
    with pytest.raises(error, match=match):
        Structure(edge_index, num_nodes)
