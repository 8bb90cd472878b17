"""Bias, threshold, leak and noise against dense matrices, on every way through the layer."""

import math
from dataclasses import replace

import pytest
import torch
from torch_geometric.loader import DataLoader

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.kernels import available
from sparsebrain.kernels.noise import CounterNoise
from sparsebrain.nn.neurons import Leak

N, LOOPS = 40, 4
BACKENDS = [name for name, obstacle in available().items() if obstacle is None]


class Plain(GraphLayer):
    """Changes nothing, but overrides ``message``, so that PyG's own path is taken."""

    def message(self, x_j, weight):
        return x_j * weight.unsqueeze(-1)


def dense(layer):
    """W [N, N] with W[target, source] = weight, with its gradient."""
    source, target = layer.edge_index
    weight = layer.weight if layer.weight_index is None else layer.weight[layer.weight_index]
    matrix = weight.new_zeros(layer.num_nodes, layer.num_nodes)
    return matrix.index_put((target, source), weight, accumulate=True)


def spread(value, data):
    """A value of neurons or populations as [N], or a number as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    return value if len(value) == N else value[data.node_type]


def scramble(layer):
    """Bias, threshold and leak at random."""
    for name in layer._per:
        value = torch.rand(getattr(layer, name).shape, dtype=layer.weight.dtype)
        if name == "leak":
            layer.leak = 0.1 + 0.9 * value
        else:
            getattr(layer, name).data.copy_(value - 0.5)
    return layer


def by_hand(layer, data, x, noise=None):
    """The definition, loop by loop: all states after x(0)."""
    function = layer.activation if callable(layer.activation) else getattr(torch, layer.activation)
    leak = 1.0 if layer.leak is None else spread(layer.leak, data)
    offset = spread(layer.bias, data) if layer.bias is not None else 0.0
    offset = offset - (spread(layer.threshold, data) if layer.threshold is not None else 0.0)
    matrix, states = dense(layer).t(), []
    state, drive = (torch.zeros_like(x), x) if layer.inject else (x, 0.0)
    for number in range(layer.loops):
        state = (1 - leak) * state + leak * function(state @ matrix + offset + drive)
        state = state if noise is None else state + noise[number]
        states.append(state)
    return torch.stack(states)


def drawn_by(generator, std, x):
    """The noise of all loops in the shape of x [B, N]: one number of the generator is its key."""
    counter = CounterNoise(torch.randint(2**63 - 1, (), generator=generator), std)
    return [counter.values(number, x.t()).t() for number in range(LOOPS)]


def gradients(layer, states, x):
    wanted = [*layer.parameters(), x]
    return torch.autograd.grad(states.square().sum(), wanted, retain_graph=True)


OPTIONS = {
    "a leak for all": {"leak": 0.3},
    "a leak each": {"leak": "neuron"},
    "a leak a population": {"leak": "population", "bias": "population"},
    "thresholds": {"threshold": "neuron"},
    "a threshold for all": {"threshold": 0.2, "bias": True},
    "everything": {"leak": "neuron", "threshold": "population", "bias": "neuron"},
    "shared weights": {"leak": "neuron", "weight_sharing": "projection"},
    "checkpoints": {"leak": "neuron", "threshold": "neuron", "checkpoint": True},
}


@pytest.mark.parametrize("kind", [GraphLayer, Plain])
@pytest.mark.parametrize("activation", ["tanh", "relu", torch.sin])
@pytest.mark.parametrize("inject", [False, True])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_loops_are_those_of_the_equation(populated, kind, activation, inject, options):
    torch.manual_seed(0)
    layer = kind(
        populated, LOOPS, activation=activation, inject=inject, dtype=torch.float64, **options
    )
    scramble(layer)
    x = torch.randn(5, N, dtype=torch.float64, requires_grad=True)
    expected = by_hand(layer, populated, x)
    _, states = layer(x, return_states=True)
    torch.testing.assert_close(states[1:], expected)
    torch.testing.assert_close(gradients(layer, states[1:], x), gradients(layer, expected, x))
    torch.testing.assert_close(layer(x), expected[-1])
    torch.testing.assert_close(gradients(layer, layer(x), x), gradients(layer, expected[-1], x))

    batch = next(iter(DataLoader([populated] * 5, batch_size=5)))
    nodes = x.reshape(5 * N, 1)
    torch.testing.assert_close(layer(nodes, batch.edge_index).view(5, N), expected[-1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_backends_agree(populated, backend):
    torch.manual_seed(0)
    layer = GraphLayer(
        populated, LOOPS, activation="tanh", leak="neuron", threshold="neuron", backend=backend
    )
    scramble(layer)
    x = torch.randn(5, N, requires_grad=True)
    output, expected = layer(x), by_hand(layer, populated, x)[-1]
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients(layer, output, x), gradients(layer, expected, x))


def test_gradients_are_those_of_finite_differences():
    data = graphs.grid_local((2, 3), 1)
    layer = GraphLayer(
        data, 3, activation="tanh", leak="neuron", threshold="neuron", dtype=torch.float64
    )
    scramble(layer)
    names = dict(layer.named_parameters())

    def call(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    given = (torch.randn(2, 6, dtype=torch.float64), *names.values())
    assert torch.autograd.gradcheck(call, [each.detach().requires_grad_() for each in given])


def test_an_isolated_neuron_forgets_with_its_time_constant():
    """With no input x(t) = (1 - 1 / tau)^t x(0)."""
    data = graphs.layered([2])
    layer = GraphLayer(data, 10, leak="neuron", dtype=torch.float64)
    tau = torch.tensor([2.0, 5.0], dtype=torch.float64)
    layer.leak = 1 / tau
    x = torch.ones(2, dtype=torch.float64)
    torch.testing.assert_close(layer(x), (1 - 1 / tau) ** 10)


def test_a_threshold_is_a_negative_bias(populated):
    biased = GraphLayer(populated, 3, activation="relu", bias=True)
    with_threshold = GraphLayer(populated, 3, activation="relu", threshold="neuron")
    value = torch.randn(N)
    with torch.no_grad():
        with_threshold.weight.copy_(biased.weight)
        biased.bias.copy_(value)
        with_threshold.threshold.copy_(-value)
    x = torch.randn(5, N)
    torch.testing.assert_close(with_threshold(x), biased(x))
    (of_bias,) = torch.autograd.grad(biased(x).sum(), biased.bias)
    (of_threshold,) = torch.autograd.grad(with_threshold(x).sum(), with_threshold.threshold)
    torch.testing.assert_close(of_threshold, -of_bias)


def test_what_is_learned_starts_as_the_layer_without_it(populated):
    x = torch.randn(5, N)
    torch.manual_seed(0)
    plain = GraphLayer(populated, 3, activation="tanh")
    torch.manual_seed(0)
    layer = GraphLayer(
        populated, 3, activation="tanh", bias="population", threshold="neuron", leak="population"
    )
    assert layer.bias.shape == layer.leak.shape == (3,)
    assert layer.threshold.shape == (N,)
    torch.testing.assert_close(layer(x), plain(x))
    scramble(layer)
    layer.reset_parameters()
    assert torch.equal(layer.leak, torch.ones(3))
    assert not bool(layer.bias.any() or layer.threshold.any())


def test_a_leak_that_starts_at_one_can_learn(populated):
    layer = GraphLayer(populated, 3, activation="tanh", leak="neuron")
    layer(torch.randn(5, N)).square().sum().backward()
    assert bool((layer.parametrizations.leak.original.grad != 0).all())
    free = torch.zeros(3, requires_grad=True)
    Leak()(free).sum().backward()
    assert torch.equal(free.grad, torch.full((3,), -1.0))


@pytest.mark.parametrize("free", [0.0, 1e-30, 3.0, -3.0, 1e38, -1e38, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_leak_is_above_zero_and_at_most_one_whatever_was_learned(free, dtype):
    leak = Leak()(torch.tensor([free], dtype=dtype))
    assert bool(((leak > 0) & (leak <= 1)).all())


def test_a_leak_is_assigned_as_it_is(populated):
    layer = GraphLayer(populated, 3, leak="neuron")
    wanted = torch.rand(N) / 2 + 0.5
    layer.leak = wanted
    torch.testing.assert_close(layer.leak, wanted)
    for wrong in (0.0, 1.5, -0.1, math.nan):
        with pytest.raises(ValueError, match=r"above 0 and at most 1.*pass 1 / tau"):
            layer.leak = torch.full((N,), wrong)
    with pytest.raises(TypeError, match="must be a tensor, got 0.5 of type float"):
        layer.leak = 0.5


def test_a_sequence_goes_on_where_the_last_call_stopped(populated):
    torch.manual_seed(0)
    options = {"activation": "tanh", "inject": True, "leak": 0.2, "threshold": 0.1}
    once, twice = GraphLayer(populated, 6, **options), GraphLayer(populated, 3, **options)
    with torch.no_grad():
        twice.weight.copy_(once.weight)
    x = torch.randn(4, N)
    _, state = twice(x, state=torch.zeros(4, N))
    output, _ = twice(x, state=state)
    torch.testing.assert_close(output, once(x))


def test_large_layers_that_are_numbered_anew_give_the_same():
    data = graphs.grid_local((96, 96), 1)
    place = torch.randperm(data.num_nodes, generator=torch.Generator().manual_seed(0))
    data.edge_index = place[data.edge_index]
    layer = GraphLayer(
        data, 5, activation="tanh", leak="neuron", threshold="neuron", dtype=torch.float64
    )
    scramble(layer)
    x = torch.randn(2, data.num_nodes, dtype=torch.float64, requires_grad=True)
    assert layer.describe(x).renumbering is not None
    output = layer(x)
    with layer.hooked(lambda loops: replace(loops, renumbering=None)):
        torch.testing.assert_close(output, layer(x))
        torch.testing.assert_close(gradients(layer, output, x), gradients(layer, layer(x), x))


# Equilibria


def settled(data, leak, *, kind=GraphLayer, scale=1.0, activation="tanh", **options):
    torch.manual_seed(0)
    options = {"tol": 1e-13, "max_loops": 5000, **options}
    layer = kind(
        data,
        Equilibrium(**options),
        activation=activation,
        bias=True,
        leak=leak,
        dtype=torch.float64,
    )
    with torch.no_grad():
        layer.bias.normal_(std=0.5)
        layer.weight.mul_(scale)
    return layer


@pytest.mark.parametrize("kind", [GraphLayer, Plain])
@pytest.mark.parametrize("solver", ["fixed-point", "anderson"])
@pytest.mark.parametrize("activation", ["tanh", torch.sin])
@pytest.mark.parametrize("gradient", ["implicit", "unrolled"])
def test_a_leak_moves_no_equilibrium_and_no_gradient(populated, kind, solver, activation, gradient):
    x = torch.randn(5, N, dtype=torch.float64, requires_grad=True)
    plain = settled(populated, None, activation=activation)
    z = plain(x)
    expected = gradients(plain, z, x)
    for leak in (0.4, "neuron"):
        layer = settled(
            populated, leak, kind=kind, solver=solver, activation=activation, gradient=gradient
        )
        if leak == "neuron":
            layer.leak = 0.2 + 0.8 * torch.rand(N, dtype=torch.float64)
        torch.testing.assert_close(layer(x), z)
        got = torch.autograd.grad(layer(x).square().sum(), [layer.bias, layer.weight, x])
        torch.testing.assert_close(got, (expected[1], expected[0], expected[2]))
        assert bool(layer.report.converged.all())


def test_a_leak_settles_what_swings(populated):
    """Loops of -1.5 x + 1 swing ever further; halfway to each they come to 0.4."""
    cell = graphs.grid_local((1,), 1)
    cell.edge_weight = torch.tensor([-1.5])
    layer = GraphLayer(
        cell, Equilibrium(tol=1e-10), init="edge_weight", leak=0.5, dtype=torch.float64
    )
    x = torch.ones(3, 1, dtype=torch.float64, requires_grad=True)
    z = layer(x)
    torch.testing.assert_close(z, torch.full_like(z, 0.4))
    z.sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 0.4))
    assert bool(layer.report.converged.all())
    assert bool(layer.report.gradient.converged.all())


def test_small_steps_do_not_pass_for_an_equilibrium(populated):
    """The residual is that of f; a loop itself moves by a hundredth of it."""
    layer = settled(populated, 0.01, tol=1e-6)
    x = torch.randn(5, N, dtype=torch.float64)
    z = layer(x)
    after = torch.tanh(z @ dense(layer).t() + layer.bias + x)
    assert bool(((after - z).norm(dim=1) / after.norm(dim=1) <= 1e-6).all())
    assert int(layer.report.loops.min()) > 200


@pytest.mark.parametrize("constraint", ["norm", "perron"])
def test_under_a_constraint_leaky_loops_are_contractions(populated, constraint):
    """In the norm that the proof names: Euclidean weighted by 1 / a, or the weighted maximum."""
    layer = settled(populated, "neuron", constraint=constraint, bound=0.9)
    for step in (1.0, 100.0):
        with torch.no_grad():
            layer.parametrizations.weight.original.normal_().mul_(step)
            leak = layer.leak = 10 ** -(3 * torch.rand(N, dtype=torch.float64))
            matrix = dense(layer)
            steps = 1e-3 * torch.randn(2000, N, dtype=torch.float64)
            if constraint == "norm":
                size = (1 / leak).sqrt()
                length = torch.Tensor.norm
            else:
                values, vectors = torch.linalg.eig(matrix.abs())
                size = 1 / vectors[:, values.abs().argmax()].real.abs()
                length = lambda each, dim: each.abs().amax(dim)  # noqa: E731
            after = (1 - leak) * steps + leak * (steps @ matrix.t())
            assert bool((length(after * size, dim=1) < length(steps * size, dim=1)).all())
        layer.leak = 0.2 + 0.8 * leak
        layer(torch.randn(5, N, dtype=torch.float64))
        assert bool(layer.report.converged.all())


# Noise


@pytest.mark.parametrize("kind", [GraphLayer, Plain])
@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("leak", [None, "neuron"])
def test_noise_has_a_key_that_the_generator_draws(populated, kind, checkpoint, seeded, leak):
    torch.manual_seed(0)
    layer = kind(
        populated,
        LOOPS,
        activation="tanh",
        leak=leak,
        noise=0.3,
        checkpoint=checkpoint,
        dtype=torch.float64,
    )
    scramble(layer)
    x = torch.randn(5, N, dtype=torch.float64, requires_grad=True)
    if seeded:
        options = {"generator": torch.Generator().manual_seed(7)}
    else:
        torch.manual_seed(7)
        options = {}
    output = layer(x, **options)
    torch.rand(3)
    got = gradients(layer, output, x)
    noise = drawn_by(torch.Generator().manual_seed(7), 0.3, x)
    expected = by_hand(layer, populated, x, noise)[-1]
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(got, gradients(layer, expected, x))


def test_a_batch_of_pyg_gets_noise_too(populated):
    layer = GraphLayer(populated, 3, activation="tanh", noise=0.3)
    plain = Plain(populated, 3, activation="tanh", noise=0.3)
    plain.load_state_dict(layer.state_dict())
    batch = next(iter(DataLoader([populated] * 2, batch_size=2)))
    x = torch.randn(2 * N, 3)
    first, second = (
        each(x, batch.edge_index, generator=torch.Generator().manual_seed(1), return_states=True)
        for each in (layer, plain)
    )
    torch.testing.assert_close(first, second)
    assert not torch.equal(layer(x, batch.edge_index), layer(x, batch.edge_index))


def test_noise_is_off_outside_of_training(populated):
    layer = GraphLayer(populated, 3, activation="tanh", noise=10.0)
    quiet = GraphLayer(populated, 3, activation="tanh")
    quiet.load_state_dict(layer.state_dict())
    x = torch.randn(5, N)
    assert torch.equal(layer.eval()(x), quiet(x))
    assert torch.equal(layer(x, generator=torch.Generator()), quiet(x))
    assert not torch.equal(layer.train()(x), quiet(x))


def test_noise_is_normal_of_that_standard_deviation():
    """10^5 values; each bound is at five standard errors, a false alarm in 10^6."""
    layer = GraphLayer(graphs.layered([1000]), 1, noise=2.0)
    noise = layer(torch.zeros(100, 1000), generator=torch.Generator().manual_seed(0)).detach() / 2
    error = 1e5**-0.5
    assert abs(float(noise.mean())) < 5 * error
    assert abs(float(noise.var()) - 1) < 5 * 2**0.5 * error
    assert abs(float((noise**4).mean()) - 3) < 5 * 96**0.5 * error


def test_compile_takes_noise(populated):
    torch.compiler.reset()
    layer = GraphLayer(populated, 3, activation="tanh", noise=0.3, leak="neuron")
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    x = torch.randn(5, N)
    torch.manual_seed(0)
    expected = layer(x)
    torch.manual_seed(0)
    torch.testing.assert_close(compiled(x), expected)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"leak": 0}, ValueError, "leak must be more than 0 and at most 1, got 0"),
        ({"leak": 1.1}, ValueError, "leak must be more than 0 and at most 1"),
        ({"leak": math.nan}, ValueError, "leak must be more than 0"),
        ({"leak": True}, TypeError, "leak must be a number, got True .*leak='neuron'"),
        ({"leak": "type"}, ValueError, "leak must be one of 'neuron', 'population', got 'type'"),
        ({"leak": "population"}, ValueError, "leak='population' needs connectome.node_type"),
        ({"bias": "layer"}, ValueError, "bias must be one of True, False, 'neuron', 'population'"),
        ({"bias": "population"}, ValueError, "bias='population' needs connectome.node_type"),
        ({"threshold": math.inf}, ValueError, "threshold must be finite"),
        ({"threshold": [0.1]}, TypeError, r"threshold must be a number, got \[0.1\]"),
        ({"noise": -0.1}, ValueError, "noise must be 0 or more and finite"),
        ({"noise": "neuron"}, TypeError, "noise must be a number, got 'neuron'"),
        ({"noise": 0.1, "loops": Equilibrium()}, ValueError, "never reaches an Equilibrium"),
        ({"time_constant": 2}, TypeError, "unexpected keyword argument"),
    ],
)
def test_wrong_options(grid, options, error, match):
    with pytest.raises(error, match=match):
        GraphLayer(grid, **options)


def test_wrong_populations_and_generators(grid):
    grid.node_type = torch.full((30,), 2**40)
    with pytest.raises(ValueError, match=r"node_type .*unique\(return_inverse=True\)"):
        GraphLayer(grid, leak="population")
    del grid.node_type
    with pytest.raises(ValueError, match="generator is for noise.*pass noise=0.1"):
        GraphLayer(grid)(torch.randn(30), generator=torch.Generator())
    with pytest.raises(
        TypeError, match="generator must be a torch.Generator or None, got 3 of type int"
    ):
        GraphLayer(grid, noise=0.1)(torch.randn(30), generator=3)


def test_it_tells_what_it_is(populated):
    layer = GraphLayer(
        populated, 2, bias="population", threshold=0.5, leak="neuron", noise=0.1, inject=True
    )
    assert repr(layer).endswith(
        "loops=2, bias='population', threshold=0.5, leak='neuron', noise=0.1, inject=True)"
    )
