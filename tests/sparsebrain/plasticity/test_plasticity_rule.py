"""What holds for every rule in the table, on every layer that it accepts."""

import copy
import itertools
import pickle

import pytest
import torch
from torch.nn.utils import parametrizations

import graphs
from sparsebrain import Equilibrium, GraphLayer, plasticity
from sparsebrain.plasticity import BCM, PLASTICITY, Hebb, Oja, PlasticityRule
from sparsebrain.spiking import LIF
from tests.sparsebrain.plasticity.conftest import (
    LAYERS,
    NETWORKS,
    NEURONS,
    SPIKE_RULES,
    given,
    inputs,
    signed,
    steps,
    suited,
    typed,
)


def test_only_the_weight_receives_a_gradient(case):
    name, layer = case
    rule = PLASTICITY[name](layer)
    output = rule(*given(name))
    assert not output.requires_grad
    filled = [p for p in rule.parameters() if p.grad is not None]
    assert len(filled) == 1
    assert filled[0].shape == layer.weight.shape
    assert filled[0].grad.isfinite().all()
    assert filled[0].grad.abs().sum() > 0


@pytest.mark.parametrize("kind", LAYERS)
def test_the_output_is_that_of_the_layer(rate_name, kind):
    layer = LAYERS[kind]()
    assert torch.equal(PLASTICITY[rate_name](layer)(inputs()), layer(inputs()))


def test_no_synapse_appears(case):
    name, layer = case
    rule = PLASTICITY[name](layer)
    before = None if isinstance(layer, torch.nn.Linear) else layer.edge_index.clone()
    shape = layer.weight.shape
    steps(rule, rule.make_optimizer(), given(name), 3)
    assert layer.weight.shape == shape
    if before is not None:
        assert torch.equal(layer.edge_index, before)


def test_no_sign_that_is_kept_flips(name):
    layer = suited(name)["dale"]()
    sign = signed().node_sign[layer.edge_index[0]]
    rule = PLASTICITY[name](layer)
    # Steps so large that weights without Dale's law cross zero.
    for seed in range(5):
        steps(rule, rule.make_optimizer(5.0), given(name, seed=seed, scale=0.1), 1)
        weight = layer.weight.detach()
        assert (weight * sign >= 0).all()
    assert (weight[sign == 0] != 0).all()


def test_the_same_seed_is_the_same_run(case):
    name, layer = case
    weights = []
    for _ in range(2):
        again = copy.deepcopy(layer)
        rule = PLASTICITY[name](again)
        steps(rule, rule.make_optimizer(), given(name), 3)
        weights.append(again.weight.detach().clone())
    assert torch.equal(*weights)


def test_two_samples_are_their_mean_where_the_rule_says_so(case):
    name, layer = case
    layer = layer.double()
    both_samples = [each.double() for each in given(name, samples=2)]
    rule = PLASTICITY[name](layer)
    rule(*both_samples)
    (parameter,) = (p for p in layer.parameters() if p.grad is not None)
    both = parameter.grad.clone()
    parameter.grad = None
    rule = PLASTICITY[name](layer)
    for sample in zip(*both_samples, strict=True):
        rule(*(each.unsqueeze(0) for each in sample))
    close = torch.allclose(parameter.grad, 2 * both, rtol=1e-12, atol=1e-14)
    assert close == rule.is_mean


def test_loops_are_summed(rate_name):
    """A rule on three loops adds what it adds for each of them by itself."""
    rule_class = PLASTICITY[rate_name]
    layer = LAYERS["three loops"]().double()
    rule_class(layer)(inputs().double())
    found = layer.weight.grad.clone()
    layer.weight.grad = None
    _, states = layer(inputs().double(), return_states=True)
    rule = rule_class(layer)
    if isinstance(rule, BCM):
        # The threshold is the mean over all loops.
        rule.theta.copy_(states[1:].square().mean((0, 1)))
        rule.theta_rate = 0.0
        rule.started.fill_(True)
    for pre, post in itertools.pairwise(states):
        rule(pre.detach(), post.detach())
    assert torch.allclose(layer.weight.grad, found, rtol=1e-10)


def test_synapses_that_share_a_weight_change_it_by_their_mean(rate_name):
    shared = GraphLayer(typed(), weight_sharing="type", dtype=torch.float64)
    single = GraphLayer(typed(), dtype=torch.float64)
    single.assign_weight(shared.weight_per_synapse().detach())
    for each in (shared, single):
        PLASTICITY[rate_name](each)(inputs().double())
    mean = single.weight.grad.view(2, -1).mean(1)
    assert torch.allclose(shared.weight.grad, mean, rtol=1e-12)


def test_a_dense_layer_is_a_full_graph(rate_name):
    graph = GraphLayer(graphs.layered([4, 3]), dtype=torch.float64)
    dense = torch.nn.Linear(4, 3, bias=False, dtype=torch.float64)
    # The synapses of each target follow each other.
    dense.weight.data.copy_(graph.weight.detach().view(3, 4))
    x = inputs().double()[:, :4]
    PLASTICITY[rate_name](dense)(x)
    PLASTICITY[rate_name](graph)(torch.nn.functional.pad(x, (0, 3)))
    assert torch.allclose(graph.weight.grad.view(3, 4), dense.weight.grad, rtol=1e-12)


def test_with_dale_the_magnitude_moves_as_the_weight_would(name):
    kept = suited(name)["dale"]().double()
    free = suited(name)["dale"](dale=False).double()
    free.assign_weight(kept.weight.detach())
    for each in (free, kept):
        rule = PLASTICITY[name](each)
        steps(rule, rule.make_optimizer(1e-6), [x.double() for x in given(name)], 1)
    assert torch.allclose(free.weight, kept.weight, rtol=0, atol=1e-14)


def test_a_frozen_weight_is_not_changed(case):
    name, layer = case
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    PLASTICITY[name](layer)(*given(name))
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_gradients_add_up_and_need_no_autograd(case):
    name, layer = case
    rule = PLASTICITY[name](layer)
    with torch.no_grad():
        rule(*given(name))
    (parameter,) = (p for p in layer.parameters() if p.grad is not None)
    first = parameter.grad.clone()
    if rule.is_mean:
        rule(*given(name))
        assert torch.allclose(parameter.grad, 2 * first)


def test_the_optimizer_is_plain_sgd(case):
    name, layer = case
    rule = PLASTICITY[name](layer)
    optimizer = rule.make_optimizer()
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["lr"] == rule.learning_rate
    assert optimizer.defaults["momentum"] == 0
    assert rule.make_optimizer(0.25).defaults["lr"] == 0.25


def test_rules_are_saved_and_copied(name):
    rule = PLASTICITY[name](next(iter(suited(name).values()))())
    rule(*given(name))
    again = pickle.loads(pickle.dumps(rule))
    other = PLASTICITY[name](copy.deepcopy(rule.layer))
    other.load_state_dict(rule.state_dict())
    for each in (rule, again, other):
        each.zero_grad()
        each(*given(name, seed=1))
    assert torch.equal(again.layer.weight.grad, rule.layer.weight.grad)
    assert torch.equal(other.layer.weight.grad, rule.layer.weight.grad)


REFUSED = {
    "gain": (
        lambda data: GraphLayer(data, gain="synapse", init="edge_weight"),
        r"fixed strengths times gains.*without gain",
    ),
    "constraint": (
        lambda data: GraphLayer(data, loops=Equilibrium(constraint="norm"), activation="tanh"),
        r"use loops=8|constraint=None",
    ),
    "equilibrium": (
        lambda data: GraphLayer(data, loops=Equilibrium(constraint=None), activation="tanh"),
        "no loops to sum the terms over; use loops=8",
    ),
    "norm": (
        lambda data: parametrizations.weight_norm(torch.nn.Linear(3, 3)),
        "no parametrization but dale=True",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_are_not_those_of_synapses_are_refused(rate_name, case):
    data = graphs.small_world(NEURONS, 6, 0.2, seed=0)
    data.edge_weight = torch.ones(data.num_edges)
    make, message = REFUSED[case]
    with pytest.raises(
        ValueError, match=f"{PLASTICITY[rate_name].__name__} cannot train.*{message}"
    ):
        PLASTICITY[rate_name](make(data))


def test_only_layers_are_taught(name):
    expected = "(layer must be a GraphLayer or an nn.Linear|lif must be a LIF), got .*; pass sparse"
    for wrong in (torch.nn.ReLU(), None, torch.nn.Conv1d(3, 3, 1)):
        with pytest.raises(TypeError, match=expected):
            PLASTICITY[name](wrong)


def test_spikes_that_are_none_are_refused(spike_name):
    rule = PLASTICITY[spike_name](NETWORKS["spikes"]())
    spikes, *others = given(spike_name)
    for wrong, message in (
        (spikes[0], r"spikes must be .* of shape \[B, T, 20\], got \[25, 20\]; pass spikes.uns"),
        (spikes[:, :, 1:], r"spikes must be .* of shape \[B, T, 20\]"),
        (spikes[:0], "spikes must hold at least one sample"),
        (spikes[:, :0], "spikes must hold at least one sample and one step"),
        (spikes / 0, "spikes must be finite"),
        (2 * spikes, r"spikes must be 0 or 1, got 2 at position \[0, .*; pass \(spikes > 0\)"),
    ):
        with pytest.raises(ValueError, match=message):
            rule(wrong, *others)
    for wrong in (spikes.double(), spikes.bool()):
        with pytest.raises(TypeError, match=r"pass spikes.float\(\)"):
            rule(wrong, *others)
    assert rule.layer.weight.grad is None


def test_a_parametrized_network_is_refused(spike_name):
    lif = parametrizations.weight_norm(NETWORKS["spikes"](), dim=None)
    with pytest.raises(ValueError, match="no parametrization but dale=True"):
        PLASTICITY[spike_name](lif)


def test_wrong_activities_are_refused(rate_name):
    rule = PLASTICITY[rate_name](LAYERS["small world"]())
    x = inputs()
    for wrong, message in (
        (x[0], r"x must be .* of shape \[B, 20\], got \[20\]; pass x.unsqueeze\(0\)"),
        (x[:, 1:], r"x must be .* of shape \[B, 20\], got \[8, 19\]"),
        (x[:0], "x must hold at least one sample"),
        (x / 0, "x must be finite, got inf"),
    ):
        with pytest.raises(ValueError, match=message):
            rule(wrong)
    with pytest.raises(TypeError, match=r"pass x.float\(\)"):
        rule(x.double())
    with pytest.raises(ValueError, match=r"y must be .* of shape \[8, 20\], got \[4, 20\]"):
        rule(x, x[:4])
    assert rule.layer.weight.grad is None


def test_an_unstable_step_is_told(rate_name):
    """Not NaN in all weights."""
    layer = LAYERS["small world"]()
    layer.assign_weight(torch.full_like(layer.weight, 1e38))
    with pytest.raises(ValueError, match="grown without bound; use a lower learning rate"):
        PLASTICITY[rate_name](layer)(1e10 * inputs())
    assert layer.weight.grad is None


def test_a_layer_without_synapses_stays_without(name):
    empty = graphs.erdos_renyi(NEURONS, probability=0.0, seed=0)
    layer = (LIF if name in SPIKE_RULES else GraphLayer)(empty)
    PLASTICITY[name](layer)(*given(name))
    assert layer.weight.grad.shape == (0,)


def test_hebb_is_the_product_of_both_ends():
    layer = LAYERS["small world"]()
    x, y = inputs(), inputs(seed=1)
    Hebb(layer)(x, y)
    source, target = layer.edge_index
    expected = (y[:, target] * x[:, source]).mean(0)
    assert torch.allclose(layer.weight.grad, -expected, rtol=1e-5)


def test_hebb_follows_the_second_moments():
    """In the mean over Gaussian samples, E[y x] = E[x x^T] w: a z of 5 (false alarm 1e-6)."""
    torch.manual_seed(0)
    neuron = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    root = torch.tensor([[1.5, 0.0], [0.5, 1.0]], dtype=torch.float64)
    weight = neuron.weight.detach()[0]
    rule = Hebb(neuron)
    x = torch.randn(40_000, 2, dtype=torch.float64) @ root.T
    y = rule(x)
    error = -neuron.weight.grad[0] - root @ root.T @ weight
    assert (error.abs() < 5 * (y * x).std(0) / len(x) ** 0.5).all()


def test_all_names_are_there():
    for name in plasticity.__all__:
        assert getattr(plasticity, name).__doc__
    assert {*PLASTICITY} >= {"hebb", "oja", "sanger", "bcm", "stdp", "dopamine-stdp"}
    assert PLASTICITY["oja"] is Oja
    with pytest.raises(TypeError, match=r"a subclass of sparsebrain.plasticity.Plast"):
        PLASTICITY["mine"] = dict
    assert all(issubclass(PLASTICITY[each], PlasticityRule) for each in PLASTICITY)
