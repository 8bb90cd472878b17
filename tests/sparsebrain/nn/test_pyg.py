"""The layer as an ordinary PyG module."""

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv, MessagePassing, Sequential
from torch_geometric.utils import scatter

from sparsebrain import GraphLayer

N, C = 40, 3


class Plain(GraphLayer):
    """Changes nothing, but overrides ``message``, so that PyG's own path is taken."""

    def message(self, x_j, weight):
        return x_j * weight.unsqueeze(-1)


def both(data, loops=4, **options):
    fused, plain = GraphLayer(data, loops, **options), Plain(data, loops, **options)
    plain.load_state_dict(fused.state_dict())
    return fused, plain


def run(layer, *args):
    x = args[0].clone().requires_grad_()
    y = layer(x, *args[1:])
    return y, torch.autograd.grad(y.square().sum(), [*layer.parameters(), x])


OPTIONS = {
    "as in the paper": {},
    "tanh and bias": {"activation": "tanh", "bias": True},
    "injected relu": {"activation": "relu", "inject": True, "bias": True},
    "callable": {"activation": torch.sin},
    "leak and threshold": {"activation": "tanh", "leak": "population", "threshold": "neuron"},
    "gains": {"activation": torch.sin, "init": "edge_weight", "gain": "projection", "dale": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_fused_kernels_and_pygs_own_path_give_the_same(populated, options):
    torch.manual_seed(0)
    fused, plain = both(populated, dtype=torch.float64, **options)
    for parameter in fused.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    plain.load_state_dict(fused.state_dict())
    x = torch.randn(5, N, dtype=torch.float64)
    torch.testing.assert_close(run(fused, x), run(plain, x))
    batch = next(iter(DataLoader([populated] * 5, batch_size=5)))
    nodes = torch.randn(5 * N, C, dtype=torch.float64)
    torch.testing.assert_close(
        run(fused, nodes, batch.edge_index), run(plain, nodes, batch.edge_index)
    )
    torch.testing.assert_close(
        fused(nodes, batch.edge_index, return_states=True),
        plain(nodes, batch.edge_index, return_states=True),
    )


def test_the_two_calls_agree(random_graph):
    layer = GraphLayer(random_graph, 3, activation="tanh", bias=True)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(5, C, N)
    node_first = x.transpose(1, 2).reshape(5 * N, C)
    batch = next(iter(DataLoader([random_graph] * 5, batch_size=5)))
    y = layer(node_first, batch.edge_index)
    torch.testing.assert_close(y.view(5, N, C).transpose(1, 2), layer(x))
    single = layer(node_first[:N], random_graph.edge_index)
    torch.testing.assert_close(single, y[:N])


def test_a_data_loader_with_a_smaller_last_batch(random_graph):
    layer = GraphLayer(random_graph, 2, activation="relu")
    data = []
    for _ in range(7):
        sample = random_graph.clone()
        sample.x = torch.randn(N, C)
        data.append(sample)
    sizes = []
    for batch in DataLoader(data, batch_size=3):
        out = layer(batch.x, batch.edge_index)
        sizes.append(batch.num_graphs)
        for number, sample in enumerate(batch.to_data_list()):
            torch.testing.assert_close(
                out[number * N : (number + 1) * N], layer(sample.x, random_graph.edge_index)
            )
    assert sizes == [3, 3, 1]


def test_pygs_sequential(random_graph):
    model = Sequential(
        "x, edge_index",
        [
            (GCNConv(C, 8), "x, edge_index -> x"),
            torch.nn.ReLU(),
            (GraphLayer(random_graph, 3, activation="tanh"), "x, edge_index -> x"),
            torch.nn.Linear(8, 2),
        ],
    )
    batch = next(iter(DataLoader([random_graph] * 4, batch_size=4)))
    out = model(torch.randn(4 * N, C), batch.edge_index)
    assert out.shape == (4 * N, 2)
    out.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("copies", [1, 3])
def test_an_edge_mask_acts_as_weights_times_mask_over_all_loops(random_graph, copies):
    layer = GraphLayer(random_graph, 4, activation="tanh", bias=True)
    masked = GraphLayer(random_graph, 4, activation="tanh", bias=True)
    batch = next(iter(DataLoader([random_graph] * copies, batch_size=copies)))
    mask = torch.rand(random_graph.num_edges)
    with torch.no_grad():
        masked.weight.copy_(layer.weight * mask)
    x = torch.randn(copies * N, C)
    unmasked = layer(x, batch.edge_index)
    set_masks(layer, mask.repeat(copies), batch.edge_index, apply_sigmoid=False)
    torch.testing.assert_close(layer(x, batch.edge_index), masked(x, batch.edge_index))
    if copies == 1:
        torch.testing.assert_close(layer(x.t()), masked(x.t()))
    clear_masks(layer)
    assert torch.equal(layer(x, batch.edge_index), unmasked)


def test_an_explainer_finds_the_synapse_that_matters():
    """0 -> 1 -> 2 carries the answer, 3 -> 2 nothing."""
    data = Data(edge_index=torch.tensor([[0, 1, 3], [1, 2, 2]]), num_nodes=4)
    layer = GraphLayer(data, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, 2.0, 0.0]))
    torch.manual_seed(0)
    explainer = Explainer(
        layer,
        GNNExplainer(epochs=100, lr=0.1),
        explanation_type="model",
        edge_mask_type="object",
        model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
    )
    explanation = explainer(torch.ones(4, 1), data.edge_index, index=2)
    used, also_used, idle = explanation.edge_mask.tolist()
    assert idle < 0.1 < min(used, also_used)
    assert layer._edge_mask is None


def test_other_aggregations(random_graph):
    layer = GraphLayer(random_graph, 2, aggr="max", activation="tanh")
    x = torch.randn(5, N)
    source, target = random_graph.edge_index
    state = x
    for _ in range(2):
        messages = state[:, source] * layer.weight
        state = torch.tanh(scatter(messages, target, dim=1, dim_size=N, reduce="max"))
    torch.testing.assert_close(layer(x), state)
    layer(x).sum().backward()
    assert layer.weight.grad is not None


def test_an_aggregation_that_widens_the_state_is_refused(random_graph):
    with pytest.raises(ValueError, match="must keep the shape of the state.*aggr='max'"):
        GraphLayer(random_graph, 2, aggr=["sum", "max"])(torch.randn(2, N))


class Quadratic(GraphLayer):
    def message(self, x_i, x_j, weight):
        return weight.unsqueeze(-1) * x_j * x_i


class Halved(GraphLayer):
    def update(self, inputs):
        return inputs / 2


def test_overridden_messages_and_updates_are_used(random_graph):
    x = torch.randn(5, N)
    source, target = random_graph.edge_index
    quadratic = Quadratic(random_graph)
    messages = quadratic.weight * x[:, source] * x[:, target]
    expected = scatter(messages, target, dim=1, dim_size=N)
    torch.testing.assert_close(quadratic(x), expected)

    halved = Halved(random_graph, 3)
    whole = GraphLayer(random_graph, 3)
    whole.load_state_dict(halved.state_dict())
    torch.testing.assert_close(halved(x), whole(x) / 8)

    layer = GraphLayer(random_graph)
    layer.message = lambda x_j, weight: 0 * x_j
    assert float(layer(x).detach().abs().max()) == 0


def test_hooks_see_and_change_messages(random_graph):
    layer = GraphLayer(random_graph, 3)
    x = torch.randn(5, N)
    before = layer(x)
    seen = []
    handle = layer.register_message_forward_hook(
        lambda module, inputs, output: seen.append(output.shape)
    )
    torch.testing.assert_close(layer(x), before)
    assert seen == [(random_graph.num_edges, 5)] * 3
    handle.remove()
    handle = layer.register_propagate_forward_hook(lambda module, inputs, output: output * 0)
    assert float(layer(x).detach().abs().max()) == 0
    handle.remove()
    assert torch.equal(layer(x), before)
    assert len(seen) == 3


def test_a_pre_hook_changes_what_a_synapse_reads(random_graph):
    layer = GraphLayer(random_graph, 1)
    layer.register_message_forward_pre_hook(
        lambda module, inputs: {**inputs[0], "x_j": 2 * inputs[0]["x_j"]}
    )
    x = torch.randn(5, N)
    plain = GraphLayer(random_graph, 1)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x), 2 * plain(x))


def test_a_function_sees_the_same_on_both_paths(random_graph):
    def centered(state):
        return state - state.mean(0)

    fused, plain = both(random_graph, 3, activation=centered, dtype=torch.float64)
    batch = next(iter(DataLoader([random_graph] * 2, batch_size=2)))
    nodes = torch.randn(2 * N, C, dtype=torch.float64)
    torch.testing.assert_close(
        run(fused, nodes, batch.edge_index), run(plain, nodes, batch.edge_index)
    )
    x = torch.randn(5, N, dtype=torch.float64)
    torch.testing.assert_close(run(fused, x), run(plain, x))


def test_no_channels_and_no_graphs(random_graph):
    layer = GraphLayer(random_graph, 2)
    assert layer(torch.randn(N, 0), random_graph.edge_index).shape == (N, 0)
    none = torch.zeros(2, 0, dtype=torch.int64)
    assert layer(torch.randn(0, C), none).shape == (0, C)


def test_an_overridden_propagate_is_refused():
    with pytest.raises(TypeError, match="Own overrides propagate.*override message"):

        class Own(GraphLayer):
            def propagate(self, *args, **kwargs):
                return super().propagate(*args, **kwargs)


def test_it_is_a_message_passing_layer_of_pyg(random_graph):
    assert isinstance(GraphLayer(random_graph), MessagePassing)
