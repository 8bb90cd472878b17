"""Neurons that join their messages otherwise than by a sum, against matrices in float64."""

import pytest
import torch
import torch_geometric.typing
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn.aggr import PowerMeanAggregation, SoftmaxAggregation

from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.kernels.noise import CounterNoise

N, B, LOOPS = 40, 5, 3
SCATTER = torch_geometric.typing.WITH_TORCH_SCATTER


def moments(messages, there):
    """Mean and variance over the synapses of each neuron; a neuron without any has zeros."""
    count = there.sum(1).clamp(min=1)
    mean = messages.sum(1) / count
    return mean, messages.square().sum(1) / count - mean.square()


def deviation(messages, there):
    """PyG takes what is hardly above zero for zero, whose root has no derivative."""
    root = moments(messages, there)[1].clamp(min=1e-5).sqrt()
    return root.masked_fill(root <= 1e-5**0.5, 0)


def largest(messages, there):
    values = messages.masked_fill(~there, -torch.inf).amax(1)
    return torch.where(there.any(1), values, 0)


def median(messages, there):
    """The lower one of two in the middle."""
    middle = ((there.sum(1) - 1) // 2).clamp(min=0)
    ordered = messages.masked_fill(~there, torch.inf).sort(1).values
    return torch.where(there.any(1), ordered.gather(1, middle.unsqueeze(1)).squeeze(1), 0)


def softmax(messages, there, t=1.0):
    share = (t * messages).exp().masked_fill(~there, 0)
    return (share * messages).sum(1) / share.sum(1).clamp(min=1e-300)


def power_mean(messages, there, p):
    """Clamped as PyG does it by default."""
    mean, _ = moments((messages.clamp(1e-4, 100) ** p).masked_fill(~there, 0), there)
    return mean.clamp(1e-4, 100) ** (1 / p)


#: Of messages [targets, sources, B], zero where no synapse is, and a mask of those that are.
BY_HAND = {
    "sum": lambda messages, there: messages.sum(1),
    "mean": lambda messages, there: moments(messages, there)[0],
    "var": lambda messages, there: moments(messages, there)[1],
    "std": deviation,
    "max": largest,
    "min": lambda messages, there: -largest(-messages, there),
    "mul": lambda messages, there: messages.masked_fill(~there, 1).prod(1),
    "median": median,
    "softmax": softmax,
    "powermean": lambda messages, there: moments(messages, there)[0],
}


def by_hand(layer, x, function, activation=torch.tanh):
    """The loops of a layer whose neurons join messages by a function of all."""
    source, target = layer.edge_index
    there = torch.zeros(N, N, dtype=torch.bool).index_put((target, source), torch.tensor(True))
    matrix = layer.weight.new_zeros(N, N).index_put((target, source), layer.weight)
    there, state = there.unsqueeze(2).expand(N, N, len(x)), x.t()
    for _ in range(layer.loops):
        joined = function(matrix.unsqueeze(2) * state.unsqueeze(0), there)
        state = activation(joined + layer.bias.unsqueeze(1))
    return state.t()


@pytest.fixture(params=[False, True], ids=["PyG's own", "torch-scatter"])
def scatter(request, monkeypatch):
    if request.param and not SCATTER:
        pytest.skip("torch-scatter is not installed")
    monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", request.param)


@pytest.fixture
def data(random_graph):
    """One neuron hears nothing."""
    random_graph.edge_index = random_graph.edge_index[:, random_graph.edge_index[1] != 7]
    return random_graph


def gradients(layer, y, x):
    return torch.autograd.grad(y.square().sum(), [layer.weight, layer.bias, x])


@pytest.mark.usefixtures("scatter")
@pytest.mark.parametrize("name", BY_HAND)
def test_every_aggregation_is_what_it_says(data, name):
    torch.manual_seed(0)
    layer = GraphLayer(data, LOOPS, activation="tanh", bias=True, aggr=name, dtype=torch.float64)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(B, N, dtype=torch.float64, requires_grad=True)
    expected = by_hand(layer, x, BY_HAND[name])
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(gradients(layer, layer(x), x), gradients(layer, expected, x))
    batch = next(iter(DataLoader([data] * B, batch_size=B)))
    nodes = layer(x.reshape(B * N, 1), batch.edge_index)
    torch.testing.assert_close(nodes.view(B, N), expected)


@pytest.mark.usefixtures("scatter")
@pytest.mark.parametrize(
    ("aggregation", "function", "parameter"),
    [
        (SoftmaxAggregation(learn=True), softmax, "t"),
        (PowerMeanAggregation(learn=True), power_mean, "p"),
    ],
    ids=["softmax", "power mean"],
)
def test_an_aggregation_can_learn(data, aggregation, function, parameter):
    torch.manual_seed(0)
    layer = GraphLayer(
        data, LOOPS, activation="sigmoid", bias=True, aggr=aggregation, dtype=torch.float64
    ).double()
    value = getattr(layer.aggr_module, parameter)
    torch.nn.init.constant_(value, 1.7)
    with torch.no_grad():
        # A power mean is of numbers that are not negative.
        layer.weight.abs_()
    x = torch.rand(B, N, dtype=torch.float64, requires_grad=True)
    expected = by_hand(
        layer, x, lambda messages, there: function(messages, there, value), torch.sigmoid
    )
    torch.testing.assert_close(layer(x), expected)
    (got,) = torch.autograd.grad(layer(x).square().sum(), value)
    (wanted,) = torch.autograd.grad(expected.square().sum(), value)
    torch.testing.assert_close(got, wanted)


@pytest.mark.usefixtures("scatter")
def test_leak_noise_and_shared_weights_go_with_other_aggregations(data):
    data.node_type = torch.arange(N) % 2
    torch.manual_seed(0)
    layer = GraphLayer(
        data, 1, aggr="max", leak=0.25, threshold=0.5, weight_sharing="projection", noise=0.1
    )
    plain = GraphLayer(data, 1, aggr="max")
    with torch.no_grad():
        plain.weight.copy_(layer.weight_per_synapse())
    x = torch.randn(B, N)
    expected = 0.75 * x + 0.25 * (plain(x) - 0.5)
    torch.testing.assert_close(layer.eval()(x), expected)
    key = torch.randint(2**63 - 1, (), generator=torch.Generator().manual_seed(3))
    noise = CounterNoise(key, 0.1).values(0, x.t()).t()
    noisy = layer.train()(x, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(noisy, expected + noise)


@pytest.mark.usefixtures("scatter")
def test_gradients_of_a_maximum_are_those_of_finite_differences(data):
    layer = GraphLayer(data, 2, activation="tanh", aggr="max", dtype=torch.float64)
    x = torch.randn(1, N, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)


class Messages(GraphLayer):
    """Changes nothing, but overrides ``message``, so that PyG's own path is taken."""

    def message(self, x_j, weight):
        return x_j * weight.unsqueeze(-1)


OPTIONS = {
    "as defined": {},
    "leak and threshold": {"leak": "population", "threshold": "neuron", "activation": "sigmoid"},
    "injected": {"inject": True, "bias": True, "activation": "gelu"},
    "voltage": {"form": "voltage", "activation": "tanh", "leak": 0.5},
    "Dale's law": {"dale": True, "activation": "relu"},
    "shared": {"weight_sharing": "projection", "bias": "population"},
    "noise": {"noise": 0.1, "activation": "tanh"},
    "a function": {"activation": torch.sin},
    "checkpoint": {"checkpoint": True, "activation": "tanh"},
    "an equilibrium": {"loops": Equilibrium(tol=1e-9), "activation": "tanh", "leak": 0.5},
    "the reference backend": {"backend": "reference", "activation": "tanh"},
}


def seeded(options):
    return {"generator": torch.Generator().manual_seed(1)} if "noise" in options else {}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", ["mean", "max", "min"])
def test_kernels_give_what_pyg_gives(data, name, options):
    data.node_type = torch.arange(N) % 3
    data.node_sign = torch.where(torch.arange(N) % 3 == 0, -1.0, 1.0)
    options = {"loops": LOOPS, "aggr": name, "dtype": torch.float64, **options}
    torch.manual_seed(0)
    fused, plain = GraphLayer(data, **options), Messages(data, **options)
    plain.load_state_dict(fused.state_dict())
    x = torch.randn(B, 2, N, dtype=torch.float64, requires_grad=True)
    batch = next(iter(DataLoader([data] * B, batch_size=B)))
    nodes = torch.randn(B * N, 2, dtype=torch.float64, requires_grad=True)
    for call in ((x,), (nodes, batch.edge_index)):
        results = []
        for layer in (fused, plain):
            y = layer(*call, **seeded(options))
            given = [*layer.parameters(), call[0]]
            results.append((y, torch.autograd.grad(y.sin().sum(), given, allow_unused=True)))
        torch.testing.assert_close(*results)
    if isinstance(options["loops"], int):
        torch.testing.assert_close(
            fused(x, return_states=True, **seeded(options)),
            plain(x, return_states=True, **seeded(options)),
        )


@pytest.mark.parametrize("name", ["mean", "max", "min"])
def test_hooks_of_an_aggregation_still_see_its_messages(data, name):
    layer = GraphLayer(data, LOOPS, aggr=name)
    seen = []
    x = torch.randn(B, N)
    before = layer(x)
    handle = layer.aggr_module.register_forward_hook(
        lambda module, given, output: seen.append(given[0].shape)
    )
    torch.testing.assert_close(layer(x), before)
    assert seen == [(data.num_edges, B)] * LOOPS
    handle.remove()
    assert torch.equal(layer(x), before)


def test_parallel_synapses_count_in_a_mean():
    edges = torch.tensor([[0, 0, 1], [2, 2, 2]])
    layer = GraphLayer(Data(edge_index=edges, edge_type=torch.arange(3), num_nodes=3), aggr="mean")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0, 6.0]))
    assert layer(torch.ones(1, 3)).tolist() == [[0.0, 0.0, 3.0]]
