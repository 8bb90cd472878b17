import pytest
import torch
from torch import nn

import graphs
from sparsebrain import Equilibrium, GraphLayer
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
