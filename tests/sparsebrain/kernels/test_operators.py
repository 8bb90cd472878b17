"""What torch asks of operators: right gradients of any order, registration and autocast."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from sparsebrain import kernels
from sparsebrain.kernels import BACKENDS, operators
from sparsebrain.kernels.activations import ACTIVATIONS


def _double(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


QUIET = (None, 0.0, "rate", False)
"""No key and no standard deviation of noise, and the form."""


@pytest.mark.parametrize("activation", [*ACTIVATIONS, pytest.param(torch.sin, id="sin")])
def test_gradcheck_of_the_loop(small, backend, activation):
    def run(weight, state, drive, bias):
        return kernels.loop(
            small,
            weight,
            state,
            loops=3,
            drive=drive,
            bias=bias,
            activation=activation,
            keep=True,
            backend=backend,
        )

    assert gradcheck(run, (_double(9), _double(5, 2), _double(5, 2), _double(5)))


@pytest.mark.parametrize("name", ["propagate", "backpropagate", "correlate"])
def test_primitives_have_gradients_of_gradients(small, backend, name):
    primitive = getattr(kernels, name)
    first = _double(5, 2) if name == "correlate" else _double(9)

    def run(first, second):
        return primitive(small, first, second, backend=backend)

    assert gradcheck(run, (first, _double(5, 2)))
    assert gradgradcheck(run, (first, _double(5, 2)))


def test_operators_pass_torchs_own_check(small, backend):
    arrays = small.arrays()
    weight, x, g = _double(9), _double(5, 2), _double(5, 2)
    torch.library.opcheck(operators.propagate, (weight, x, arrays, True, backend))
    torch.library.opcheck(operators.correlate, (g, x, arrays, backend))
    leak = _double(5)
    for keep, segment in ((True, 0), (False, 0), (True, 2), (False, 2)):
        torch.library.opcheck(
            operators.loop,
            (
                weight,
                x,
                g,
                _double(5),
                leak,
                arrays,
                3,
                "tanh",
                keep,
                True,
                segment,
                backend,
                *QUIET,
            ),
        )
    for state in (x, _double(2, 5).detach().t().requires_grad_()):
        alone = (state.detach(), None, None, None, arrays, 3, "tanh", False)
        torch.library.opcheck(operators.loop, (weight.detach(), *alone, False, 0, backend, *QUIET))
        learning = (state, None, None, None, arrays, 3, "tanh", False)
        torch.library.opcheck(operators.loop, (weight, *learning, True, 0, backend, *QUIET))
    noisy = (weight, x, g, _double(5), leak, arrays, 3, "tanh", False, True, 0, backend)
    torch.library.opcheck(operators.loop, (*noisy, torch.tensor(7), 0.1, "rate", False))
    given = [each.detach() for each in (weight, x, g, _double(5), leak)]
    for segment in (0, 2):
        _, *tape = operators.loop(*given, arrays, 3, "tanh", False, True, segment, backend, *QUIET)
        states = tape
        if segment:
            states = [x.detach(), *tape]
        elif not BACKENDS[backend].tape_suffices:
            states = [x.detach(), *tape, g.detach()]
        torch.library.opcheck(
            operators.loop_backward,
            (
                *given,
                states,
                [None, None, g.detach()],
                arrays,
                "tanh",
                True,
                segment,
                backend,
                *QUIET,
            ),
        )


def test_narrow_states_pass_torchs_own_check(small, backend):
    if backend == "triton":
        pytest.skip("it refuses states of bfloat16")
    arrays, narrow = small.arrays(), (None, 0.0, "rate", True)
    weight, x, g = (each.detach().float() for each in (_double(9), _double(5, 2), _double(5, 2)))
    alone = (x, None, None, None, arrays, 3, "tanh", False)
    learning = (weight.requires_grad_(), *alone, True, 0, backend, *narrow)
    # Rounded gradients are not those of finite differences, which only the other tests compare.
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(operators.loop, learning, test_utils=tests)
    _, *tape = operators.loop(weight.detach(), *alone, True, 0, backend, *narrow)
    states = tape if BACKENDS[backend].tape_suffices else [x, *tape, g]
    torch.library.opcheck(
        operators.loop_backward,
        (
            weight.detach(),
            x,
            *[None] * 3,
            states,
            [None, None, g],
            arrays,
            "tanh",
            True,
            0,
            backend,
            *narrow,
        ),
        test_utils=tests,
    )


def test_autocast_does_not_reach_into_a_kernel(small, monkeypatch):
    """Without MKL the products are torch.sparse.mm, which autocast would narrow."""
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    draw = torch.Generator().manual_seed(0)
    weight, x = torch.randn(9, generator=draw), torch.randn(5, 4, generator=draw)
    expected = kernels.propagate(small, weight, x, backend="torch")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(kernels.propagate(small, weight, x, backend="torch"), expected)
