"""Maxout against the largest of dense products."""

import copy
import pickle

import pytest
import torch
from torch_geometric.loader import DataLoader

import graphs
from sparsebrain import Equilibrium, GraphLayer, Maxout

N = 40


@pytest.fixture
def data():
    made = graphs.coordinate_random(N, (4, 3), 1.5, self_loops=True, seed=1)
    made.node_sign = torch.where(torch.arange(N) % 3 == 0, -1.0, 1.0)
    made.edge_type = torch.arange(made.num_edges) % 5
    return made


def dense(piece):
    source, target = piece.edge_index
    matrix = piece.weight.new_zeros(N, N)
    return matrix.index_put((target, source), piece.weight_per_synapse(), accumulate=True)


def by_hand(layer, x):
    state = torch.zeros_like(x) if layer.inject else x
    for _ in range(layer.loops):
        sums = [
            state @ dense(piece).t() + (0 if piece.bias is None else piece.bias)
            for piece in layer.pieces
        ]
        state = torch.stack(sums).amax(0) + (x if layer.inject else 0)
    return state


def gradients(layer, y, x):
    return torch.autograd.grad(y.square().sum(), [*layer.parameters(), x])


OPTIONS = {
    "as defined": {},
    "three pieces": {"pieces": 3, "bias": False},
    "injected": {"inject": True},
    "Dale's law": {"dale": True},
    "shared": {"weight_sharing": "type"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("loops", [1, 4])
def test_it_is_the_largest_of_dense_products(data, options, loops):
    torch.manual_seed(0)
    layer = Maxout(data, loops, dtype=torch.float64, **options)
    for piece in layer.pieces:
        if piece.bias is not None:
            torch.nn.init.normal_(piece.bias)
    x = torch.randn(2, 3, N, dtype=torch.float64, requires_grad=True)
    expected = by_hand(layer, x)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(gradients(layer, layer(x), x), gradients(layer, expected, x))

    batch = next(iter(DataLoader([data] * 6, batch_size=6)))
    torch.testing.assert_close(layer(x.reshape(6 * N, 1), batch.edge_index).view(2, 3, N), layer(x))


def test_gradients_are_those_of_finite_differences():
    layer = Maxout(graphs.grid_local((2, 3), 1), 3, dtype=torch.float64)
    names = dict(layer.named_parameters())

    def call(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    given = (torch.randn(2, 6, dtype=torch.float64), *names.values())
    assert torch.autograd.gradcheck(call, [each.detach().requires_grad_() for each in given])


def test_pieces_that_are_each_others_negative_are_absolute_values(data):
    layer = Maxout(data, 1, bias=False)
    linear = GraphLayer(data, 1)
    with torch.no_grad():
        layer.pieces[0].weight.copy_(linear.weight)
        layer.pieces[1].weight.copy_(-linear.weight)
    x = torch.randn(5, N)
    torch.testing.assert_close(layer(x), linear(x).abs())


def test_states_and_sequences(data):
    torch.manual_seed(0)
    layer = Maxout(data, 4, inject=True)
    x = torch.randn(5, N)
    output, states = layer(x, return_states=True)
    assert states.shape == (5, 5, N)
    assert torch.equal(states[-1], output)
    half = copy.deepcopy(layer)
    half.loops = 2
    _, state = half(x, state=torch.zeros_like(x))
    torch.testing.assert_close(half(x, state=state)[0], output)


def test_copies_and_state_dicts(data):
    layer, x = Maxout(data, 3, dale=True), torch.randn(5, N)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x), layer(x))
    other = Maxout(data, 3, dale=True)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))
    with pytest.raises(RuntimeError, match="other synapses"):
        Maxout(graphs.grid_local((5, 8), 1), 3).load_state_dict(Maxout(data, 3).state_dict())
    double = copy.deepcopy(layer).double()
    torch.testing.assert_close(double(x.double()).float(), layer(x))


@pytest.mark.parametrize("seed", range(5))
def test_twenty_loops_keep_the_power(seed):
    torch.manual_seed(seed)
    layer = Maxout(graphs.grid_local((28, 28), 1), 20)
    x = torch.randn(256, 784)
    with torch.no_grad():
        assert 0.3 < float(layer(x).square().mean()) < 3


def test_weights_are_drawn_anew():
    layer = Maxout(graphs.grid_local((28, 28), 1), 20)
    before = layer.pieces[0].weight.detach().clone()
    layer.reset_parameters(torch.Generator().manual_seed(1))
    assert not torch.equal(layer.pieces[0].weight, before)
    assert layer.pieces[0].weight.detach().std() == pytest.approx(float(before.std()), rel=0.2)
    assert layer.pieces[0].loops == 1


def test_bad_input_is_refused(data):
    with pytest.raises(ValueError, match="loops of Maxout cannot be an Equilibrium.*loops=10"):
        Maxout(data, Equilibrium())
    with pytest.raises(ValueError, match="pieces must be an integer >= 2, got 1"):
        Maxout(data, pieces=1)
    with pytest.raises(TypeError, match="inject must be True or False"):
        Maxout(data, inject=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'activation'"):
        Maxout(data, activation="tanh")
    with pytest.raises(ValueError, match=r"state needs inject=True"):
        Maxout(data)(torch.ones(2, N), state=torch.ones(2, N))
    with pytest.raises(ValueError, match=r"x must be .* of shape \[..., 40\], got \[2, 3\]"):
        Maxout(data)(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"use sparsebrain.Maxout\(connectome, loops\)"):
        GraphLayer(data, activation="maxout")


def test_it_tells_what_it_is(data):
    assert repr(Maxout(data, 3, inject=True)).startswith("Maxout(\n  loops=3, inject=True\n")


def test_a_thousand_loops_are_scaled_too():
    """Without the scale a loop multiplies the power, and so many overflow."""
    torch.manual_seed(0)
    layer = Maxout(graphs.grid_local((10, 10), 1), 1000, pieces=4)
    with torch.no_grad():
        _, states = layer(torch.randn(64, 100), return_states=True)
    assert bool(torch.isfinite(states).all())
    assert 1e-2 < float(states[-1].square().mean()) < 1e2


def test_a_state_that_is_no_tensor(data):
    with pytest.raises(TypeError, match=r"state must be a float32 tensor .*, got 3 of type int"):
        Maxout(data, inject=True)(torch.randn(5, N), state=3)
