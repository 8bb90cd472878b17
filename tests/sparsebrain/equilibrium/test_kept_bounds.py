"""A bound is computed again after any write to the weights, and only then."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.equilibrium import bounds
from sparsebrain.equilibrium.bounds import Contraction

KINDS = ["norm", "perron"]


@pytest.fixture
def data():
    made = graphs.small_world(60, 8, 0.3, self_loops=True, seed=0)
    made.node_sign = torch.where(torch.arange(60) % 4 == 0, -1.0, 1.0)
    made.edge_weight = 1.0 + (torch.arange(made.num_edges) % 3)
    made.edge_type = torch.arange(made.num_edges) % 50
    return made


@pytest.fixture
def computed(monkeypatch):
    """The computations of a bound, one entry each."""
    calls = []

    def counted(compute):
        def call(*args, **kwargs):
            calls.append(args)
            return compute(*args, **kwargs)

        return call

    for name in ("norm_bound", "perron_bound"):
        monkeypatch.setattr(bounds, name, counted(getattr(bounds, name)))
    return calls


def make(data, kind, **options):
    torch.manual_seed(0)
    equilibrium = Equilibrium(constraint=kind, bound=0.9, tol=1e-6)
    return GraphLayer(data, equilibrium, activation="tanh", **options)


def free(layer):
    return layer.parametrizations.weight.original


def anew(layer):
    """The weight, by constraints that have kept nothing."""
    weight = free(layer).detach()
    for step in layer.parametrizations.weight:
        forgets = isinstance(step, Contraction)
        fresh = Contraction(step.structure, step.kind, step.most, step.types) if forgets else step
        weight = fresh(weight)
    return weight


def stepped(optimizer):
    """One step of an optimizer, without a call of the layer, which would see the change."""

    def write(layer):
        free(layer).grad = torch.full_like(free(layer), 3.0)
        optimizer(layer.parameters()).step()
        free(layer).grad = None

    return write


def set_storage(layer):
    with torch.no_grad():
        free(layer).set_(free(layer).detach() * 30)


def copied(layer):
    with torch.no_grad():
        free(layer).copy_(free(layer) * 30)


def in_numpy(layer):
    values = free(layer).detach().numpy()
    values *= 30


def loaded(layer):
    layer.load_state_dict(
        {name: 30 * value for name, value in layer.state_dict().items() if name != "_extra_state"},
        strict=False,
    )


def assigned(layer):
    state = {
        name: 30 * value for name, value in layer.state_dict().items() if name != "_extra_state"
    }
    layer.load_state_dict(state, strict=False, assign=True)


def in_vectors(layer):
    vector_to_parameters(30 * parameters_to_vector(layer.parameters()), layer.parameters())


def another_parameter(layer):
    layer.parametrizations.weight.original = torch.nn.Parameter(30 * free(layer).detach())


WRITES = {
    "data.mul_": lambda layer: free(layer).data.mul_(30),
    "one value": lambda layer: free(layer).data[7:8].fill_(30),
    "data =": lambda layer: setattr(free(layer), "data", free(layer).data * 30),
    "set_": set_storage,
    "copy_": copied,
    "numpy": in_numpy,
    "load_state_dict": loaded,
    "load_state_dict, assign": assigned,
    "vector_to_parameters": in_vectors,
    "another parameter": another_parameter,
    "reset_parameters": lambda layer: layer.reset_parameters(),
    "layer.weight =": lambda layer: setattr(layer, "weight", layer.weight.detach() / 2),
    "SGD": stepped(lambda parameters: torch.optim.SGD(parameters, 1.0, foreach=False)),
    "SGD, foreach": stepped(lambda parameters: torch.optim.SGD(parameters, 1.0, foreach=True)),
    "SGD, fused": stepped(lambda parameters: torch.optim.SGD(parameters, 1.0, fused=True)),
    "Adam, foreach": stepped(lambda parameters: torch.optim.Adam(parameters, 1.0, foreach=True)),
    "Adam, fused": stepped(lambda parameters: torch.optim.Adam(parameters, 1.0, fused=True)),
    "AdamW, fused": stepped(lambda parameters: torch.optim.AdamW(parameters, 1.0, fused=True)),
}
OPTIONS = {
    "plain": {},
    "dale": {"dale": True},
    "gain": {"gain": "source", "init": "edge_weight"},
    "shared": {"weight_sharing": "type"},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_is_noticed(data, kind, write, options):
    layer = make(data, kind, **OPTIONS[options])
    free(layer).data.mul_(0.5)
    with torch.no_grad():
        before = layer.weight.clone()
        assert torch.equal(before, anew(layer))
    WRITES[write](layer)
    with torch.no_grad():
        assert not torch.equal(layer.weight, before)
        assert torch.equal(layer.weight, anew(layer))
    assert torch.equal(layer.weight.detach(), anew(layer))


@pytest.mark.parametrize("kind", KINDS)
def test_unchanged_weights_are_bounded_once(data, kind, computed):
    layer = make(data, kind)
    x = torch.randn(4, 60)
    with torch.no_grad():
        expected = layer(x)
        computed.clear()
        for _ in range(3):
            assert torch.equal(layer(x), expected)
        with torch.inference_mode():
            assert torch.equal(layer(x), expected)
        assert computed == []
        free(layer).data.mul_(30)
        layer(x)
        layer(x)
    assert len(computed) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_those_of_a_new_layer(data, kind, dtype):
    """Also after calls without gradients, and after backward passes with the same weights."""
    layer, other = (make(data, kind, dtype=dtype) for _ in range(2))
    for each in (layer, other):
        free(each).data.mul_(30)
    x = torch.randn(4, 60, dtype=dtype)
    (expected,) = torch.autograd.grad(other(x).square().sum(), free(other))
    with torch.inference_mode():
        layer(x)
    for _ in range(2):
        (found,) = torch.autograd.grad(layer(x).square().sum(), free(layer))
        assert torch.equal(found, expected)
        with torch.no_grad():
            assert not layer.weight.requires_grad


@pytest.mark.parametrize("other", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_bounded_by_itself(data, kind, other):
    layer = make(data, kind)
    layer(torch.randn(2, 60))
    twin = other(layer)
    before = layer.weight.detach().clone()
    free(twin).data.mul_(30)
    assert torch.equal(twin.weight.detach(), anew(twin))
    assert torch.equal(layer.weight.detach(), before)
    assert len(pickle.dumps(layer)) < len(pickle.dumps(make(data, kind))) + 2000


@pytest.mark.parametrize("kind", KINDS)
def test_another_dtype_is_bounded_anew(data, kind):
    layer = make(data, kind)
    free(layer).data.mul_(30)
    layer(torch.randn(2, 60))
    assert torch.equal(layer.double().weight.detach(), anew(layer))
    assert torch.equal(layer.float().weight.detach(), anew(layer))


def test_weights_that_are_not_numbers_are_never_taken_for_others(data):
    layer = make(data, "norm")
    for wrong in (torch.nan, torch.inf, -torch.inf):
        free(layer).data[3] = wrong
        assert not bool(torch.isfinite(layer.weight).all())
    layer.reset_parameters()
    assert bool(torch.isfinite(layer.weight).all())


def test_threads_share_a_bound_of_their_weights(data):
    layer = make(data, "norm")
    free(layer).data.mul_(30)
    expected = anew(layer)
    with ThreadPoolExecutor(4) as pool:
        for weight in pool.map(lambda _: layer.weight.detach(), range(20)):
            assert torch.equal(weight, expected)
        # Each thread bounds weights of its own by one and the same constraint.
        constraint = layer.parametrizations.weight[0]
        own = [free(layer).detach() * scale for scale in range(1, 5)] * 5
        for weight in pool.map(constraint, own):
            torch.testing.assert_close(weight, expected)
