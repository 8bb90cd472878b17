"""Rows of synapses in pairs, on graphs whose neighbors share most of their sources."""

import itertools

import pytest
import torch

import graphs
from sparsebrain.kernels import Structure, available, loop, native, native_calls, row_pairs
from sparsebrain.kernels.noise import CounterNoise

pytestmark = pytest.mark.skipif(
    available()["native"] is not None or native_calls.instruction_set() != "avx512",
    reason="rows are paired only with AVX-512",
)


def grid(*sides, distance=2):
    data = graphs.grid_local(sides, distance)
    return data.edge_index, data.num_nodes


def joined(*parts):
    """Parts side by side, with three neurons without synapses between them."""
    edges, first = [], 0
    for edge_index, neurons in parts:
        edges.append(edge_index + first)
        first += neurons + 3
    return torch.cat(edges, dim=1), first


def complete(neurons):
    pairs = torch.tensor(list(itertools.product(range(neurons), repeat=2)))
    return pairs.t().contiguous(), neurons


def doubled(edge_index, neurons):
    """Every third synapse twice, in no order."""
    edges = torch.cat([edge_index, edge_index[:, ::3]], dim=1)
    return edges[
        :, torch.randperm(edges.size(1), generator=torch.Generator().manual_seed(1))
    ], neurons


def lacking(edge_index, neurons):
    """Rows of unequal length: neurons that receive nothing, others that receive half."""
    source, target = edge_index
    return edge_index[:, (target % 9 != 4) & ((target % 13 != 6) | (source % 2 == 0))], neurons


PAIRED = {
    "grid": grid(9, 8),
    "odd number of rows": grid(9, 9),
    "line": grid(61, distance=5),
    "complete": complete(33),
    "one pair": complete(2),
    "unequal rows": lacking(*grid(11, 10)),
    "neurons without synapses": joined(grid(6, 6), complete(12), grid(5, 7)),
    "parallel and unsorted": doubled(*grid(8, 8)),
}
ALONE = {
    "random": (graphs.erdos_renyi(80, 0.1, seed=0).edge_index, 80),
    "ring": (torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), 4),
}
OPTIONS = {
    "plain": {},
    "bias": {"bias"},
    "drive": {"drive"},
    "leak": {"bias", "leak"},
    "voltage": {"drive", "leak", "voltage"},
    "noise": {"bias", "noise"},
    "every state": {"bias", "keep"},
}


@pytest.fixture(autouse=True)
def pairs_for_few_columns(monkeypatch):
    monkeypatch.setattr(row_pairs, "LEAST_COLUMNS", 1)
    monkeypatch.setattr(row_pairs, "LEAST_SHARED", 0.6)
    monkeypatch.setattr(native, "_FEW_READS", 0)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def problem(structure, batch, options=frozenset(), seed=0):
    """Weight and state, and what the options name, in float64."""
    draw = torch.Generator().manual_seed(seed)
    neurons, kind = structure.num_nodes, torch.float64
    weight = torch.randn(structure.num_edges, generator=draw, dtype=kind) / 5
    state, drive = torch.randn(2, neurons, batch, generator=draw, dtype=kind)
    bias = torch.randn(neurons, generator=draw, dtype=kind) / 10
    given = {"drive": drive / 10, "bias": bias, "leak": bias.sigmoid()}
    return weight, state, {name: each for name, each in given.items() if name in options}


def learn(structure, given, backend, dtype=torch.float64, activation="tanh", options=frozenset()):
    """All states that are returned, and the gradients of everything."""
    weight, state, named = given
    leaves = [
        each.to(dtype, copy=True).requires_grad_() for each in (weight, state, *named.values())
    ]
    states = loop(
        structure,
        *leaves[:2],
        **dict(zip(named, leaves[2:], strict=True)),
        loops=3,
        activation=activation,
        keep="keep" in options,
        noise=CounterNoise(torch.tensor(5), 0.3, 0) if "noise" in options else None,
        form="voltage" if "voltage" in options else "rate",
        backend=backend,
    )
    torch.autograd.backward(states, [torch.cos(each.detach() + 1) for each in states])
    return [each.detach() for each in states] + [each.grad for each in leaves]


def is_paired(structure):
    return [structure.paired.get(by_source) is not None for by_source in (False, True)]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("graph", PAIRED | ALONE, ids=str)
def test_pairs_agree_with_the_reference(graph, options):
    structure = Structure(*(PAIRED | ALONE)[graph])
    for dtype, batch in ((torch.float32, 16), (torch.float32, 112), (torch.float64, 24)):
        given = problem(structure, batch, options)
        exact = learn(structure, given, "reference", options=options)
        found = learn(structure, given, "native", dtype, options=options)
        for one, other in zip(found, exact, strict=True):
            error = (one.double() - other).abs().max() / other.abs().max()
            assert float(error) < 100 * torch.finfo(dtype).eps
    assert is_paired(structure) == [graph in PAIRED] * 2


@pytest.mark.parametrize("activation", ["none", "sigmoid", "relu", "gelu"])
def test_every_kind_of_activation(activation):
    structure = Structure(*PAIRED["odd number of rows"])
    given = problem(structure, 32, {"bias"})
    exact = learn(structure, given, "reference", activation=activation)
    for one, other in zip(
        learn(structure, given, "native", activation=activation), exact, strict=True
    ):
        torch.testing.assert_close(one, other)


def test_any_batch():
    structure = Structure(*PAIRED["odd number of rows"])
    for batch in (1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 96, 127, 128, 129, 130):
        given = problem(structure, batch)
        exact = learn(structure, given, "reference")
        for one, other in zip(learn(structure, given, "native", torch.float32), exact, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [64, 128], ids=["rows shared", "tiles apart"])
def test_states_are_the_same_for_any_number_of_threads(batch, threads):
    structure = Structure(*PAIRED["odd number of rows"])
    # Enough synapses and columns that two threads are used.
    given = problem(structure, batch, {"bias"})
    results = []
    for number in (1, 2):
        threads(number)
        results.append(learn(structure, given, "native", torch.float32, options={"bias"}))
    (state, weight, *others), (again, other_weight, *and_others) = results
    assert torch.equal(state, again)
    assert torch.equal(others[0], and_others[0])
    torch.testing.assert_close(weight, other_weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(others[1], and_others[1], rtol=1e-4, atol=1e-5)


def test_the_gradient_of_the_state_alone():
    structure = Structure(*PAIRED["unequal rows"])
    weight, state, _ = problem(structure, 32)
    found = []
    for backend in ("native", "reference"):
        leaf = state.clone().requires_grad_()
        (last,) = loop(structure, weight, leaf, loops=3, activation="tanh", backend=backend)
        found.append(torch.autograd.grad(last.sin().sum(), leaf)[0])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")], ids=str)
@pytest.mark.parametrize("graph", ["grid", "unequal rows"])
def test_what_is_not_finite_reaches_only_its_targets(graph, value):
    """A pair must not multiply what one of its rows does not read by zero."""
    structure = Structure(*PAIRED[graph])
    weight, state, _ = problem(structure, 32)
    for neuron in (0, 13, 36):
        changed = state.clone()
        changed[neuron, 5] = value
        found = []
        for backend in ("native", "reference"):
            leaves = [weight.clone().requires_grad_(), changed.clone().requires_grad_()]
            (last,) = loop(structure, *leaves, loops=2, activation="none", backend=backend)
            grad = torch.ones_like(last)
            grad[neuron, 7] = value
            last.backward(grad)
            found.append([last.detach(), *(each.grad for each in leaves)])
        for one, other in zip(*found, strict=True):
            assert torch.equal(one.isnan(), other.isnan())
            assert torch.equal(one.isinf(), other.isinf())
            assert bool(other.isfinite().any())


@pytest.mark.parametrize("batch", [8, 24, 32])
def test_wide_indices_are_not_paired(batch):
    structure = Structure(*PAIRED["unequal rows"])
    arrays = [each.long() for each in structure.arrays()]
    wide = Structure.from_arrays(arrays, structure.num_nodes)
    assert wide.by_source.neuron.dtype == torch.int64
    given = problem(structure, batch)
    found, other = (learn(each, given, "native") for each in (structure, wide))
    for one, two in zip(found, other, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-11, atol=1e-11)
    assert wide.paired == {}


def test_every_change_of_the_weights_is_seen():
    structure = Structure(*PAIRED["grid"])
    weight, state, _ = problem(structure, 32)
    for place in (None, 0, 7, structure.num_edges - 1):
        if place is not None:
            weight[place] += 1
        options = {"loops": 3, "activation": "tanh", "backend": "native"}
        (found,) = loop(structure, weight, state, **options)
        (fresh,) = loop(Structure(*PAIRED["grid"]), weight.clone(), state, **options)
        assert torch.equal(found, fresh)


def test_an_index_that_leads_nowhere_is_still_found():
    structure = Structure(*PAIRED["grid"])
    given = problem(structure, 32)
    learn(structure, given, "native")
    for array in (
        structure.by_target.neuron,
        structure.by_source.neuron,
        structure.by_target.pointer,
    ):
        kept = array[3].clone()
        array.data[3] = 2**30
        with pytest.raises(ValueError, match="lead to neurons or synapses"):
            learn(structure, given, "native")
        array.data[3] = kept


def test_changed_indices_are_never_paired():
    structure = Structure(*PAIRED["grid"])
    structure.by_target.neuron.data[3] = -1
    with pytest.raises(ValueError, match="lead to neurons or synapses"):
        learn(structure, problem(structure, 32), "native")


def test_few_columns_look_for_no_pairs(monkeypatch):
    monkeypatch.setattr(row_pairs, "LEAST_COLUMNS", 97)
    structure = Structure(*PAIRED["grid"])
    learn(structure, problem(structure, 32), "native")
    assert structure.paired == {}
