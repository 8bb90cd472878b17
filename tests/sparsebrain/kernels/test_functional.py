"""Every backend against the dense matrix, on every graph of the table."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparsebrain import kernels
from sparsebrain.kernels import Structure
from sparsebrain.kernels.activations import ACTIVATIONS

RUNNABLE = [name for name, obstacle in kernels.available().items() if obstacle is None]
BATCHES = {
    "batch 5": lambda n, draw: draw(n, 5),
    "batch 1": lambda n, draw: draw(n, 1),
    "empty batch": lambda n, draw: draw(n, 0),
    "transposed": lambda n, draw: draw(5, n).t(),
    "every other column": lambda n, draw: draw(n, 10)[:, ::2],
    "expanded": lambda n, draw: draw(n, 1).expand(n, 4),
}


@pytest.fixture
def draw(generator, dtype):
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_primitives_equal_the_dense_matrix(structure, backend, dtype, draw, dense, batch):
    weight = draw(structure.num_edges)
    x, g = batch(structure.num_nodes, draw), batch(structure.num_nodes, draw)
    matrix = dense(structure, weight)
    source, target = structure.edge_index

    y = kernels.propagate(structure, weight, x, backend=backend)
    h = kernels.backpropagate(structure, weight, g, backend=backend)
    c = kernels.correlate(structure, g, x, backend=backend)

    torch.testing.assert_close(y, matrix @ x)
    torch.testing.assert_close(h, matrix.t() @ g)
    torch.testing.assert_close(c, (g @ x.t())[target, source])


@pytest.mark.parametrize("activation", [*ACTIVATIONS, pytest.param(torch.sin, id="sin")])
@pytest.mark.parametrize("extras", ["bare", "with bias and drive", "with all"])
def test_loop_and_its_gradients_equal_dense_autograd(
    structure, backend, generator, dense, activation, extras
):
    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    n, loops = structure.num_nodes, 3
    weight, state = draw(structure.num_edges), draw(n, 4)
    drive, bias = (None, None) if extras == "bare" else (draw(n, 4), draw(n))
    leak = draw(n).detach().sigmoid().requires_grad_() if extras == "with all" else None
    leaves = [leaf for leaf in (weight, state, drive, bias, leak) if leaf is not None]

    function = activation if callable(activation) else ACTIVATIONS[activation].function
    expected, current = [], state
    for _ in range(loops):
        total = dense(structure, weight) @ current
        if drive is not None:
            total = total + bias[:, None] + drive
        share = 1 if leak is None else leak[:, None]
        current = (1 - share) * current + share * function(total)
        expected.append(current)
    states = kernels.loop(
        structure,
        weight,
        state,
        loops=loops,
        drive=drive,
        bias=bias,
        leak=leak,
        activation=activation,
        keep=True,
        backend=backend,
    )

    torch.testing.assert_close(states, expected)
    for chosen in ([loops - 1], [0, 2], [1]):
        loss = sum((states[t] * (t + 1)).square().sum() for t in chosen)
        oracle = sum((expected[t] * (t + 1)).square().sum() for t in chosen)
        torch.testing.assert_close(
            torch.autograd.grad(loss, leaves, retain_graph=True),
            torch.autograd.grad(oracle, leaves, retain_graph=True),
        )


def test_a_leak_of_one_is_none_and_of_zero_keeps_the_state(structure, backend, draw):
    n = structure.num_nodes
    weight, state = draw(structure.num_edges), draw(n, 3)
    options = {"loops": 3, "activation": "tanh", "backend": backend}
    (plain,) = kernels.loop(structure, weight, state, **options)
    (whole,) = kernels.loop(structure, weight, state, leak=state.new_ones(n), **options)
    (still,) = kernels.loop(structure, weight, state, leak=state.new_zeros(n), **options)
    assert torch.equal(whole, plain)
    assert torch.equal(still, state)


@pytest.mark.parametrize("activation", ["tanh", torch.tanh], ids=["fused", "callable"])
@pytest.mark.parametrize("keep", [False, True], ids=["last", "all states"])
@pytest.mark.parametrize("loops", [1, 2, 3, 10])
def test_checkpoints_change_no_value_and_no_gradient(
    structure, backend, generator, loops, keep, activation
):
    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    n = structure.num_nodes
    weight, state, drive, bias = draw(structure.num_edges), draw(n, 4), draw(n, 4), draw(n)
    leak = bias.detach().sigmoid().requires_grad_()
    options = {"loops": loops, "activation": activation, "keep": keep, "backend": backend}
    given = {"drive": drive, "bias": bias, "leak": leak}
    plain = kernels.loop(structure, weight, state, **given, **options)
    again = kernels.loop(structure, weight, state, checkpoint=True, **given, **options)
    torch.testing.assert_close(again, plain, rtol=0, atol=0)
    leaves = (weight, state, drive, bias, leak)
    torch.testing.assert_close(
        torch.autograd.grad(sum(each.cos().sum() for each in again), leaves),
        torch.autograd.grad(sum(each.cos().sum() for each in plain), leaves),
    )


@pytest.mark.parametrize("activation", ["tanh", torch.sin])
@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("backend", RUNNABLE)
def test_noise_is_added_after_every_loop(small, backend, checkpoint, activation):
    """So that loops with noise are single loops with something added to the last of each."""
    draw = torch.Generator().manual_seed(0)
    weight, state, leak, *noise = (
        torch.rand(shape, generator=draw, dtype=torch.float64, requires_grad=True)
        for shape in (
            (small.num_edges,),
            (small.num_nodes, 3),
            (small.num_nodes,),
            *[(small.num_nodes, 3)] * 4,
        )
    )
    options = {"leak": leak, "activation": activation, "backend": backend}
    states = kernels.loop(
        small,
        weight,
        state,
        loops=4,
        noise=lambda number: noise[number],
        keep=True,
        checkpoint=checkpoint,
        **options,
    )
    expected, current = [], state
    for each in noise:
        current = kernels.loop(small, weight, current, loops=1, **options)[0] + each
        expected.append(current)
    torch.testing.assert_close(states, expected)
    wanted = [weight, state, leak, *noise]
    torch.testing.assert_close(
        torch.autograd.grad(sum(each.sin().sum() for each in states), wanted),
        torch.autograd.grad(sum(each.sin().sum() for each in expected), wanted),
    )


def test_checkpoints_keep_about_the_square_root_of_the_states(backend):
    structure = Structure(torch.randint(0, 50, (2, 200)), 50)
    weight, state = torch.randn(200, requires_grad=True), torch.randn(50, 8)

    def kept(checkpoint):
        sizes = []
        options = {"loops": 100, "checkpoint": checkpoint, "backend": backend}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.numel() / state.numel()) or tensor, lambda x: x
        ):
            kernels.loop(structure, weight, state, activation="tanh", **options)
        return sum(sizes) - weight.numel() / state.numel()

    assert kept(False) >= 100
    assert kept(True) <= 11


@pytest.mark.parametrize("keep", [False, True], ids=["last", "all states"])
def test_states_may_lie_sample_after_sample(structure, backend, generator, keep):
    """As the input of a layer does; results and gradients are the same."""

    def run(state, drive):
        leaves = [each.requires_grad_() for each in (state, drive)]
        options = {"loops": 3, "activation": "tanh", "keep": keep, "backend": backend}
        states = kernels.loop(structure, weight, leaves[0], drive=leaves[1], **options)
        grads = torch.autograd.grad(sum(each.cos().sum() for each in states), leaves)
        return [*states, *grads]

    weight = torch.randn(structure.num_edges, generator=generator, dtype=torch.float64)
    drawn = torch.randn(2, 70, structure.num_nodes, generator=generator, dtype=torch.float64)
    expected = run(*(each.t().contiguous() for each in drawn))
    for flipped in ((True, True), (True, False), (False, True)):
        given = (
            each.t() if flip else each.t().contiguous()
            for each, flip in zip(drawn.clone(), flipped, strict=True)
        )
        torch.testing.assert_close(run(*given), expected)


def test_loop_keeps_the_last_state_alone_unless_told(structure, backend, generator):
    weight = torch.randn(structure.num_edges, generator=generator)
    state = torch.randn(structure.num_nodes, 3, generator=generator)
    kept = kernels.loop(structure, weight, state, loops=4, keep=True, backend=backend)
    last = kernels.loop(structure, weight, state, loops=4, backend=backend)
    assert len(kept) == 4
    assert len(last) == 1
    assert torch.equal(last[0], kept[-1])


def test_inputs_are_left_as_they_were(structure, backend, draw):
    weight, state = draw(structure.num_edges), draw(structure.num_nodes, 3)
    before = weight.clone(), state.clone()
    kernels.loop(structure, weight, state, loops=2, activation="tanh", backend=backend)
    assert torch.equal(weight, before[0])
    assert torch.equal(state, before[1])


def test_a_frozen_weight_gets_no_gradient_and_the_state_still_does(structure, backend, generator):
    weight = torch.randn(structure.num_edges, generator=generator)
    state = torch.randn(structure.num_nodes, 3, generator=generator, requires_grad=True)
    (last,) = kernels.loop(structure, weight, state, loops=2, backend=backend)
    last.sum().backward()
    assert weight.grad is None
    assert state.grad.shape == state.shape


@st.composite
def problems(draw):
    """Any graph, hubs and parallel synapses and empty rows among them, with integer values."""
    n = draw(st.integers(1, 12))
    neurons = st.integers(0, n - 1) | st.just(0)
    edges = draw(st.lists(st.tuples(neurons, neurons), max_size=60))
    batch = draw(st.integers(0, 9))
    values = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    edge_index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t()
    weight = torch.randint(-4, 5, (len(edges),), generator=values).double()
    x, g = (torch.randint(-4, 5, (n, batch), generator=values).double() for _ in range(2))
    return Structure(edge_index, n), weight, x, g


@given(problems())
def test_the_primitives_are_each_others_adjoints_exactly(problem):
    """<g, W x> = <W^T g, x> = <w, correlate(g, x)>, without rounding: all values are integers."""
    structure, weight, x, g = problem
    for backend in RUNNABLE:
        y = kernels.propagate(structure, weight, x, backend=backend)
        h = kernels.backpropagate(structure, weight, g, backend=backend)
        c = kernels.correlate(structure, g, x, backend=backend)
        assert (g * y).sum() == (h * x).sum() == (weight * c).sum()


def _call(name, structure, **changes):
    n, e = structure.num_nodes, structure.num_edges
    given_ = {"weight": torch.ones(e), "x": torch.ones(n, 2), "backend": "auto", **changes}
    if name == "loop":
        given_["state"] = given_.pop("x")
        return kernels.loop(structure, **given_)
    return kernels.propagate(structure, **given_)


@pytest.mark.parametrize(
    ("name", "changes", "error", "match"),
    [
        ("propagate", {"x": torch.ones(4, 2)}, ValueError, r"shape \[5, B\], got \[4, 2\]"),
        ("propagate", {"x": torch.ones(5)}, ValueError, r"got \[5\]; pass x.unsqueeze\(-1\)"),
        ("propagate", {"weight": torch.ones(8)}, ValueError, r"weight .* \[9\], got \[8\]"),
        (
            "propagate",
            {"x": torch.ones(5, 2).double()},
            TypeError,
            r"weight must be a float64 .*pass weight.double\(\)",
        ),
        ("propagate", {"x": torch.ones(5, 2, dtype=torch.int64)}, TypeError, "float32 or float64"),
        (
            "propagate",
            {"backend": "warp"},
            ValueError,
            "backend must be one of 'auto', 'native', 'triton', 'torch'",
        ),
        ("propagate", {"x": torch.ones(5, 2, device="meta")}, ValueError, "x .* on 'meta'"),
        ("loop", {"loops": 0}, ValueError, "loops must be an integer >= 1, got 0"),
        ("loop", {"loops": True}, TypeError, "loops must be an integer >= 1, got True"),
        ("loop", {"loops": 1, "activation": "tahn"}, ValueError, "'tahn'"),
        ("loop", {"loops": 1, "bias": torch.ones(4)}, ValueError, r"bias .* \[5\], got"),
        ("loop", {"loops": 1, "leak": torch.ones(())}, ValueError, r"leak .* \[5\], got \[\]"),
        ("loop", {"loops": 1, "checkpoint": "yes"}, TypeError, "checkpoint must be True or False"),
        (
            "loop",
            {"loops": 1, "drive": torch.ones(5, 3)},
            ValueError,
            r"drive .* of shape \[5, 2\], got \[5, 3\]",
        ),
    ],
)
def test_bad_input_is_refused_with_the_remedy(small, name, changes, error, match):
    with pytest.raises(error, match=match):
        _call(name, small, **changes)


def test_what_is_no_structure_and_a_bias_of_another_dtype(small):
    with pytest.raises(
        TypeError, match=r"structure must be a Structure, got Tensor; pass Structure\("
    ):
        kernels.propagate(small.edge_index, torch.ones(9), torch.ones(5, 1))
    with pytest.raises(TypeError, match=r"bias must be a float32 .*pass bias.float\(\)"):
        kernels.loop(small, torch.ones(9), torch.ones(5, 1), loops=1, bias=torch.ones(5).double())


def test_a_misspelt_option_is_refused(small):
    with pytest.raises(TypeError, match="actvation"):
        kernels.loop(small, torch.ones(9), torch.ones(5, 1), loops=1, actvation="tanh")
