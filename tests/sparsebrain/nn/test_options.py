"""Returned states, activations given as functions, and noise, on every backend and path."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import graphs
from sparsebrain import GraphLayer
from sparsebrain.kernels import available
from sparsebrain.kernels.activations import ACTIVATIONS, fused_name

N, LOOPS = 20, 4
BACKENDS = [name for name, obstacle in available().items() if obstacle is None]
OPTIONS = {
    "plain": {},
    "all": {"bias": True, "leak": 0.6, "inject": True},
    "noise": {"noise": 0.3, "leak": 0.6},
    "checkpoint": {"checkpoint": True, "bias": True, "noise": 0.3},
}


@pytest.fixture
def data():
    return graphs.small_world(N, 4, 0.3, seed=0)


def make(data, activation, dtype=torch.float64, **options):
    torch.manual_seed(0)
    return GraphLayer(data, LOOPS, activation=activation, dtype=dtype, **options)


def stepwise(layer, x):
    """All states, by one call of the layer for each loop, which autograd differentiates."""
    torch.manual_seed(7)
    described = layer.describe(x)
    states, inject = [described.start], layer.inject
    layer.loops = 1
    noise, layer.noise = layer.noise, 0.0
    try:
        for number in range(LOOPS):
            state = layer(x, state=states[-1])[0] if inject else layer(states[-1])
            if described.noise is not None:
                state = state + described.noise(number)
            states.append(state)
    finally:
        layer.loops, layer.noise = LOOPS, noise
    return torch.stack(states)


@pytest.mark.parametrize("shape", [(N,), (3, N), (2, 3, N)], ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(
    "activation", ["tanh", "gelu", lambda u: u.sin()], ids=["tanh", "gelu", "a function"]
)
def test_returned_states_are_those_of_single_loops_and_carry_gradients(
    data, activation, options, backend, shape
):
    layer = make(data, activation, backend=backend, **options)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    expected = stepwise(layer, x)
    torch.manual_seed(7)
    output, states = layer(x, return_states=True)
    assert states.is_contiguous()
    torch.testing.assert_close(states, expected)
    torch.testing.assert_close(output, expected[-1])
    leaves = [x, *layer.parameters()]
    weights = torch.linspace(-1, 1, LOOPS + 1, dtype=torch.float64)
    weights = weights.view(-1, *[1] * len(shape))
    for loss, wanted in (
        (output.cos().sum(), expected[-1].cos().sum()),
        ((states * weights).sin().sum(), (expected * weights).sin().sum()),
        ((states[1:3]).sum() + output.sum(), expected[1:3].sum() + expected[-1].sum()),
    ):
        torch.testing.assert_close(
            torch.autograd.grad(loss, leaves, retain_graph=True, materialize_grads=True),
            torch.autograd.grad(wanted, leaves, retain_graph=True, materialize_grads=True),
        )


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_change_of_the_states_in_place_changes_no_gradient(data, backend, checkpoint):
    layer = make(data, "tanh", backend=backend, checkpoint=checkpoint)
    x = torch.randn(3, N, dtype=torch.float64, requires_grad=True)

    def gradients(change):
        output, states = layer(x, return_states=True)
        loss = (output * 1.0).sum() + (states * 1.0).sum()
        if change:
            states.mul_(3)
            output.mul_(3)
        return torch.autograd.grad(loss, (x, layer.weight))

    assert all(map(torch.equal, gradients(False), gradients(True)))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_any_order_pass_through_states_noise_and_functions(data, options, backend):
    x = torch.randn(2, N, dtype=torch.float64, requires_grad=True)
    for activation in ("tanh", lambda u: u.tanh()):
        layer = make(data, activation, backend=backend, **options)

        def function(weight, x, layer=layer):
            torch.manual_seed(3)
            return torch.func.functional_call(
                layer, {"weight": weight}, (x,), {"return_states": True}
            )

        given = (layer.weight, x)
        assert torch.autograd.gradcheck(function, given, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, given, fast_mode=True)


FUNCTIONS = {
    "elementwise": lambda u: u.sin(),
    "in place": lambda u: u.tanh_(),
    "identity": lambda u: u,
    "over neurons": lambda u: u.softmax(-1),
    "with parameters": nn.Sequential(nn.Linear(N, N, dtype=torch.float64), nn.Tanh()),
    "by view": lambda u: u.view(-1, N // 2, 2).flip(-1).view(u.shape),
    "contiguous": lambda u: u.contiguous().square().cos(),
}


@pytest.mark.parametrize("shape", [(N,), (3, N), (2, 3, N)], ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_receives_the_shape_of_x_on_every_backend(data, function, backend, shape):
    seen = []

    def watched(u):
        seen.append(u.shape)
        return function(u)

    layer = make(data, watched, backend=backend, bias=True, inject=True, leak=0.7)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    output = layer(x)
    assert set(seen) == {torch.Size(shape)}
    source, target = layer.edge_index
    matrix = torch.zeros(N, N, dtype=torch.float64).index_put((target, source), layer.weight)
    expected = torch.zeros_like(x)
    for _ in range(LOOPS):
        total = expected @ matrix.t() + layer.bias + x
        expected = 0.3 * expected + 0.7 * function(total * 1.0)
    torch.testing.assert_close(output, expected)
    leaves = [x, layer.weight, layer.bias]
    torch.testing.assert_close(
        torch.autograd.grad(output.cos().sum(), leaves),
        torch.autograd.grad(expected.cos().sum(), leaves),
    )
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected)


def test_the_error_of_a_function_is_raised_unchanged(data):
    def fails(u):
        raise RuntimeError("by the function")

    with pytest.raises(RuntimeError, match="^by the function$"):
        make(data, fails)(torch.randn(3, N, dtype=torch.float64))


NAMED = {
    "none": [nn.Identity()],
    "tanh": [torch.tanh, torch.Tensor.tanh, functional.tanh, nn.Tanh()],
    "sigmoid": [torch.sigmoid, functional.sigmoid, nn.Sigmoid()],
    "relu": [torch.relu, functional.relu, nn.ReLU(), nn.ReLU(inplace=True)],
    "leaky_relu": [functional.leaky_relu, nn.LeakyReLU()],
    "gelu": [functional.gelu, nn.GELU()],
    "silu": [functional.silu, nn.SiLU()],
    "softplus": [functional.softplus, nn.Softplus()],
}


@pytest.mark.parametrize("name", NAMED)
def test_functions_of_torch_are_fused_under_their_name(data, name):
    x = torch.randn(3, N, dtype=torch.float64)
    expected = make(data, None if name == "none" else name)(x)
    for function in NAMED[name]:
        assert fused_name(function) == name
        assert torch.equal(make(data, function)(x), expected)
        u = torch.linspace(-30, 30, 1001, dtype=torch.float64)
        torch.testing.assert_close(function(u.clone()), ACTIVATIONS[name].function(u))


def test_other_functions_are_called():
    class Own(nn.Tanh):
        pass

    hooked, replaced = nn.Tanh(), nn.Tanh()
    hooked.register_forward_hook(lambda *_: None)
    replaced.forward = torch.sin
    others = [torch.sin, lambda u: u, Own(), hooked, replaced, nn.LeakyReLU(0.2)]
    others += [nn.GELU(approximate="tanh"), nn.Softplus(beta=2), nn.Softplus(threshold=5)]
    for each in others:
        assert fused_name(each) is each
