"""Every activation of the table on every backend, also where numbers end."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional

from sparsebrain import kernels
from sparsebrain.kernels import Structure
from sparsebrain.kernels.activations import ACTIVATIONS, Activation

SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "0": 0.0, "-0": -0.0}
# By torch's own definition, or where that depends on the place in a vector the one that is taken.
SLOPES = {
    "none": [1, 1, 1, 1, 1],
    "tanh": [math.nan, 0, 0, 1, 1],
    "sigmoid": [math.nan, 0, 0, 0.25, 0.25],
    "relu": [1, 1, 0, 0, 0],
    "leaky_relu": [0.01, 1, 0.01, 0.01, 0.01],
    "gelu": [math.nan, math.nan, math.nan, 0.5, 0.5],
    "silu": [math.nan, math.nan, math.nan, 0.5, 0.5],
    "softplus": [math.nan, 1, 0, 0.5, 0.5],
    "hardtanh": [1, 0, 0, 1, 1],
}
VALUES = {
    "none": [math.nan, math.inf, -math.inf, 0, 0],
    "tanh": [math.nan, 1, -1, 0, 0],
    "sigmoid": [math.nan, 1, 0, 0.5, 0.5],
    "relu": [math.nan, math.inf, 0, 0, 0],
    "leaky_relu": [math.nan, math.inf, -math.inf, 0, 0],
    "gelu": [math.nan, math.inf, math.nan, 0, 0],
    "silu": [math.nan, math.inf, math.nan, 0, 0],
    "softplus": [math.nan, math.inf, 0, math.log(2), math.log(2)],
    "hardtanh": [math.nan, 1, -1, 0, 0],
}


@pytest.fixture
def lone():
    """Neuron 0 sends to neuron 1, whose argument is the weight 1 times what it sends."""
    return Structure(torch.tensor([[0], [1]]), 2)


@pytest.mark.parametrize("number", range(len(SPECIAL)), ids=list(SPECIAL))
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch", [1, 3, 70])
def test_values_and_slopes_where_numbers_end(lone, backend, dtype, activation, number, batch):
    special = list(SPECIAL.values())[number]
    state = torch.zeros(2, batch, dtype=dtype)
    state[0] = special
    state.requires_grad_()
    weight = torch.ones(1, dtype=dtype)
    options = {"loops": 1, "activation": activation, "backend": backend}
    (fused,) = kernels.loop(lone, weight, state, **options)
    fused[1].sum().backward()
    value = torch.full((batch,), VALUES[activation][number], dtype=dtype)
    slope = torch.full((batch,), SLOPES[activation][number], dtype=dtype)
    exact = {"equal_nan": True, "rtol": 1e-6, "atol": 1e-30}
    torch.testing.assert_close(fused[1].detach(), value, **exact)
    torch.testing.assert_close(state.grad[0], slope, **exact)

    again = state.detach()[0].requires_grad_()
    y = ACTIVATIONS[activation].function(again)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), value, **exact)
    torch.testing.assert_close(again.grad, slope, **exact)


def test_the_tables_above_are_whole():
    assert set(VALUES) == set(SLOPES) == set(ACTIVATIONS)


def test_numbers_are_given_once():
    numbers = [each.number for each in ACTIVATIONS.values()]
    assert sorted(numbers) == list(range(len(ACTIVATIONS)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_definitions_are_torchs(activation, dtype):
    u = torch.linspace(-30, 30, 10_001, dtype=dtype).requires_grad_()
    ours, theirs = (f(u) for f in (ACTIVATIONS[activation].function, torchs(activation)))
    torch.testing.assert_close(ours, theirs)
    draw = torch.randn(u.shape, dtype=dtype)
    known = u if ACTIVATIONS[activation].of_argument else ours
    (expected,) = torch.autograd.grad(theirs, u, draw)
    torch.testing.assert_close(ACTIVATIONS[activation].backward(draw, known.detach()), expected)
    torch.testing.assert_close(ACTIVATIONS[activation].in_place(u.detach().clone()), ours.detach())
    steepest = torch.autograd.grad(ours.sum(), u)[0].abs().max()
    assert 0.99 * ACTIVATIONS[activation].lipschitz < float(steepest)
    assert float(steepest) <= ACTIVATIONS[activation].lipschitz


def torchs(activation):
    return (lambda u: u * 1) if activation == "none" else getattr(functional, activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("extras", [(), ("drive",), ("drive", "bias", "leak")], ids=str)
@pytest.mark.parametrize("checkpoint", [False, True], ids=["all kept", "checkpoint"])
def test_torchs_own_check_of_gradients(backend, activation, extras, checkpoint):
    edges = torch.tensor([[0, 2, 1, 3, 3, 0], [1, 1, 2, 0, 3, 3]])
    structure = Structure(edges, 4)
    draw = torch.Generator().manual_seed(3)

    def leaf(*shape):
        drawn = torch.randn(*shape, generator=draw, dtype=torch.float64)
        return (drawn * 0.9).requires_grad_()

    shapes = {"drive": (4, 3), "bias": (4,), "leak": (4,)}
    leaves = [leaf(6), leaf(4, 3), *(leaf(*shapes[name]) for name in extras)]
    if "leak" in extras:
        leaves[-1] = leaves[-1].detach().sigmoid().requires_grad_()

    def run(weight, state, *others):
        return kernels.loop(
            structure,
            weight,
            state,
            loops=3,
            **dict(zip(extras, others, strict=True)),
            activation=activation,
            checkpoint=checkpoint,
            backend=backend,
        )

    assert gradcheck(run, leaves)


@pytest.fixture
def added(monkeypatch):
    """An activation that no kernel knows, at the place where another used to be."""
    entry = Activation(torch.sin, torch.sin, lambda grad, u: grad * u.cos(), of_argument=True)
    table = {"none": ACTIVATIONS["none"], "sine": entry, **ACTIVATIONS}
    before = dict(ACTIVATIONS)
    ACTIVATIONS.clear()
    ACTIVATIONS.update(table)
    yield "sine"
    ACTIVATIONS.clear()
    ACTIVATIONS.update(before)


def test_an_activation_that_was_added_is_itself_and_moves_no_other(lone, backend, added):
    state = torch.tensor([[1.0, -2.0], [0.0, 0.0]])
    weight = torch.ones(1)
    (y,) = kernels.loop(lone, weight, state, loops=1, activation=added, backend=backend)
    assert torch.equal(y[1], torch.sin(state[0]))
    (y,) = kernels.loop(lone, weight, state, loops=1, activation="leaky_relu", backend=backend)
    assert y[1].tolist() == pytest.approx([1.0, -0.02])


def test_one_that_says_it_has_a_kernel_and_has_none_is_refused(lone, backend, added):
    ACTIVATIONS[added] = ACTIVATIONS[added]._replace(number=77)
    options = {"loops": 1, "activation": added, "backend": backend}
    if backend != "native":
        return
    with pytest.raises(ValueError, match="'native' has no kernel for activation 'sine'"):
        kernels.loop(lone, torch.ones(1), torch.zeros(2, 1), **options)


def test_an_unknown_name_is_refused(lone, backend):
    with pytest.raises(ValueError, match="activation must be one of .*'hardtanh', got 'swish'"):
        kernels.loop(
            lone, torch.ones(1), torch.zeros(2, 1), loops=1, activation="swish", backend=backend
        )
    with pytest.raises(ValueError, match="activation must be one of .*'hardtanh', got 'swish'"):
        torch.ops.sparsebrain.loop(
            torch.ones(1),
            torch.zeros(2, 1),
            *[None] * 3,
            lone.arrays(),
            1,
            "swish",
            *(False, False, 0, backend, None, 0.0, "rate", False),
        )
