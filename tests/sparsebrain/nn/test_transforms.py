"""Layers under torch's transforms: second derivatives, torch.func, forward mode, traces."""

import io

import pytest
import torch
from torch.autograd import forward_ad, gradgradcheck

import graphs
from sparsebrain import Equilibrium, GraphLayer, Maxout
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.models import classifier

N = 6
ON_WAY = pytest.mark.filterwarnings(
    "ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning"
)


@pytest.fixture
def data():
    return graphs.small_world(N, 4, 0.3, seed=0)


@pytest.fixture
def layer(data):
    torch.manual_seed(0)
    made = GraphLayer(
        data, 3, activation="tanh", bias=True, leak="neuron", inject=True, dtype=torch.float64
    )
    with torch.no_grad():
        made.leak = torch.linspace(0.3, 1, N, dtype=torch.float64)
    return made


@pytest.fixture
def x():
    return torch.randn(4, N, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def dense(layer, x):
    """What the layer computes, by a matrix."""
    source, target = layer.edge_index
    weight = torch.zeros(N, N, dtype=x.dtype).index_put((target, source), layer.weight)
    state = torch.zeros_like(x)
    for _ in range(layer.loops):
        state = torch.lerp(state, torch.tanh(state @ weight.t() + layer.bias + x), layer.leak)
    return state


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "none"])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_second_derivatives(data, activation, checkpoint):
    torch.manual_seed(0)
    layer = GraphLayer(
        data,
        3,
        activation=activation,
        bias=True,
        leak=0.5,
        inject=True,
        checkpoint=checkpoint,
        dtype=torch.float64,
    )
    x = torch.randn(2, N, dtype=torch.float64, requires_grad=True)
    names = ("weight", "bias")
    leaves = [getattr(layer, name).detach().requires_grad_() for name in names]

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert gradgradcheck(run, (x, *leaves), atol=1e-4, fast_mode=True)


def test_a_state_computed_from_the_input_is_held_fixed(layer, x):
    """Or its part of a derivative would be counted twice."""

    def value(run):
        given = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(run(given).square().sum(), given, create_graph=True)
        return torch.autograd.grad(grad.sin().sum(), given)[0]

    def both(given):
        return layer(given, state=given.cos())[0]

    def by_hand(given):
        state = given.cos()
        for _ in range(3):
            state = step(given, state)
        return state

    def step(given, state):
        one = GraphLayer(graphs.small_world(N, 4, 0.3, seed=0), 1, dtype=torch.float64)
        source, target = one.edge_index
        weight = torch.zeros(N, N, dtype=x.dtype).index_put((target, source), layer.weight)
        return torch.lerp(state, torch.tanh(state @ weight.t() + layer.bias + given), layer.leak)

    torch.testing.assert_close(value(both), value(by_hand))


def test_transforms_of_torch_func(layer, x):
    loss = lambda run: lambda given: run(layer, given).square().sum()  # noqa: E731
    ours, theirs = loss(lambda layer, given: layer(given)), loss(dense)
    for transform in (torch.func.grad, torch.func.hessian, torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(transform(ours)(x), transform(theirs)(x))
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x))
    torch.testing.assert_close(
        torch.func.vmap(torch.func.grad(ours))(x), torch.func.vmap(torch.func.grad(theirs))(x)
    )
    values = {name: each.detach() for name, each in layer.named_parameters()}

    def of_parameters(values):
        return torch.func.functional_call(layer, values, (x,)).sum()

    layer(x).sum().backward()
    torch.testing.assert_close(
        torch.func.grad(of_parameters)(values),
        {name: each.grad for name, each in layer.named_parameters()},
    )


def test_forward_mode(layer, x):
    tangent = torch.ones_like(x)
    _, wanted = torch.func.jvp(lambda given: dense(layer, given), (x,), (tangent,))
    assert wanted.abs().min() > 0
    torch.testing.assert_close(torch.func.jvp(layer, (x,), (tangent,))[1], wanted)
    with forward_ad.dual_level():
        out = layer(forward_ad.make_dual(x, tangent))
        torch.testing.assert_close(forward_ad.unpack_dual(out).tangent, wanted)


def test_batched_gradients_are_refused(layer, x):
    out, rows = layer(x.requires_grad_()).sum(0), torch.eye(N, dtype=x.dtype)
    with pytest.raises(NotImplementedError, match="is_grads_batched=True.*use torch.func.jacrev"):
        torch.autograd.grad(out, x, rows, is_grads_batched=True)


@ON_WAY
@pytest.mark.parametrize("make", [GraphLayer, classifier, Maxout], ids=lambda make: make.__name__)
def test_a_trace_computes_the_same_without_the_package(data, make):
    model = make(data, 3).eval()
    x = torch.randn(5, N)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(model, (x,)), file)
    assert b"sparsebrain::" not in file.getvalue()
    file.seek(0)
    loaded, other = torch.jit.load(file), torch.randn(3, N)
    torch.testing.assert_close(loaded(other), model(other))


@ON_WAY
def test_scripts_are_refused(layer):
    with pytest.raises(NotImplementedError, match="torch.jit.script.*use torch.export.export"):
        torch.jit.script(torch.nn.Sequential(layer))


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.grad, torch.func.hessian])
def test_an_equilibrium_refuses_transforms(data, x, transform):
    layer = GraphLayer(data, Equilibrium(), dtype=torch.float64)
    with pytest.raises(NotImplementedError, match=r"Equilibrium .* torch.func.*use torch.autograd"):
        transform(lambda given: layer(given).sum())(x)


@pytest.mark.parametrize("activation", ["tanh", torch.tanh], ids=["fused", "function"])
def test_second_derivatives_of_an_equilibrium(data, x, activation):
    """Those of the unrolled loops are right; the others are refused, also with given inputs."""

    def hessian(**options):
        torch.manual_seed(0)
        layer = GraphLayer(
            data, Equilibrium(tol=1e-12, **options), activation=activation, dtype=torch.float64
        )
        return torch.autograd.functional.hessian(lambda given: layer(given).sum(), x[:1])

    torch.manual_seed(0)
    layer = GraphLayer(data, Equilibrium(tol=1e-12), activation=activation, dtype=torch.float64)
    gradient = torch.autograd.functional.jacobian
    columns = []
    for change in 1e-5 * torch.eye(N, dtype=torch.float64):
        ahead, behind = (
            gradient(lambda given: layer(given).sum(), x[:1] + sign * change) for sign in (1, -1)
        )
        columns.append((ahead - behind).flatten() / 2e-5)
    found = hessian(gradient="unrolled").view(N, N)
    torch.testing.assert_close(found, torch.stack(columns, 1), atol=1e-7, rtol=1e-5)
    for options in ({}, {"gradient": "jacobian-free"}, {"constraint": "norm", "bound": 0.1}):
        if callable(activation) and "constraint" in options:
            options["lipschitz"] = 1.0
        with pytest.raises(NotImplementedError, match='use Equilibrium.gradient="unrolled"'):
            hessian(**options)


def test_second_derivatives_of_a_bound_are_refused(data, x):
    settles = Equilibrium(constraint="norm", bound=0.1, gradient="unrolled")
    layer = GraphLayer(data, settles, dtype=torch.float64)
    free = layer.parametrizations.weight.original
    with torch.no_grad():
        free.mul_(10)
    (grad,) = torch.autograd.grad(layer(x).square().sum(), free, create_graph=True)
    with pytest.raises(NotImplementedError, match="use constraint=None"):
        torch.autograd.grad(grad.sum(), free)
