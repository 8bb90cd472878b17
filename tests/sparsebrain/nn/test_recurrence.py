"""The description of a call's loops: what it says, that it can be run, seen and replaced."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from torch_geometric.loader import DataLoader

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.kernels import available
from sparsebrain.nn.recurrence import run

N = 12
KINDS = {
    "fused": {},
    "a function": {"activation": torch.sin},
    "driven": {"inject": True, "bias": True, "leak": 0.5, "activation": "tanh"},
    "messages": {"aggr": "max", "leak": 0.5, "bias": True},
    "an equilibrium": {"loops": Equilibrium(), "activation": "tanh", "leak": 0.5},
    "an equilibrium of messages": {"loops": Equilibrium(), "aggr": "mean"},
}


@pytest.fixture
def data():
    return graphs.small_world(N, 4, 0.3, seed=0)


def make(data, **options):
    torch.manual_seed(0)
    return GraphLayer(data, **{"loops": 3, **options})


def calls(data):
    batch = next(iter(DataLoader([data] * 2, batch_size=2)))
    return (torch.randn(2, 3, N),), (torch.randn(2 * N, 3), batch.edge_index)


@pytest.mark.parametrize("kind", KINDS)
def test_to_run_the_description_is_to_call_the_layer(data, kind):
    layer = make(data, **KINDS[kind])
    for call in calls(data):
        (found,) = run(layer.describe(*call))
        assert torch.equal(found, layer(*call))


def test_it_says_what_the_call_is(data):
    data.edge_type = torch.arange(data.num_edges) % 3
    layer = make(
        data,
        activation="tanh",
        threshold=0.25,
        bias=True,
        leak=0.5,
        inject=True,
        weight_sharing="type",
        backend="reference",
    )
    x, state = torch.randn(2, N), torch.randn(2, N)
    told = layer.describe(x, state=state, return_states=True)
    assert told.drive is x
    assert told.start is state
    assert (told.loops, told.activation, told.backend) == (3, "tanh", "reference")
    assert torch.equal(told.weight, layer.weight[data.edge_type])
    assert torch.equal(told.bias, torch.full((N,), -0.25))
    assert torch.equal(told.leak, torch.full((N,), 0.5))
    assert told.keep
    assert told.noise is told.exchange is told.edge_index is None
    with pytest.raises(FrozenInstanceError):
        told.loops = 4
    plain = make(data).describe(x)
    assert plain.start is x
    assert plain.drive is plain.bias is plain.leak is None


def test_what_a_layer_computes_with_is_public(data):
    data.node_type = torch.arange(N) % 2
    layer = make(data, bias="population", leak="population")
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, 2.0]))
    layer.leak = torch.tensor([0.25, 0.5])
    assert layer.bias_per_neuron().tolist() == [1.0, 2.0] * (N // 2)
    torch.testing.assert_close(layer.leak_per_neuron(), torch.tensor([0.25, 0.5] * (N // 2)))
    assert layer.weight_index is None
    assert layer.weight_per_synapse() is layer.weight
    layer.assign_weight(torch.ones(data.num_edges))
    assert torch.equal(layer.weight, torch.ones(data.num_edges))


def test_a_hook_replaces_the_exchange_in_every_call(data):
    """Sums of -x for W x: after three loops -x, in columns and in the rows of a batch."""
    layer, seen = make(data), []

    def negate(recurrence):
        def exchange(state):
            seen.append(tuple(state.shape))
            return -state

        return replace(recurrence, exchange=exchange)

    for call in calls(data):
        with layer.hooked(negate):
            assert torch.equal(layer(*call), -call[0])
        assert not torch.equal(layer(*call), -call[0])
    assert seen == [(N, 6)] * 3 + [(2 * N, 3)] * 3


def test_a_hook_of_an_equilibrium(data):
    """z = -z / 2 + x settles at x / 1.5, and the gradient of it is 1 / 1.5."""
    layer = make(data, loops=Equilibrium(tol=1e-6), dtype=torch.float64)
    for given, *edges in calls(data):
        x = given.double().requires_grad_()
        with layer.hooked(lambda loops: replace(loops, exchange=lambda state: -state / 2)):
            z = layer(x, *edges)
        torch.testing.assert_close(z, x / 1.5, rtol=1e-5, atol=1e-6)
        (grad,) = torch.autograd.grad(z.sum(), x)
        torch.testing.assert_close(grad, torch.full_like(x, 1 / 1.5), rtol=1e-5, atol=1e-6)


def test_a_layer_has_one_hook_whatever_the_threads(data):
    layer = make(data)

    def look(recurrence):
        return recurrence

    def hook_again():
        with layer.hooked(look):
            pass

    with layer.hooked(look), ThreadPoolExecutor(1) as pool:
        for attempt in (hook_again, lambda: pool.submit(hook_again).result()):
            with pytest.raises(RuntimeError, match=r"GraphLayer.* already have a hook"):
                attempt()
    hook_again()


def test_a_hook_goes_whatever_happens(data):
    layer, x = make(data), torch.randn(2, N)

    def fail(recurrence):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), layer.hooked(fail):
        layer(x)
    assert layer(x).shape == x.shape


def test_what_a_hook_returns_is_checked(data):
    layer, x = make(data), torch.randn(2, N)
    with layer.hooked(lambda loops: None), pytest.raises(TypeError, match="got NoneType; return"):
        layer(x)

    def double(loops):
        return replace(loops, weight=2 * loops.weight)

    linear = make(data, loops=1)
    with linear.hooked(double):
        doubled = linear(x)
    torch.testing.assert_close(doubled, 2 * linear(x))
    messages = make(data, aggr="max")
    with messages.hooked(double), pytest.raises(ValueError, match="both weight and exch"):
        messages(x)


def test_copies_have_no_hook(data):
    """A shallow copy is the same layer with other options, so that its calls are seen, too."""
    layer, x, seen = make(data), torch.randn(2, N), []

    def look(recurrence):
        seen.append(recurrence.loops)
        return recurrence

    shallow = copy.copy(layer)
    shallow.loops = 1
    with layer.hooked(look):
        copies = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
        shallow(x)
        for each in copies:
            each(x)
    assert seen == [1]
    assert torch.equal(copies[0](x), layer(x))


@pytest.mark.parametrize("shape", [(N,), (1, N), (3, N), (2, 3, N)])
@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("backend", [name for name, reason in available().items() if not reason])
def test_a_change_of_the_output_in_place_changes_no_gradient(data, backend, checkpoint, shape):
    """The backward pass reads states of its own, also where the output could be one of them."""
    layer = make(data, backend=backend, checkpoint=checkpoint, activation="tanh")
    x = torch.randn(shape, requires_grad=True)
    for return_states in (False, True):

        def gradients(change, return_states=return_states):
            y = layer(x, return_states=return_states)
            y = y[0] if return_states else y
            loss = (y * 1.0).sum()
            if change:
                y.mul_(3)
            return torch.autograd.grad(loss, (x, layer.weight))

        assert all(map(torch.equal, gradients(False), gradients(True)))
