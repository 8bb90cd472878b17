"""Calls that keep what they need from the one before, and read tensors where they lie."""

import pytest
import torch
from torch import nn

import graphs
from sparsebrain import GraphLayer
from sparsebrain.kernels import available

N = 12
BACKENDS = [name for name, reason in available().items() if not reason]


@pytest.fixture
def data():
    return graphs.small_world(N, 4, 0.3, seed=0)


def make(data, **options):
    torch.manual_seed(0)
    return GraphLayer(data, **{"loops": 3, "activation": "tanh", **options})


def dense(layer, x):
    """Three loops of tanh by the matrix itself."""
    source, target = layer.edge_index
    matrix = layer.weight.new_zeros(N, N).index_put((target, source), layer.weight)
    bias = 0 if layer.bias is None else layer.bias
    for _ in range(layer.loops):
        x = (x @ matrix.t() + bias).tanh()
    return x


LAYOUTS = {
    "contiguous": lambda x: x.clone(),
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "every second": lambda x: torch.stack([x, -x], -1)[..., 0],
    "expanded": lambda x: x[:1].expand(x.shape),
}


@pytest.mark.parametrize("shape", [(N,), (1, N), (3, N), (2, 3, N), (0, N)], ids=str)
@pytest.mark.parametrize("of_input", LAYOUTS)
@pytest.mark.parametrize("of_gradient", LAYOUTS)
@pytest.mark.parametrize("backend", [name for name in BACKENDS if name in ("native", "torch")])
def test_inputs_and_gradients_of_any_layout(data, backend, of_input, of_gradient, shape):
    layer = make(data, backend=backend, dtype=torch.float64, bias=True)
    x = LAYOUTS[of_input](torch.randn(shape, dtype=torch.float64)).requires_grad_()
    grad = LAYOUTS[of_gradient](torch.randn(shape, dtype=torch.float64))
    learned = (x, layer.weight, layer.bias)
    y, expected = layer(x), dense(layer, x)
    assert y.is_contiguous()
    torch.testing.assert_close(y, expected)
    for one, other in zip(
        torch.autograd.grad(y, learned, grad),
        torch.autograd.grad(expected, learned, grad),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def replace_weight(layer):
    layer.weight = nn.Parameter(layer.weight.detach() * 2)


def write_data(layer):
    layer.weight.data = layer.weight.data * 3


def write_slice(layer):
    layer.weight.data[2] = 1.5


def change_loops(layer):
    layer.loops = 4


def widen(layer):
    layer.double()


def shift(layer):
    nn.init.constant_(layer.bias, 0.5)


def replace_bias(layer):
    layer.bias = nn.Parameter(torch.full((N,), -0.5))


CHANGES = (replace_weight, write_data, write_slice, change_loops, widen, shift, replace_bias)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("learns", [False, True])
def test_every_change_between_two_calls_is_noticed(data, change, learns):
    layer, x = make(data, bias=True), torch.randn(2, N)
    with torch.set_grad_enabled(learns):
        before = layer(x)
        change(layer)
        x = x.to(layer.weight.dtype)
        after = layer(x)
    torch.testing.assert_close(after, dense(layer, x))
    assert not torch.allclose(after.to(before.dtype), before) or change is widen


def test_messages_that_are_replaced_are_noticed(data, monkeypatch):
    class Louder(GraphLayer):
        pass

    torch.manual_seed(0)
    layer, x = Louder(data, loops=1), torch.randn(2, N)
    plain = layer(x)

    def louder(self, x_j, weight):
        return 2 * weight.unsqueeze(-1) * x_j

    with monkeypatch.context() as patched:
        patched.setattr(Louder, "message", louder)
        torch.testing.assert_close(layer(x), 2 * plain)
    handle = layer.register_aggregate_forward_hook(lambda module, given, out: 3 * out)
    torch.testing.assert_close(layer(x), 3 * plain)
    handle.remove()
    assert torch.equal(layer(x), plain)
    layer.message = lambda x_j, weight: -weight.unsqueeze(-1) * x_j
    assert not layer.has_plain_messages
    del layer.message
    assert layer.has_plain_messages


def test_batches_dtypes_and_threads_take_turns(data):
    """A structure keeps what its last call prepared, and uses it for no other."""
    layer, before = make(data), torch.get_num_threads()
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            for batch in (1, 70, 1):
                for dtype in (torch.float32, torch.float64):
                    x = torch.randn(batch, N, dtype=dtype)
                    torch.testing.assert_close(layer.to(dtype)(x), dense(layer, x))
    finally:
        torch.set_num_threads(before)
