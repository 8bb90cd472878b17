"""Endless loops against closed forms, backpropagation through all loops, and finite differences."""

import pytest
import torch

import graphs
from sparsebrain import GraphLayer
from tests.sparsebrain.nn.equilibria import FUNCTIONS, N, dense, gradients, make


@pytest.fixture
def small():
    """Six neurons and 28 synapses, for finite differences."""
    return graphs.grid_local((2, 3), 1)


@pytest.mark.parametrize("solver", ["fixed-point", "anderson"])
def test_linear_loops_have_a_closed_form(random_graph, x, solver):
    layer = make(random_graph, None, solver=solver)
    given = x.clone().requires_grad_()
    matrix = dense(layer)
    expected = torch.linalg.solve(torch.eye(N) - matrix, (given + layer.bias).t()).t()
    z = layer(given)
    torch.testing.assert_close(z, expected)
    wanted = [layer.weight, layer.bias, given]
    torch.testing.assert_close(
        torch.autograd.grad(z.square().sum(), wanted),
        torch.autograd.grad(expected.square().sum(), wanted),
    )
    assert bool(layer.report.converged.all())
    assert bool(layer.report.gradient.converged.all())


@pytest.mark.parametrize("solver", ["fixed-point", "anderson"])
@pytest.mark.parametrize("activation", FUNCTIONS)
def test_the_implicit_gradient_is_that_of_all_loops(random_graph, x, activation, solver):
    layer = make(random_graph, activation, solver=solver)
    got = gradients(layer, x)
    z = layer(x)
    function = activation if callable(activation) else (lambda u: u)
    if isinstance(activation, str):
        function = getattr(torch.nn.functional, activation)
    torch.testing.assert_close(z, function(z @ dense(layer).t() + layer.bias + x))
    for unrolled_by in ("fixed-point", "anderson"):
        unrolled = make(random_graph, activation, gradient="unrolled", solver=unrolled_by)
        torch.testing.assert_close(gradients(unrolled, x), got)
        assert unrolled.report.gradient is None

    given = x.clone().requires_grad_()
    state = torch.zeros_like(x)
    for _ in range(400):
        state = function(state @ dense(layer).t() + layer.bias + given)
    loss = state.square().sum() + state.sin().sum()
    torch.testing.assert_close(got, torch.autograd.grad(loss, [layer.weight, layer.bias, given]))


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_gradients_are_those_of_finite_differences(small, activation):
    layer = make(small, activation, tol=1e-12)
    x = torch.randn(1, 6, dtype=torch.float64, requires_grad=True)
    given = (x, layer.weight.detach().requires_grad_(), layer.bias.detach().requires_grad_())

    def call(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(call, given)


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_without_synapses_that_act_the_jacobian_free_gradient_is_exact(random_graph, x, activation):
    """J = f' W = 0, so that v = dL/dz solves v = J^T v + dL/dz."""
    implicit = make(random_graph, activation)
    free = make(random_graph, activation, gradient="jacobian-free")
    for layer in (implicit, free):
        torch.nn.init.zeros_(layer.weight)
    torch.testing.assert_close(gradients(free, x), gradients(implicit, x))
    assert free.report.gradient is None


def test_the_jacobian_free_gradient_is_one_loop_of_backpropagation(random_graph, x):
    layer = make(random_graph, gradient="jacobian-free")
    with torch.no_grad():
        z = layer(x)
    once = GraphLayer(
        random_graph, 1, activation="tanh", bias=True, inject=True, dtype=torch.float64
    )
    once.load_state_dict(layer.state_dict())
    given = x.clone().requires_grad_()
    after, _ = once(given, state=z)
    loss = after.square().sum() + after.sin().sum()
    torch.testing.assert_close(
        gradients(layer, x), torch.autograd.grad(loss, [*once.parameters(), given])
    )


@pytest.mark.parametrize(("activation", "scale"), [(None, 1.0), ("tanh", 0.01), ("sigmoid", 0.01)])
def test_the_jacobian_free_gradient_descends_where_its_theorem_says_so(
    random_graph, x, activation, scale
):
    """Fung 2021: kappa(M M^T) <= 1 / ||J||, where M = diag(f') is the derivative by the input."""
    layers = [
        make(random_graph, activation, gradient=name) for name in ("implicit", "jacobian-free")
    ]
    for layer in layers:
        torch.nn.init.zeros_(layer.bias)
        layer.weight.data.mul_(0.5)
    exact, free = (gradients(layer, scale * x)[-1] for layer in layers)
    z = layers[0](scale * x).detach()
    matrix = dense(layers[0]).detach()
    slope = {None: torch.ones_like(z), "tanh": 1 - z**2, "sigmoid": z * (1 - z)}[activation]
    lipschitz = slope.max() * torch.linalg.matrix_norm(matrix, 2)
    assert lipschitz < 1
    assert (slope.max() / slope.min()) ** 2 <= 1 / lipschitz
    assert bool(((exact * free).sum(1) > 0).all())


def test_the_jacobian_free_gradient_differs_elsewhere(random_graph, x):
    implicit = make(random_graph)
    free = make(random_graph, gradient="jacobian-free")
    assert not torch.allclose(gradients(free, x)[0], gradients(implicit, x)[0], rtol=1e-2)
