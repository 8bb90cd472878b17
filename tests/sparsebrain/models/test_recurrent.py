import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.models import Recurrent, truncated_backward


@pytest.fixture
def model():
    """12 neurons, two loops a step, in float64."""
    torch.manual_seed(0)
    data = graphs.small_world(12, 4, 0.3, self_loops=True, seed=0)
    layer = GraphLayer(data, 2, activation="tanh", inject=True, bias=True)
    return Recurrent(layer, encode=nn.Linear(3, 12), decode=nn.Linear(12, 2)).double()


@pytest.fixture
def sequence():
    """5 sequences of 11 steps, and what is wanted at each."""
    draw = torch.Generator().manual_seed(1)
    return torch.randn(5, 11, 3, generator=draw).double(), torch.randn(
        5, 11, 2, generator=draw
    ).double()


def squared(outputs, wanted):
    return (outputs - wanted).square().sum()


def gradients(model):
    found = {name: each.grad.clone() for name, each in model.named_parameters()}
    model.zero_grad()
    return found


def test_it_is_the_layer_step_by_step(model, sequence):
    x, _ = sequence
    outputs, last = model(x)
    assert outputs.shape == (5, 11, 2)
    state = torch.zeros(5, 12).double()
    for step in range(11):
        _, state = model.layer(model.encode(x[:, step]), state=state)
        torch.testing.assert_close(outputs[:, step], model.decode(state))
    torch.testing.assert_close(last, state)


def test_with_all_synapses_and_one_loop_it_is_torchs_rnn(sequence):
    x, _ = sequence
    torch.manual_seed(0)
    rnn = nn.RNN(3, 12, batch_first=True).double()
    data = graphs.erdos_renyi(12, probability=1, self_loops=True, seed=0)
    layer = GraphLayer(data, activation="tanh", inject=True)
    model = Recurrent(layer, encode=nn.Linear(3, 12)).double()
    source, target = data.edge_index
    with torch.no_grad():
        layer.weight.copy_(rnn.weight_hh_l0[target, source])
        model.encode.weight.copy_(rnn.weight_ih_l0)
        model.encode.bias.copy_(rnn.bias_ih_l0 + rnn.bias_hh_l0)
    state = torch.randn(5, 12).double()
    outputs, last = model(x, state)
    wanted, wanted_last = rnn(x, state.unsqueeze(0))
    torch.testing.assert_close(outputs, wanted)
    torch.testing.assert_close(last, wanted_last[0])
    outputs.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, rnn.weight_hh_l0.grad[target, source])
    torch.testing.assert_close(model.encode.weight.grad, rnn.weight_ih_l0.grad)


def test_a_sequence_may_come_in_pieces_or_alone(model, sequence):
    x, _ = sequence
    outputs, last = model(x)
    first, state = model(x[:, :4])
    second, state = model(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), outputs)
    torch.testing.assert_close(state, last)
    alone, state = model(x[2])
    torch.testing.assert_close(alone, outputs[2])
    torch.testing.assert_close(state, last[2])


@pytest.mark.parametrize("every", [11, 100])
def test_chunks_of_the_whole_length_give_the_whole_gradient(model, sequence, every):
    x, y = sequence
    outputs, last = model(x)
    loss = squared(outputs, y)
    loss.backward()
    whole = gradients(model)
    total, state = truncated_backward(model, x, y, squared, every=every)
    torch.testing.assert_close(gradients(model), whole)
    torch.testing.assert_close(total, loss.detach())
    torch.testing.assert_close(state, last.detach())
    assert not total.requires_grad
    assert not state.requires_grad


@pytest.mark.parametrize("every", [1, 3, 5])
def test_a_truncated_gradient_holds_the_states_between_chunks_fixed(model, sequence, every):
    """States first, all of them; then each chunk alone, from a state that is just a number."""
    x, y = sequence
    states = [torch.zeros(5, 12).double()]
    with torch.no_grad():
        for step in range(11):
            states.append(model(x[:, step : step + 1], states[-1])[1])
    total = 0
    for start in range(0, 11, every):
        stop = start + every
        total = total + squared(model(x[:, start:stop], states[start])[0], y[:, start:stop])
    total.backward()
    wanted = gradients(model)
    found, last = truncated_backward(model, x, y, squared, every=every)
    torch.testing.assert_close(gradients(model), wanted)
    torch.testing.assert_close(found, total.detach())
    torch.testing.assert_close(last, states[-1])


@pytest.mark.parametrize("every", [1, 2, 3, 7])
def test_one_linear_neuron_has_the_gradient_of_the_formula(every):
    """h_t = w h_(t-1) + x_t and L = sum h_t: dh_t/dw = h_(t-1) + w dh_(t-1)/dw, cut to 0."""
    w, x = 0.7, [1.0, -2.0, 0.5, 3.0, 1.5, -1.0, 2.0]
    wanted, h, slope = 0.0, 0.0, 0.0
    for step, value in enumerate(x):
        slope = h + w * (slope if step % every else 0.0)
        h = w * h + value
        wanted += slope
    one = graphs.from_edges([0], [0], num_nodes=1)
    model = Recurrent(GraphLayer(one, inject=True, dtype=torch.float64))
    with torch.no_grad():
        model.layer.weight.fill_(w)
    sequence = torch.tensor(x, dtype=torch.float64).reshape(1, 7, 1)
    truncated_backward(model, sequence, sequence, lambda h, _: h.sum(), every=every)
    assert float(model.layer.weight.grad) == pytest.approx(wanted, rel=1e-12)


def test_gradients_are_added_and_torchs_own_recurrent_modules_may_be_trained(sequence):
    x, y = sequence
    torch.manual_seed(0)
    rnn = nn.RNN(3, 2, batch_first=True).double()
    squared(rnn(x)[0], y).backward()
    whole = gradients(rnn)
    for _ in range(2):
        truncated_backward(rnn, x, y, squared, every=11)
    torch.testing.assert_close(gradients(rnn), {name: 2 * value for name, value in whole.items()})


def test_memory_does_not_grow_with_the_sequence(model):
    """Numbers that autograd keeps at a time, counted as they are saved and let go."""

    class Kept:
        now = most = 0

        def __init__(self, tensor):
            self.tensor = tensor
            Kept.now += tensor.numel()
            Kept.most = max(Kept.most, Kept.now)

        def __del__(self):
            Kept.now -= self.tensor.numel()

    most = []
    for steps in (10, 40):
        Kept.now = Kept.most = 0
        x, y = torch.randn(2, steps, 3).double(), torch.randn(2, steps, 2).double()
        with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
            truncated_backward(model, x, y, squared, every=5)
        assert Kept.now == 0
        most.append(Kept.most)
    assert most[0] == most[1] > 0


def test_layers_that_keep_no_state_are_refused():
    data = graphs.small_world(6, 2, 0, seed=0)
    with pytest.raises(TypeError, match="layer must be a GraphLayer, got Linear"):
        Recurrent(nn.Linear(6, 6))
    with pytest.raises(ValueError, match="inject=True"):
        Recurrent(GraphLayer(data))
    with pytest.raises(ValueError, match="layer must have a number of loops"):
        Recurrent(GraphLayer(data, Equilibrium()))


def test_sequences_that_are_none_are_refused(model, sequence):
    x, y = sequence
    for wrong in (x[0, 0], x[:, :0]):
        with pytest.raises(ValueError, match=r"x must be .*\[.*T, .*got"):
            model(wrong)
    with pytest.raises(ValueError, match="state needs inject=True and the shape of x"):
        model(x, torch.zeros(4, 12).double())
    for wrong in (y[:, :5], y[0], y[:, 0]):
        with pytest.raises(ValueError, match="y must have one entry for each step of x"):
            truncated_backward(model, x, wrong, squared, every=3)
    with pytest.raises(ValueError, match="every must be an integer >= 1"):
        truncated_backward(model, x, y, squared, every=0)


@pytest.fixture
def calls(monkeypatch):
    """The calls of layers so far: none while all steps run at once."""
    made = []
    forward = GraphLayer.forward

    def counted(*given, **options):
        made.append(given)
        return forward(*given, **options)

    monkeypatch.setattr(GraphLayer, "forward", counted)
    return made


def typed():
    """20 neurons of two populations, with signs, types and strengths."""
    data = graphs.small_world(20, 4, 0.5, self_loops=True, seed=0)
    draw = torch.Generator().manual_seed(0)
    data.edge_type = torch.randint(3, (data.num_edges,), generator=draw)
    data.node_type = torch.arange(20) % 2
    data.edge_weight = torch.rand(data.num_edges, generator=draw)
    data.node_sign = torch.tensor([1.0, -1.0, 0.0, 1.0]).repeat(5)
    return data


def both_ways(layer, x, state):
    """Outputs, last state and all gradients: of all steps at once, and one by one for a hook."""
    found = []
    for hooked in (False, True):
        model = Recurrent(copy.deepcopy(layer), decode=nn.Linear(20, 2)).to(layer.weight.dtype)
        with torch.no_grad():
            for parameter in model.decode.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
        if hooked:
            model.layer.register_forward_hook(lambda *given: None)
        given = [x.clone().requires_grad_(), state.clone().requires_grad_()]
        torch.manual_seed(3)
        outputs, last = model(*given)
        (outputs.square().sum() + last.sum()).backward()
        leaves = [*given, *model.parameters()]
        found.append([outputs.detach(), last.detach(), *(each.grad for each in leaves)])
    return found


FUSED = {
    "plain": {},
    "bias": {"bias": True},
    "populations": {"bias": "population", "threshold": "population", "leak": "population"},
    "neurons": {"threshold": "neuron", "leak": "neuron"},
    "numbers": {"threshold": 0.1, "leak": 0.3},
    "loops": {"loops": 3, "leak": "neuron", "activation": "gelu"},
    "checkpoint": {"loops": 2, "checkpoint": True},
    "more loops than steps": {"loops": 12, "leak": 0.5},
    "types": {"weight_sharing": "type"},
    "projections": {"weight_sharing": "projection"},
    "gains": {"gain": "source", "dale": True},
    "signs": {"dale": True},
    "noise while not training": {"noise": 0.1},
} | {name: {"activation": None if name == "none" else name, "bias": True} for name in ACTIVATIONS}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", FUSED.values(), ids=FUSED)
def test_all_steps_at_once_equal_the_layer_step_by_step(options, dtype, calls):
    torch.manual_seed(0)
    options = {"loops": 1, "activation": "tanh", "inject": True, "dtype": dtype} | options
    layer = GraphLayer(typed(), **options)
    if "noise" in options:
        layer.eval()
    x, state = torch.randn(3, 9, 20, dtype=dtype), torch.randn(3, 20, dtype=dtype)
    fused, stepped = both_ways(layer, x, state)
    assert len(calls) == 9
    rounding = 1e-5 if dtype is torch.float32 else 1e-13
    for one, two in zip(fused, stepped, strict=True):
        assert float((one - two).abs().max()) <= rounding * float(two.abs().max())


STEPPED = {
    "noise": {"noise": 0.1},
    "a function": {"activation": torch.sin},
    "another aggregation": {"aggr": "max"},
    "checkpoints within a step": {"loops": 12, "checkpoint": True},
}


@pytest.mark.parametrize("options", STEPPED.values(), ids=STEPPED)
def test_what_one_kernel_does_not_compute_runs_step_by_step(options, calls):
    torch.manual_seed(0)
    layer = GraphLayer(typed(), **{"loops": 2, "activation": "tanh", "inject": True} | options)
    alone, hooked = both_ways(layer, torch.randn(3, 9, 20), torch.randn(3, 20))
    assert len(calls) == 18
    torch.testing.assert_close(alone, hooked, rtol=0, atol=0)


class Dropping(GraphLayer):
    """Draws which synapses a call has."""

    def weight_per_synapse(self):
        return nn.functional.dropout(super().weight_per_synapse())


class Counting(GraphLayer):
    """Sees every call."""

    def forward(self, *given, **options):
        self.count = getattr(self, "count", 0) + 1
        return super().forward(*given, **options)


def test_whoever_sees_single_steps_still_sees_them(calls):
    x = torch.randn(2, 5, 20)
    options = {"activation": "tanh", "inject": True}
    for kind in (Dropping, Counting):
        Recurrent(kind(typed(), **options))(x)
        assert len(calls) == 5
        calls.clear()
    layer = GraphLayer(typed(), **options)
    model = Recurrent(layer)
    seen = []
    with layer.hooked(lambda recurrence: seen.append(recurrence) or recurrence):
        model(x)
    assert len(seen) == 5
    for register in (
        layer.register_forward_hook,
        layer.register_forward_pre_hook,
        layer.register_full_backward_hook,
        layer.register_full_backward_pre_hook,
        layer.register_propagate_forward_hook,
        nn.modules.module.register_module_forward_hook,
    ):
        calls.clear()
        handle = register(lambda *given: None)
        model(x)
        handle.remove()
        assert len(calls) == 5, register
        calls.clear()
        model(x)
        assert not calls
    parametrize.register_parametrization(layer, "weight", nn.Dropout(0.5))
    model(x)
    assert len(calls) == 5


def test_a_layer_that_renumbers_its_neurons(calls):
    torch.manual_seed(0)
    data = graphs.coordinate_random(9000, (100.0, 90.0), 1.5, seed=0)
    layer = GraphLayer(data, 4, activation="tanh", inject=True, bias=True, leak="neuron")
    with torch.no_grad():
        layer.bias.normal_()
        layer.leak = torch.linspace(0.2, 1, 9000)
    found = []
    for hooked in (False, True):
        if hooked:
            layer.register_forward_hook(lambda *given: None)
        model = Recurrent(layer)
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(2, 3, 9000, generator=generator).requires_grad_()
        outputs, last = model(x)
        (outputs.square().sum() + last.sum()).backward()
        found.append([outputs.detach(), last.detach(), x.grad, *gradients(model).values()])
    assert len(calls) == 3
    torch.testing.assert_close(*found)


def test_transforms_of_torch_see_the_steps(model, sequence):
    x, _ = sequence
    outputs, last = model(x)
    named = dict(model.named_parameters())

    def call(named, x):
        return torch.func.functional_call(model, named, x)

    for found in (torch.func.vmap(model)(x), call(named, x)):
        torch.testing.assert_close(found, (outputs, last))
    compiled, _ = torch.compile(model, backend="eager")(x[:, :2])
    torch.testing.assert_close(compiled, outputs[:, :2])
    slopes = torch.func.grad(lambda named: call(named, x)[0].sum())(named)
    wanted = torch.autograd.grad(outputs.sum(), list(named.values()))
    torch.testing.assert_close(list(slopes.values()), list(wanted))
    plain, transformed = (
        jacobian(lambda x: model(x)[0].sum((0, 2)))
        for jacobian in (
            lambda function: torch.autograd.functional.jacobian(function, x),
            lambda function: torch.func.jacrev(function)(x),
        )
    )
    torch.testing.assert_close(plain, transformed)


def test_second_derivatives(model):
    x = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    state = torch.randn(2, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(model, (x, state))


def test_autocast_keeps_the_state_in_full_width(calls):
    torch.manual_seed(0)
    layer = GraphLayer(typed(), activation="tanh", inject=True)
    model = Recurrent(layer, encode=nn.Linear(3, 20))
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = model(torch.randn(2, 4, 3))
    assert outputs.dtype is state.dtype is torch.float32
    assert len(calls) == 4


def test_an_empty_batch_and_no_neurons():
    model = Recurrent(GraphLayer(typed(), activation="tanh", inject=True))
    outputs, state = model(torch.zeros(0, 4, 20, requires_grad=True))
    assert outputs.shape == (0, 4, 20)
    assert state.shape == (0, 20)
    outputs.sum().backward()
    assert not model.layer.weight.grad.any()
    none = Recurrent(GraphLayer(graphs.from_edges([], [], num_nodes=0), inject=True))
    outputs, state = none(torch.zeros(3, 4, 0))
    assert outputs.shape == (3, 4, 0)
    assert state.shape == (3, 0)
