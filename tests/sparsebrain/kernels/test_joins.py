"""Fused loops with the largest message or the largest sum, against the same loops by torch."""

import pytest
import torch
from torch_geometric.utils import scatter

from sparsebrain.kernels import Structure, joins, native_calls
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.joined_loops import run_joined
from sparsebrain.kernels.joins import Join
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.kernels.select import BACKENDS

KINDS = [Join("max"), Join("min"), Join("maxout", 2), Join("maxout", 3)]
LOOPS = {
    "bare": {},
    "bias": {"bias": True, "activation": "tanh"},
    "drive": {"drive": True, "bias": True, "activation": "relu"},
    "leak": {"leak": True, "bias": True, "drive": True, "activation": "sigmoid"},
    "of the argument": {"bias": True, "activation": "gelu"},
    "voltage": {"form": "voltage", "activation": "tanh", "drive": True},
    "leaky voltage": {"form": "voltage", "activation": "softplus", "leak": True, "bias": True},
    "noise": {"noise": True, "activation": "tanh", "bias": True},
    "noise and leak": {"noise": True, "leak": True, "form": "voltage", "activation": "silu"},
    "every state": {"keep": True, "activation": "tanh"},
    "checkpoint": {"checkpoint": True, "activation": "tanh", "leak": True},
    "checkpoint, every state": {"checkpoint": True, "keep": True, "noise": True},
}


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind.name} {kind.pieces}")
def kind(request):
    return request.param


def draw(structure, kind, batch, dtype, **options):
    """Weights and inputs that need gradients, and what is left of the options."""
    torch.manual_seed(0)
    shape = (kind.pieces,) if kind.name == "maxout" else ()

    def leaf(*size):
        return torch.randn(size, dtype=dtype).requires_grad_()

    nodes = structure.num_nodes
    weight, state = leaf(*shape, structure.num_edges), leaf(nodes, batch)
    drive = leaf(nodes, batch) if options.pop("drive", False) else None
    bias = leaf(*shape, nodes) if options.pop("bias", False) else None
    leak = torch.rand(nodes, dtype=dtype).requires_grad_() if options.pop("leak", False) else None
    if options.pop("noise", False):
        options["noise"] = CounterNoise(torch.tensor(5), 0.1)
    return weight, LoopInputs(state, drive, bias, leak), options


def exact(kind, structure, weight, inputs, *, loops, keep=False, checkpoint=False, **options):
    options = {"activation": "none", "keep": keep, **options}
    return joins.steps(kind, structure, weight, inputs, loops=loops, **options)


def gradients(states, weight, inputs):
    given = [each for each in (weight, *inputs) if each is not None]
    total = sum((number + 1) * each.sin().sum() for number, each in enumerate(states))
    return torch.autograd.grad(total, given, allow_unused=True)


def check(kind, structure, batch, backend, dtype=torch.float64, loops=3, **options):
    weight, inputs, options = draw(structure, kind, batch, dtype, **options)
    expected = exact(kind, structure, weight, inputs, loops=loops, **options)
    found = run_joined(
        kind, structure, weight, inputs, loops=loops, rows=False, backend=backend, **options
    )
    near = {"rtol": 1e-4, "atol": 1e-4} if dtype is torch.float32 else {}
    torch.testing.assert_close(found, expected, **near)
    wanted = gradients(expected, weight, inputs)
    torch.testing.assert_close(gradients(found, weight, inputs), wanted, **near)
    turned = inputs._replace(
        state=inputs.state.t(), drive=None if inputs.drive is None else inputs.drive.t()
    )
    rows = run_joined(
        kind, structure, weight, turned, loops=loops, rows=True, backend=backend, **options
    )
    columns = [each.t() for each in rows]
    torch.testing.assert_close(columns, expected, **near)
    torch.testing.assert_close(gradients(columns, weight, inputs), wanted, **near)


@pytest.mark.parametrize("options", LOOPS.values(), ids=LOOPS)
def test_fused_loops_are_those_of_torch(small, kind, backend, options):
    check(kind, small, 5, backend, **options)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_on_every_graph(structure, kind, backend):
    check(kind, structure, 3, backend, loops=2, bias=True)


@pytest.mark.parametrize("batch", [0, 1, 2, 7, 33, 130])
def test_every_batch(small, kind, batch, dtype):
    check(kind, small, batch, "native", dtype, bias=True, activation="tanh")


@pytest.mark.parametrize("threads", [2, 3])
def test_states_do_not_depend_on_threads(kind, threads):
    structure = Structure(torch.randint(0, 700, (2, 9000)), 700)
    weight, inputs, _ = draw(structure, kind, 130, torch.float32, bias=True)
    options = {"loops": 3, "rows": False, "activation": "tanh"}
    before, found = torch.get_num_threads(), []
    for count in (1, threads):
        torch.set_num_threads(count)
        try:
            (last,) = run_joined(kind, structure, weight, inputs, **options)
            found.append((last, gradients([last], weight, inputs)))
        finally:
            torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]], ids=["max", "maxout"])
def test_states_that_outgrow_the_cache(kind):
    """A prefetch reads ahead, and two threads share the rows of a tile."""
    structure = Structure(torch.randint(0, 9000, (2, 20000)), 9000)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        check(kind, structure, 8, "native", loops=2, leak=True, bias=True)
    finally:
        torch.set_num_threads(before)


def test_wide_indices(small, kind, backend):
    wide = Structure.from_arrays([each.long() for each in small.arrays()], small.num_nodes)
    check(kind, wide, 5, backend, bias=True, activation="tanh")


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_gradient_as_in_pyg(backend, name):
    """Four equal messages, a zero with another one, and a neuron without synapses."""
    structure = Structure(torch.tensor([[0, 1, 2, 3, 0, 1, 2], [0, 0, 0, 0, 1, 1, 1]]), 4)
    weight = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, -1.0, -1.0], requires_grad=True)
    if name == "min":
        weight = (-weight).detach().requires_grad_()
    x = torch.ones(4, 2, requires_grad=True)
    options = {"loops": 1, "rows": False, "backend": backend}
    (found,) = run_joined(Join(name), structure, weight, LoopInputs(x, None, None, None), **options)
    source, target = structure.edge_index
    expected = scatter(weight.unsqueeze(1) * x[source], target, 0, 4, name)
    assert torch.equal(found, expected)
    for one, other in zip(
        torch.autograd.grad(found.sum(), (weight, x)),
        torch.autograd.grad(expected.sum(), (weight, x)),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_ties_of_sums_share_the_gradient_as_torch_maximum(backend):
    """Of three equal sums the last one receives a half, the others a quarter."""
    structure = Structure(torch.tensor([[0], [1]]), 2)
    weight = torch.ones(3, 1, requires_grad=True)
    inputs = LoopInputs(torch.ones(2, 1), None, None, None)
    options = {"loops": 1, "rows": False, "backend": backend}
    (found,) = run_joined(Join("maxout", 3), structure, weight, inputs, **options)
    assert found.tolist() == [[0.0], [1.0]]
    (grad,) = torch.autograd.grad(found.sum(), weight)
    assert grad.tolist() == [[0.25], [0.25], [0.5]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("batch", [1, 5, 70])
def test_nan_and_infinity_pass_as_in_torch(kind, value, batch, dtype):
    structure = Structure(torch.tensor([[0, 1, 2, 0, 1, 3], [3, 3, 3, 1, 0, 2]]), 5)
    weight, inputs, _ = draw(structure, kind, batch, dtype)
    state = inputs.state.detach().clone()
    state[1, -1] = value
    inputs = inputs._replace(state=state.requires_grad_())
    expected = exact(kind, structure, weight, inputs, loops=2)
    (found,) = run_joined(kind, structure, weight, inputs, loops=2, rows=False)
    torch.testing.assert_close([found], expected, equal_nan=True)
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), (weight, inputs.state)),
        torch.autograd.grad(expected[0].sum(), (weight, inputs.state)),
        equal_nan=True,
    )


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_first_and_second_derivatives_by_finite_differences(kind, backend):
    structure = Structure(torch.tensor([[0, 1, 2, 0, 1], [1, 2, 0, 2, 1]]), 3)
    weight, inputs, _ = draw(structure, kind, 2, torch.float64, bias=True, leak=True)

    def call(weight, state, bias, leak):
        given = LoopInputs(state, None, bias, leak)
        options = {"loops": 2, "rows": False, "activation": "tanh", "backend": backend}
        return run_joined(kind, structure, weight, given, **options)[0]

    given = (weight, inputs.state, inputs.bias, inputs.leak)
    assert torch.autograd.gradcheck(call, given)
    assert torch.autograd.gradgradcheck(call, given)


@pytest.mark.parametrize("index", [-1, 5])
@pytest.mark.parametrize("rows", ["by_target", "by_source"])
def test_changed_indices_are_refused(kind, rows, index):
    structure = Structure(torch.tensor([[0, 1, 2, 4], [4, 2, 1, 0]]), 5)
    getattr(structure, rows).neuron.data[0] = index
    weight, inputs, _ = draw(structure, kind, 3, torch.float32)

    def train():
        (last,) = run_joined(kind, structure, weight, inputs, loops=2, rows=False)
        last.sum().backward()

    with pytest.raises(ValueError, match=r"index arrays of the structure.*Structure\(edge_index"):
        train()


def test_what_torch_transforms_runs_one_by_one(small):
    weight, inputs, _ = draw(small, KINDS[0], 3, torch.float32)
    options = {"loops": 2, "rows": False}

    def loops(state):
        found = run_joined(KINDS[0], small, weight, inputs._replace(state=state), **options)
        assert found is None
        return state

    torch.func.vmap(loops)(inputs.state.unsqueeze(0))
    assert run_joined(KINDS[0], small, weight, inputs, activation=torch.sin, **options) is None


def test_only_the_native_backend_fuses_them(kind):
    fused = [name for name, each in BACKENDS.items() if each.joined(kind) is not None]
    assert fused == ["native"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_instruction_set(small, kind, dtype, monkeypatch):
    for name in native_calls.module().instruction_sets():
        monkeypatch.setattr(native_calls, "instruction_set", lambda name=name: name)
        for batch in (1, 23):
            check(kind, small, batch, "native", dtype, bias=True, leak=True, activation="tanh")
