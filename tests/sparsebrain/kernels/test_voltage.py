"""Loops of the form "voltage" against the dense matrix, on every backend."""

import pytest
import torch

import graphs
from sparsebrain import kernels
from sparsebrain.kernels import BACKENDS, Structure, operators, sequences
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.backend import LoopInputs
from sparsebrain.kernels.noise import CounterNoise

FUNCTIONS = [*ACTIVATIONS, pytest.param(torch.sin, id="sin")]
EXTRAS = ["bare", "with bias and drive", "with all"]
LOOPS = 3


@pytest.fixture
def draw(generator):
    return lambda *shape: torch.randn(
        *shape, generator=generator, dtype=torch.float64, requires_grad=True
    )


def inputs(structure, draw, extras, batch=4):
    """Weight, state, drive, bias and leak; None for those that ``extras`` leaves out."""
    n = structure.num_nodes
    drive, bias = (None, None) if extras == "bare" else (draw(n, batch), draw(n))
    leak = draw(n).detach().sigmoid().requires_grad_() if extras == "with all" else None
    return draw(structure.num_edges), draw(n, batch), drive, bias, leak


def by_hand(matrix, state, drive, bias, leak, activation, loops=LOOPS):
    """The definition, x <- (1 - a) x + a (W f(x) + b + drive)."""
    function = activation if callable(activation) else ACTIVATIONS[activation].function
    states = []
    for _ in range(loops):
        total = matrix @ function(state)
        if drive is not None:
            total = total + drive + bias[:, None]
        share = 1 if leak is None else leak[:, None]
        state = (1 - share) * state + share * total
        states.append(state)
    return states


def run(structure, weight, state, drive, bias, leak, activation, **options):
    options = {"loops": LOOPS, "keep": True} | options
    given = {"drive": drive, "bias": bias, "leak": leak, "activation": activation}
    return kernels.loop(structure, weight, state, form="voltage", **given, **options)


def check(structure, dense, given, activation, **options):
    """Equal states, and equal gradients of some of them."""
    leaves = [each for each in given if each is not None]
    found = run(structure, *given, activation, **options)
    wanted = by_hand(dense(structure, given[0]), *given[1:], activation)
    torch.testing.assert_close(found, wanted)
    for chosen in ([LOOPS - 1], [0, 2], [1]):
        torch.testing.assert_close(
            *(
                torch.autograd.grad(
                    sum((states[t] * (t + 1)).cos().sum() for t in chosen),
                    leaves,
                    retain_graph=True,
                    materialize_grads=True,
                )
                for states in (found, wanted)
            )
        )


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("extras", EXTRAS)
def test_loops_and_gradients_equal_dense_autograd(small, backend, dense, draw, activation, extras):
    check(small, dense, inputs(small, draw, extras), activation, backend=backend)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_on_every_graph(structure, backend, dense, draw, activation):
    check(structure, dense, inputs(structure, draw, "with all"), activation, backend=backend)


@pytest.mark.parametrize("extras", EXTRAS)
@pytest.mark.parametrize("activation", ["softplus", "relu", torch.sin])
def test_checkpoints_change_no_value_and_no_gradient(
    small, backend, dense, draw, activation, extras
):
    given = inputs(small, draw, extras)
    check(small, dense, given, activation, backend=backend, checkpoint=True)
    (last,) = run(small, *given, activation, backend=backend, checkpoint=True, keep=False)
    torch.testing.assert_close(last, run(small, *given, activation, backend=backend)[-1])


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_gradients_of_finite_differences(small, backend, draw, activation):
    given = inputs(small, draw, "with all", batch=2)

    def function(*given):
        return run(small, *given, activation, backend=backend)

    assert torch.autograd.gradcheck(function, given)
    assert torch.autograd.gradgradcheck(function, given, fast_mode=True)


def test_without_an_activation_both_forms_are_equal(structure, backend, draw):
    given = inputs(structure, draw, "with all")
    weight, state, drive, bias, leak = given
    rate = kernels.loop(
        structure, weight, state, loops=LOOPS, drive=drive, bias=bias, leak=leak, backend=backend
    )
    torch.testing.assert_close(run(structure, *given, "none", backend=backend, keep=False), rate)


def test_a_leak_of_zero_keeps_the_state(small, backend, draw):
    weight, state, drive, bias, _ = inputs(small, draw, "with all")
    still = run(small, weight, state, drive, bias, bias.detach() * 0, "tanh", backend=backend)
    assert torch.equal(still[-1], state)


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("activation", ["tanh", torch.sin])
def test_noise_is_added_after_every_loop(small, backend, draw, activation, checkpoint):
    given = inputs(small, draw, "with all")
    weight, state, *others = given
    counter = CounterNoise(torch.tensor(5), 0.3)
    options = {"activation": activation, "backend": backend}
    found = run(small, *given, noise=counter, checkpoint=checkpoint, **options)
    wanted, current = [], state
    for number in range(LOOPS):
        (after,) = run(small, weight, current, *others, loops=1, **options)
        current = after + counter.values(number, state)
        wanted.append(current)
    torch.testing.assert_close(found, wanted)
    grads = [
        torch.autograd.grad(sum(each.cos().sum() for each in states), given)
        for states in (found, wanted)
    ]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("activation", "batch", "dtype"),
    [
        ("tanh", 1, torch.float64),
        ("silu", 13, torch.float64),
        ("relu", 70, torch.float32),
        ("sigmoid", 200, torch.float64),
    ],
)
def test_wide_batches_on_several_threads_equal_the_reference(activation, batch, dtype, threads):
    data = graphs.small_world(700, 12, 0.3, seed=0)
    order = torch.randperm(data.num_edges, generator=torch.Generator().manual_seed(0))
    structure = Structure(data.edge_index[:, order], 700)
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(structure.num_edges, generator=draw, dtype=dtype) / 4
    state, drive = torch.randn(2, 700, batch, generator=draw, dtype=dtype)
    bias = torch.randn(700, generator=draw, dtype=dtype)
    given = [each.requires_grad_() for each in (weight, state, drive, bias, bias.sigmoid())]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, wanted = (
            [*states, *torch.autograd.grad(states[-1].square().sum(), given)]
            for states in (run(structure, *given, activation, backend=b) for b in ("auto", "torch"))
        )
    finally:
        torch.set_num_threads(before)
    close = {"rtol": 1e-3, "atol": 1e-2} if dtype == torch.float32 else {}
    torch.testing.assert_close(found, wanted, **close)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("checkpoint", [False, True], ids=["all kept", "checkpoint"])
@pytest.mark.parametrize("leaky", [False, True], ids=["no leak", "leak"])
def test_sequences_equal_dense_autograd(small, backend, dense, draw, activation, checkpoint, leaky):
    n, steps, loops = small.num_nodes, 7, 2
    bias, leak = draw(n), draw(n).detach().sigmoid().requires_grad_() if leaky else None
    weight, state, drive = draw(small.num_edges), draw(3, n), draw(3, steps, n)
    leaves = [each for each in (weight, state, drive, bias, leak) if each is not None]
    options = {"loops": loops, "activation": activation, "form": "voltage", "backend": backend}
    found = sequences.sequence(
        small, weight, LoopInputs(state, drive, bias, leak), checkpoint=checkpoint, **options
    )
    current, wanted = state.t(), []
    for step in range(steps):
        given = (current, drive[:, step].t(), bias, leak)
        *_, current = by_hand(dense(small, weight), *given, activation, loops)
        wanted.append(current.t())
    torch.testing.assert_close(found, (torch.stack(wanted, 1), wanted[-1]))
    both = [
        torch.autograd.grad(each.cos().sum(), leaves, retain_graph=True)
        for each in (found[0], torch.stack(wanted, 1))
    ]
    torch.testing.assert_close(*both)


def test_a_sequence_has_the_gradient_of_finite_differences(small, backend, draw):
    n = small.num_nodes
    leak = draw(n).detach().sigmoid().requires_grad_()
    given = (draw(small.num_edges), draw(2, n), draw(2, 2, n), draw(n), leak)

    def function(weight, *inputs):
        options = {"loops": 2, "activation": "gelu", "checkpoint": False, "backend": backend}
        return sequences.sequence(small, weight, LoopInputs(*inputs), form="voltage", **options)

    assert torch.autograd.gradcheck(function, given)
    assert torch.autograd.gradgradcheck(function, given, fast_mode=True)


def test_the_operators_pass_torchs_own_check(small, backend, draw):
    weight, x, g, bias, leak = inputs(small, draw, "with all", batch=2)
    arrays, rest = small.arrays(), (backend, None, 0.0, "voltage", False)
    for keep, segment in ((True, 0), (False, 2)):
        given = (weight, x, g, bias, leak, arrays, 3, "tanh", keep, True, segment, *rest)
        torch.library.opcheck(operators.loop, given)
    given = [each.detach() for each in (weight, x, g, bias, leak)]
    _, *tape = operators.loop(*given, arrays, 3, "tanh", False, True, 0, *rest)
    states = tape if BACKENDS[backend].tape_suffices else [x.detach(), *tape, g.detach()]
    grads = [None, None, g.detach()]
    torch.library.opcheck(
        operators.loop_backward, (*given, states, grads, arrays, "tanh", True, 0, *rest)
    )


@pytest.mark.parametrize(
    ("form", "error", "told"),
    [
        ("voltages", ValueError, "form must be one of 'rate', 'voltage', got 'voltages'"),
        (None, TypeError, "form"),
        (1, TypeError, "form"),
    ],
)
def test_an_unknown_form_is_refused(small, form, error, told):
    with pytest.raises(error, match=told):
        kernels.loop(small, torch.ones(9), torch.ones(5, 1), loops=1, form=form)
    options = (small.arrays(), 1, "none", False, False, 0, "auto", None, 0.0)
    with pytest.raises((TypeError, ValueError, RuntimeError), match="form"):
        operators.loop(torch.ones(9), torch.ones(5, 1), None, None, None, *options, form, False)
