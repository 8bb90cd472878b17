"""Ensembles of layers and gradients of single samples, with ``torch.func``."""

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

import graphs
from sparsebrain import Equilibrium, GraphLayer, Maxout, kernels
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.models import classifier
from sparsebrain.spiking import LIF

N = 8
CLOSE = {"rtol": 1e-12, "atol": 1e-14}
BACKENDS = ["auto", "reference"] + [
    name
    for name, reason in kernels.available().items()
    if reason is None and name in ("native", "torch")
]


@pytest.fixture
def data():
    found = graphs.symmetrize(graphs.small_world(N, 4, 0.3, seed=0))
    low, high = found.edge_index.aminmax(dim=0)
    found.edge_weight = 0.1 + 0.05 * (low + 2 * high)
    found.edge_type = (low + high) % 3
    found.node_type = torch.arange(N) % 2
    return found


OPTIONS = {
    "plain": {},
    **{f"backend {name}": {"backend": name} for name in BACKENDS},
    **{name: {"activation": None if name == "none" else name} for name in ACTIVATIONS},
    "function": {"activation": torch.sin},
    "module": {"activation": torch.nn.Tanh()},
    "inject": {"inject": True},
    "neurons": {"bias": True, "threshold": "population", "leak": "neuron"},
    "leak": {"leak": 0.5, "threshold": 0.1},
    "edge_weight": {"init": "edge_weight"},
    "dale": {"dale": True},
    "checkpoint": {"checkpoint": True},
    "one loop": {"loops": 1},
    **{f"sharing {by}": {"weight_sharing": by} for by in ("type", "source", "target", "pair")},
    "projections": {"weight_sharing": "projection"},
    **{f"gain {by}": {"gain": by} for by in ("synapse", "type", "projection", "pair")},
    "gain, dale": {"gain": "source", "dale": True},
    **{f"aggr {name}": {"aggr": name} for name in ("mean", "max")},
}


def make(data, options, seed):
    options = {"loops": 4, "activation": "tanh", "dtype": torch.float64, **options}
    data = data.clone()
    if options.get("dale"):
        data.edge_sign = torch.where(data.edge_type == 1, -1.0, 1.0)
        if "gain" in options:
            data.edge_sign = torch.ones(data.num_edges)
    torch.manual_seed(seed)
    layer = GraphLayer(data, **options)
    with torch.no_grad():
        for each in layer.parameters():
            each.add_(0.1 * torch.rand_like(each))
    return layer


def loss_of(layer):
    def loss(values, buffers, sample, label):
        out = functional_call(layer, (values, buffers), (sample.unsqueeze(0),))
        return (out.squeeze(0) - label).square().sum()

    return loss


@pytest.mark.parametrize("name", OPTIONS)
def test_an_ensemble_is_a_loop_over_its_layers(data, name):
    # In a model, as torch gives each parametrized layer a class of its own.
    layers = [torch.nn.Sequential(make(data, OPTIONS[name], seed)) for seed in range(3)]
    values, buffers = stack_module_state(layers)
    x = torch.randn(5, N, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first = layers[0]

    def run(values, buffers, x):
        return functional_call(first, (values, buffers), (x,))

    got = vmap(run, (0, 0, None))(values, buffers, x)
    torch.testing.assert_close(got, torch.stack([layer(x) for layer in layers]), **CLOSE)
    # One batch for each, and the gradients of all.
    batches = torch.stack([x, 2 * x, -x])
    grads = vmap(grad(lambda *given: run(*given).square().sum()))(values, buffers, batches)
    for number, (layer, batch) in enumerate(zip(layers, batches, strict=True)):
        layer(batch).square().sum().backward()
        for key, each in layer.named_parameters():
            torch.testing.assert_close(grads[key][number], each.grad, **CLOSE)


@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_of_samples_are_a_loop_over_the_samples(data, name):
    layer = make(data, OPTIONS[name], 0)
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 5, N, dtype=torch.float64, generator=draw)
    values = {key: each.detach() for key, each in layer.named_parameters()}
    buffers = dict(layer.named_buffers())
    got = vmap(grad(loss_of(layer)), (None, None, 0, 0))(values, buffers, x, y)
    for number in range(5):
        layer.zero_grad()
        (layer(x[number : number + 1])[0] - y[number]).square().sum().backward()
        for key, each in layer.named_parameters():
            torch.testing.assert_close(got[key][number], each.grad, **CLOSE)


@pytest.mark.parametrize("build", [classifier, Maxout], ids=["classifier", "Maxout"])
def test_models(data, build):
    models = [build(data, 3).double().eval() for _ in range(3)]
    values, buffers = stack_module_state(models)
    x = torch.randn(5, N, dtype=torch.float64)
    got = vmap(lambda *state: functional_call(models[0], state, (x,)))(values, buffers)
    torch.testing.assert_close(got, torch.stack([model(x) for model in models]), **CLOSE)


def test_noise_is_drawn_for_each_model_if_torch_may(data):
    layer = make(data, {"noise": 0.1}, 0)
    values = {key: torch.stack([each.detach()] * 2) for key, each in layer.named_parameters()}
    x = torch.zeros(5, N, dtype=torch.float64)

    def run(values):
        return functional_call(layer, values, (x,))

    for randomness, equal in (("same", True), ("different", False)):
        one, other = vmap(run, randomness=randomness)(values)
        assert one.abs().sum() > 0
        assert torch.equal(one, other) == equal


@pytest.mark.parametrize("step", ["exact", "euler"])
def test_spiking_networks(data, step):
    """The fallback adds up in another order, so that gradients agree to rounding."""
    made = {"tau_synapse": 5.0, "delay": 2.0, "step": step, "dtype": torch.float64}
    models = [LIF(data, init="variance", **made) for _ in range(3)]
    values, buffers = stack_module_state(models)
    draw = torch.Generator().manual_seed(0)
    current = 40 * torch.rand(2, 12, N, dtype=torch.float64, generator=draw)

    def spikes(values, buffers, current):
        return functional_call(models[0], (values, buffers), (current,))[0]

    got = vmap(spikes, (0, 0, None))(values, buffers, current)
    assert 0 < got.mean() < 1
    torch.testing.assert_close(got, torch.stack([model(current)[0] for model in models]))
    single = {key: each[0] for key, each in values.items()}
    grads = vmap(
        grad(lambda values, sample: spikes(values, {}, sample.unsqueeze(0)).sum()), (None, 0)
    )(single, current)
    for number, sample in enumerate(current):
        models[0].zero_grad()
        models[0](sample.unsqueeze(0))[0].sum().backward()
        torch.testing.assert_close(grads["weight"][number], models[0].weight.grad)


def test_an_equilibrium_is_refused_in_one_sentence(data):
    layer = GraphLayer(data, Equilibrium(), activation="tanh")
    with pytest.raises(NotImplementedError, match=r"an Equilibrium .*make the layer with a number"):
        vmap(layer)(torch.randn(3, 5, N))
