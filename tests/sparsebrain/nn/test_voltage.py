"""Layers of the form "voltage" against their definition, with every option of the layer."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch_geometric.loader import DataLoader

import graphs
from sparsebrain import Equilibrium, GraphLayer, diagnostics
from sparsebrain.kernels import available
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.learning import RULES
from sparsebrain.models import Recurrent
from sparsebrain.plasticity import PLASTICITY, Rewiring

LOOPS = 3
RUNNABLE = [name for name, obstacle in available().items() if obstacle is None]
OPTIONS = {
    "bare": {},
    "inject": {"inject": True, "bias": True},
    "leak": {"leak": 0.3, "threshold": 0.2},
    "per neuron": {"leak": "neuron", "bias": "neuron", "threshold": "neuron", "inject": True},
    "per population": {"leak": "population", "bias": "population", "inject": True},
    "dale": {"dale": True, "leak": 0.5},
    "types": {"weight_sharing": "type", "inject": True},
    "gains": {"gain": "projection", "dale": True, "leak": "population", "inject": True},
    "checkpoint": {"checkpoint": True, "leak": 0.5},
    "messages": {"aggr": "mean", "leak": 0.5, "bias": True},
}


def make(data, activation="tanh", **options):
    torch.manual_seed(0)
    loops = options.pop("loops", LOOPS)
    layer = GraphLayer(
        data, loops, activation=activation, form="voltage", dtype=torch.float64, **options
    )
    for name in ("bias", "threshold"):
        if isinstance(getattr(layer, name), nn.Parameter):
            nn.init.normal_(getattr(layer, name), std=0.5)
    if isinstance(layer.leak, torch.Tensor):
        layer.leak = torch.linspace(0.2, 1, len(layer.leak), dtype=torch.float64)
    return layer


def by_hand(layer, x, state=None, loops=LOOPS, mean=False):
    """All states, x(0) first, from the public attributes alone."""
    source, target = layer.edge_index
    matrix = x.new_zeros(layer.num_nodes, layer.num_nodes)
    matrix = matrix.index_put((target, source), layer.weight_per_synapse(), accumulate=True)
    if mean:
        matrix = matrix / torch.bincount(target, minlength=len(matrix)).clamp(min=1)[:, None]
    f = layer.activation
    f = ACTIVATIONS[f].function if isinstance(f, str) else f
    bias, leak = layer.bias_per_neuron(), layer.leak_per_neuron()
    if layer.inject and state is None:
        state = torch.zeros_like(x)
    states = [x if state is None else state]
    for _ in range(loops):
        total = f(states[-1]) @ matrix.t()
        total = total if bias is None else total + bias
        total = total + x if layer.inject else total
        states.append(total if leak is None else torch.lerp(states[-1], total, leak))
    return torch.stack(states)


@pytest.mark.parametrize("backend", RUNNABLE)
@pytest.mark.parametrize("activation", ["relu", torch.sin], ids=["fused", "function"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_layer_is_its_definition(populated, x, options, activation, backend):
    layer = make(populated, activation, backend=backend, **options)
    x = x.requires_grad_()
    leaves = [*layer.parameters(), x]
    output, found = layer(x, return_states=True)
    wanted = by_hand(layer, x, mean=options.get("aggr") == "mean")
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(output, wanted[-1])
    torch.testing.assert_close(layer(x), wanted[-1])
    torch.testing.assert_close(
        torch.autograd.grad(found.cos().sum(), leaves),
        torch.autograd.grad(wanted.cos().sum(), leaves),
    )


def test_a_given_state_is_where_the_loops_start(populated, x):
    layer = make(populated, inject=True, leak="population")
    _, state = layer(x, state=x.sin())
    torch.testing.assert_close(state, by_hand(layer, x, x.sin())[-1])
    again, _ = layer(x, state=state)
    torch.testing.assert_close(again, by_hand(layer, x, x.sin(), loops=2 * LOOPS)[-1])


def test_noise_is_added_to_the_potential(populated, x):
    layer = make(populated, leak=0.5, noise=0.3)
    calm = layer.eval()(x)
    torch.testing.assert_close(calm, by_hand(layer, x)[-1])
    layer.train()
    found = [layer(x, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    one = make(populated, leak=0.5, noise=0.3, loops=1)
    with torch.no_grad():
        plain, noisy = one.eval()(x), one.train()(x.expand(400, *x.shape).contiguous())
    # 96,000 normal numbers: the standard deviation strays by 5 of its own once in 1.7 million.
    assert abs(float((noisy - plain).std()) / 0.3 - 1) < 5 / (2 * 96_000) ** 0.5


@pytest.mark.parametrize("activation", ["tanh", torch.sin], ids=["fused", "function"])
def test_batches_of_pyg_are_the_same(populated, activation):
    layer = make(populated, activation, inject=True, leak="neuron")
    batch = next(iter(DataLoader([populated] * 2, batch_size=2)))
    x = torch.randn(2, 40, 3, dtype=torch.float64)
    found = layer(x.view(80, 3), batch.edge_index).view(2, 40, 3)
    torch.testing.assert_close(found.transpose(1, 2), by_hand(layer, x.transpose(1, 2))[-1])


def test_a_layer_that_renumbers_its_neurons():
    places = graphs.coordinate_random(9000, (100.0, 90.0), 1.5, seed=0)
    layer = make(places, "tanh", inject=True, leak=0.5, loops=4)
    assert layer._renumbering is not None
    x = torch.randn(2, 9000, dtype=torch.float64)
    found = layer(x)
    layer._renumbering = None
    torch.testing.assert_close(found, layer(x))
    layer.backend = "reference"
    torch.testing.assert_close(found, layer(x))


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_sequence_is_the_layer_step_by_step(populated, checkpoint):
    layer = make(populated, "relu", inject=True, leak="population", checkpoint=checkpoint)
    model = Recurrent(layer)
    x = torch.randn(3, 7, 40, dtype=torch.float64)
    found, last = model(x)
    state, states = torch.zeros(3, 40, dtype=torch.float64), []
    for drive in x.unbind(1):
        state = by_hand(layer, drive, state)[-1]
        states.append(state)
    wanted = torch.stack(states, 1)
    torch.testing.assert_close((found, last), (wanted, state))
    leaves = list(layer.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found.cos().sum(), leaves),
        torch.autograd.grad(wanted.cos().sum(), leaves),
    )


@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus", None, torch.sin])
@pytest.mark.parametrize("leak", [None, 0.5])
def test_an_equilibrium_and_its_gradient(populated, x, activation, leak):
    options = {"loops": Equilibrium(tol=1e-13, max_loops=5000), "bias": True, "leak": leak}
    layer = make(populated, activation, **options)
    given = x.clone().requires_grad_()
    z = layer(given)
    assert bool(layer.report.converged.all())
    torch.testing.assert_close(z, by_hand(layer, given, z, loops=1)[-1])
    leaves = [layer.weight, layer.bias, given]
    found = torch.autograd.grad(z.cos().sum(), leaves)
    layer.leak = None
    unrolled = by_hand(layer, given, loops=300)[-1]
    torch.testing.assert_close(z, unrolled)
    torch.testing.assert_close(found, torch.autograd.grad(unrolled.cos().sum(), leaves))


@pytest.mark.parametrize("constraint", ["norm", "perron"])
@pytest.mark.parametrize("leak", [None, 0.3])
def test_a_constraint_makes_the_loops_a_contraction(populated, constraint, leak):
    """From distant states the loops reach one equilibrium, as the bounds of W hold for W f, too."""
    settles = Equilibrium(constraint=constraint, tol=1e-10, max_loops=2000)
    layer = make(populated, "gelu", loops=settles, leak=leak)
    with torch.no_grad():
        layer.parametrizations.weight.original.normal_(std=3)
    x = torch.randn(5, 40, dtype=torch.float64)
    ends = [layer(x, state=start * torch.ones_like(x))[0] for start in (-50.0, 0.0, 50.0)]
    assert bool(layer.report.converged.all())
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-6, atol=1e-6)


def test_transforms_of_torch_func_and_second_derivatives(populated, x):
    layer = make(populated, inject=True, bias=True, leak=0.5)
    ours, theirs = (
        lambda given: layer(given).square().sum(),
        lambda given: by_hand(layer, given)[-1].square().sum(),
    )
    x = x[:2]
    for transform in (torch.func.grad, torch.func.hessian, torch.func.jacfwd):
        torch.testing.assert_close(transform(ours)(x), transform(theirs)(x))
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x))
    given = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(layer(given).cos().sum(), given, create_graph=True)
    (wanted,) = torch.autograd.grad(by_hand(layer, given)[-1].cos().sum(), given, create_graph=True)
    torch.testing.assert_close(
        torch.autograd.grad(grad.square().sum(), [given, layer.weight]),
        torch.autograd.grad(wanted.square().sum(), [given, layer.weight]),
    )


def test_an_exported_program_computes_the_same(populated):
    layer = make(populated, inject=True, leak=0.5)
    x = torch.randn(3, 40, dtype=torch.float64)
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), by_hand(layer, x)[-1])


def test_it_is_an_option_like_others(populated, x):
    layer = make(populated)
    assert "form='voltage'" in repr(layer)
    for same in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert same.form == "voltage"
        torch.testing.assert_close(same(x), layer(x))
    rate = GraphLayer(populated, LOOPS, activation="tanh", dtype=torch.float64)
    rate.load_state_dict(layer.state_dict())
    assert not torch.allclose(rate(x), layer(x))
    rate.form = "voltage"
    torch.testing.assert_close(rate(x), layer(x))
    with pytest.raises(ValueError, match="form must be one of 'rate', 'voltage', got 'volt'"):
        rate.form = "volt"
    with pytest.raises(ValueError, match="form must be one of 'rate', 'voltage', got 'spike'"):
        GraphLayer(populated, form="spike")


# Learning rules.

#: The rules that refuse a voltage, and why.
REFUSED = {
    "forward-forward": "goodness is that of rates.*form='rate'",
    "equilibrium-propagation": "states are potentials.*form='rate'",
    "hebb": "states are potentials.*form='rate'",
    "oja": "states are potentials.*form='rate'",
    "bcm": "states are potentials.*form='rate'",
}
#: The rules whose models have no such loops, or refuse all that have an activation.
WITHOUT = {"error-diffusion", "boltzmann", "dendritic-microcircuit"}


def model_of(name):
    data = graphs.symmetrize(graphs.small_world(20, 4, 0.3, seed=0))
    torch.manual_seed(0)
    model = RULES[name].build(data, 6, 3, loops=LOOPS)
    (layer,) = (each for each in model.modules() if isinstance(each, GraphLayer))
    layer.form = "voltage"
    if layer.activation == "none":
        layer.activation = "tanh"
    return model.double(), layer


@pytest.mark.parametrize("name", [name for name in RULES if name not in WITHOUT])
def test_every_rule_learns_or_refuses(name):
    model, layer = model_of(name)
    if name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name]):
            RULES[name](model)
        return
    rule = RULES[name](model)
    x = torch.rand(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert bool(rule(x, torch.arange(8) % 3).isfinite())
    grad = layer.weight.grad
    assert name == "random-features" or bool((grad != 0).any())


def test_the_microcircuit_refuses_a_voltage_with_an_activation():
    torch.manual_seed(0)
    data = graphs.layered([6, 5])
    layers = [nn.Linear(6, 11), nn.Sigmoid(), GraphLayer(data, activation="tanh", form="voltage")]
    with pytest.raises(ValueError, match="DendriticMicrocircuit cannot train this model"):
        RULES["dendritic-microcircuit"](nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(11, 3)))


@pytest.mark.parametrize("name", ["feedback-alignment", "sign-symmetry", "kolen-pollack"])
def test_with_the_transposed_weights_feedback_is_backpropagation(name):
    """The error passes f' at the source, after the feedback weights."""
    model, layer = model_of(name)
    other = copy.deepcopy(model)
    x = torch.rand(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = torch.arange(8) % 3
    RULES["backprop"](other)(x, y)
    rule = RULES[name](model)
    with torch.no_grad():
        for (_, part), back in zip(rule.layers.items(), rule.feedback, strict=True):
            back.copy_(part.weight_per_synapse() if part is layer else part.weight)
    rule(x, y)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize("name", ["hebb", "oja", "sanger", "bcm"])
def test_plasticity_refuses_potentials_and_takes_linear_layers(populated, x, name):
    with pytest.raises(ValueError, match="states are potentials.*form='rate'"):
        PLASTICITY[name](make(populated))
    linear, rate = make(populated, None), GraphLayer(populated, LOOPS, dtype=torch.float64)
    with torch.no_grad():
        rate.weight.copy_(linear.weight)
    for layer in (linear, rate):
        PLASTICITY[name](layer)(x)
    torch.testing.assert_close(linear.weight.grad, rate.weight.grad)


def test_rigl_sees_the_gradient_of_absent_synapses(populated, x):
    layer = make(populated)
    optimizer = torch.optim.SGD(layer.parameters())
    rewiring = Rewiring(layer, optimizer, method="rigl", fraction=0.1)
    with rewiring.observe():
        layer(x).square().sum().backward()
    (source, target), found = rewiring._observed
    absent = torch.zeros(40, 40, dtype=torch.float64, requires_grad=True)
    full = by_hand_with(layer, x, absent)
    (wanted,) = torch.autograd.grad(full.square().sum(), absent)
    torch.testing.assert_close(found, wanted[target, source])


def by_hand_with(layer, x, extra):
    source, target = layer.edge_index
    matrix = extra.index_put((target, source), layer.weight.detach(), accumulate=True)
    for _ in range(LOOPS):
        x = x.tanh() @ matrix.t()
    return x


# Diagnostics.


@pytest.mark.parametrize("activation", ["relu", torch.sin], ids=["fused", "function"])
@pytest.mark.parametrize("aggr", ["sum", "mean"])
def test_diagnostics_record_potentials(populated, x, activation, aggr):
    options = {"leak": "neuron", "bias": True, "inject": True, "aggr": aggr}
    layer = make(populated, activation, **options)
    wanted = by_hand(layer, x, mean=aggr == "mean").detach()
    function = activation if callable(activation) else torch.relu
    slopes = torch.func.vmap(torch.func.vmap(torch.func.vmap(torch.func.grad(function))))(wanted)
    found = diagnostics.saturation(layer, x)
    torch.testing.assert_close(found.saturated, (slopes[:-1].abs() < 0.05).float().mean(1))
    assert torch.equal(found.dead, (function(wanted[1:]) == 0).all(1))

    states = layer(x, return_states=True)[1]
    grads = torch.autograd.grad(states[-1].cos().sum(), states, allow_unused=True)
    assert grads[0] is not None
    flow = diagnostics.loop_gradients(layer, x, lambda output: output.cos().sum())
    start = torch.zeros_like(x).requires_grad_()
    (of_start,) = torch.autograd.grad(
        by_hand(layer, x, start, mean=aggr == "mean")[-1].cos().sum(), start
    )
    torch.testing.assert_close(flow.norm[0], of_start.norm())
