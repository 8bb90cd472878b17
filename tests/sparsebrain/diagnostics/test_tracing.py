"""Whatever a layer is, the watch sees its loops and leaves everything as it was."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch_geometric.loader import DataLoader

import graphs
from sparsebrain import GraphLayer, Maxout
from sparsebrain.diagnostics.tracing import find_layer, trace
from sparsebrain.models import classifier


@pytest.mark.parametrize("learns", [False, True])
def test_it_sees_the_states_that_the_layer_returns(layer, learns):
    x = torch.randn(2, 3, 20, dtype=torch.float64)
    _, states = layer(x, return_states=True)
    seen = trace(layer, x, None, learns=learns)
    assert seen.layer is layer
    torch.testing.assert_close(torch.stack(seen.states), states)
    torch.testing.assert_close(seen.output, states[-1])
    after = torch.stack([seen.function(total) for total in seen.before])
    if layer.leak is not None:
        after = torch.lerp(states[:-1], after, layer.leak.detach())
    torch.testing.assert_close(after, states[1:])
    assert seen.output.requires_grad == learns
    assert seen.rows(seen.states[1]).shape == (6, 20)
    torch.testing.assert_close(seen.rows(seen.states[1]), states[1].flatten(0, 1))


def test_it_sees_the_leak_and_the_noise_that_the_layer_has():
    data = graphs.small_world(10, 4, 0.3, seed=0)
    layer = GraphLayer(data, 3, activation="tanh", leak=0.3, noise=0.5)
    batch = next(iter(DataLoader([data] * 5, batch_size=5)))
    for call in ((torch.randn(5, 10),), (torch.randn(50, 2), batch.edge_index)):
        torch.manual_seed(0)
        _, states = layer(*call, return_states=True)
        torch.manual_seed(0)
        torch.testing.assert_close(torch.stack(trace(layer, call, None).states), states)
        expected = layer.eval()(*call)
        torch.testing.assert_close(trace(layer, call, None).output, expected)
        layer.train()


def test_the_layer_is_as_before(layer):
    x = torch.randn(3, 20, dtype=torch.float64)
    before, attributes, hooks = layer(x), dict(vars(layer)), len(layer._forward_hooks)
    parts = dict(layer.named_modules())
    trace(layer, x, None, learns=True)
    assert vars(layer) == attributes
    assert dict(layer.named_modules()) == parts
    assert len(layer._forward_hooks) == len(layer._forward_pre_hooks) == hooks == 0
    assert torch.equal(layer(x), before)
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_the_layer_is_as_before_when_the_model_fails(layer):
    attributes = dict(vars(layer))
    with pytest.raises(ValueError, match=r"x must be a float64 tensor of shape \[\.\.\., 20\]"):
        trace(layer, torch.randn(3, 19, dtype=torch.float64), None)
    assert vars(layer) == attributes
    assert not layer._forward_pre_hooks


def test_a_model_keeps_its_running_means_mode_and_gradients():
    model = classifier(graphs.grid_local((4, 4), 1), 3, loops=2)
    model(torch.randn(8, 16)).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [parameter.grad.clone() for parameter in model.parameters()]
    x = torch.randn(8, 16)
    seen = trace(model, x, None, learns=True)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        assert torch.equal(parameter.grad, grad)
    torch.testing.assert_close(seen.output, model(x))


def test_a_batch_of_pyg_is_seen_sample_by_sample():
    data = graphs.small_world(10, 4, 0.3, seed=0)
    layer = GraphLayer(data, 3, activation="tanh")
    x = torch.randn(5, 10, 2)
    samples = [data.clone().update({"x": each}) for each in x]
    (batch,) = DataLoader(samples, batch_size=5)
    seen = trace(layer, (batch.x, batch.edge_index), None)
    wanted = trace(layer, x.transpose(1, 2), None)
    for state, other in zip(seen.states, wanted.states, strict=True):
        torch.testing.assert_close(seen.rows(state), wanted.rows(other))


class Around(nn.Module):
    def __init__(self, layer, call):
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, x):
        return self.call(self.layer, x)


CALLS = {
    "named": lambda layer, x: layer(x=x),
    "a given state": lambda layer, x: layer(x, state=2 * x)[0],
    "states": lambda layer, x: layer(x, return_states=True)[1][-1],
    "both": lambda layer, x: layer(x, state=2 * x, return_states=True)[0],
}


@pytest.mark.parametrize("way", CALLS)
def test_a_model_may_call_an_injected_layer_in_every_way(way):
    layer = GraphLayer(graphs.grid_local(6, 1), 3, activation="tanh", inject=True)
    x = torch.randn(2, 6)
    seen = trace(Around(layer, CALLS[way]), x, None, learns=True)
    start = torch.zeros_like(x) if way in ("named", "states") else 2 * x
    _, states = layer(x, state=start, return_states=True)
    torch.testing.assert_close(torch.stack(seen.states), states)
    torch.testing.assert_close(seen.output, states[-1])


def test_one_call_of_one_layer_is_wanted():
    layer = GraphLayer(graphs.grid_local(6, 1))
    other = GraphLayer(graphs.grid_local(6, 1), 2)
    x = torch.randn(2, 6)
    with pytest.raises(ValueError, match="calls its GraphLayer more than once"):
        trace(Around(layer, lambda layer, x: layer(layer(x))), x, None)
    with pytest.raises(ValueError, match="without calling its GraphLayer"):
        trace(Around(layer, lambda layer, x: x), x, None)
    two = nn.Sequential(layer, other)
    with pytest.raises(ValueError, match=r"has 2 GraphLayers; pass the one to analyze"):
        trace(two, x, None)
    assert len(trace(two, x, other).states) == 3
    with pytest.raises(ValueError, match="has 0 GraphLayers; pass a model with one"):
        find_layer(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="is not in the model"):
        find_layer(layer, other)
    with pytest.raises(TypeError, match="model must be a module, got Data"):
        find_layer(graphs.grid_local(6, 1))


class Twice(GraphLayer):
    def forward(self, x):
        return super().forward(super().forward(x))


def test_a_layer_that_runs_its_loops_otherwise_is_told():
    layer = Twice(graphs.grid_local(6, 1), 3)
    with pytest.raises(ValueError, match="the layer runs its loops more than"):
        trace(layer, torch.randn(2, 6), None)


def test_a_maxout_is_told():
    data = graphs.grid_local(6, 1)
    for model in (Maxout(data), nn.Sequential(GraphLayer(data), Maxout(data))):
        with pytest.raises(ValueError, match="model has a Maxout"):
            find_layer(model)


def test_a_model_may_draw_its_noise_from_a_generator():
    layer = GraphLayer(graphs.grid_local(6, 1), 3, activation="tanh", noise=0.5)
    x = torch.randn(2, 6)

    def call(layer, x):
        return layer(x, generator=torch.Generator().manual_seed(3))

    torch.testing.assert_close(trace(Around(layer, call), x, None).output, call(layer, x))


def test_a_layer_that_is_watched_takes_no_other_call():
    """Neither watched twice nor called by another thread, whose states would be taken for its."""
    data = graphs.small_world(10, 4, 0.3, seed=0)
    layer = GraphLayer(data, 2, activation="tanh")
    x = torch.randn(3, 10)

    class Reentrant(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.layer, self.inner = layer, inner

        def forward(self, x):
            self.inner()
            return self.layer(x)

    def in_a_thread():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(layer, x).result()

    for inner in (lambda: trace(layer, x, None), in_a_thread):
        with pytest.raises(RuntimeError, match=r"(records it|have a hook).*copy\.deepcopy"):
            trace(Reentrant(inner), x, None)
        assert len(trace(layer, x, None).before) == 2
