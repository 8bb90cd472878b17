import numpy as np
import pytest
import torch

import graphs
from sparsebrain import GraphLayer
from sparsebrain.diagnostics import loop_gradients
from sparsebrain.models import classifier


def test_of_a_linear_layer_they_are_powers_of_the_transpose(weighted, dense):
    data = graphs.small_world(40, 4, 0.3, seed=0)
    layer = weighted(data, torch.randn(data.num_edges), 5)
    x, g = torch.randn(2, 3, 40, dtype=torch.float64)
    found = loop_gradients(layer, x, lambda y: (y * g).sum())
    transpose = dense(layer).T
    wanted = [g @ torch.linalg.matrix_power(transpose, 5 - t).T for t in range(6)]
    torch.testing.assert_close(found.gradient, torch.stack(wanted))
    torch.testing.assert_close(found.norm, torch.stack([each.norm() for each in wanted]))


def test_they_are_those_of_finite_differences(layer):
    """The rest of the loops as a function of x(t), by itself differentiated numerically."""
    x = torch.randn(2, 20, dtype=torch.float64)
    target = torch.randn(2, 20, dtype=torch.float64)

    def loss(y):
        return (y - target).square().mean()

    found = loop_gradients(layer, x, loss)
    _, states = layer(x, return_states=True)
    step = 1e-6
    for t, state in enumerate(states.detach()):
        for place in ((0, 3), (1, 12)):
            nudge = torch.zeros_like(state)
            nudge[place] = step
            numeric = (
                loss(_go_on(layer, state + nudge, x, 4 - t))
                - loss(_go_on(layer, state - nudge, x, 4 - t))
            ) / (2 * step)
            assert float(found.gradient[t][place]) == pytest.approx(float(numeric), abs=1e-8)


@torch.no_grad()
def _go_on(layer, state, x, loops):
    if not loops:
        return state
    kept, layer.loops = layer.loops, loops
    try:
        return layer(x, state=state)[0] if layer.inject else layer(state)
    finally:
        layer.loops = kept


def test_the_loss_may_be_of_the_model_around():
    torch.manual_seed(0)
    model = classifier(
        graphs.grid_local((4, 4), 1), 3, loops=3, loop_activation="tanh", in_features=5
    )
    x, y = torch.randn(8, 5), torch.randint(0, 3, (8,))

    def loss(scores):
        return torch.nn.functional.cross_entropy(scores, y)

    found = loop_gradients(model.eval(), x, loss)
    names = [name for name, _ in model.named_children()]
    cut = names.index("graph") + 1
    hidden = model[:cut](x).detach().requires_grad_()
    loss(model[cut:](hidden)).backward()
    torch.testing.assert_close(found.gradient[-1], hidden.grad)
    assert found.gradient.shape == (4, 8, 16)


def test_layers_that_a_batch_of_pyg_runs_through_are_taken():
    data = graphs.small_world(10, 4, 0.3, seed=0)
    layer = GraphLayer(data, 3, activation="tanh", dtype=torch.float64)
    x = torch.randn(2, 10, dtype=torch.float64)
    edges = torch.cat([data.edge_index, data.edge_index + 10], dim=1)
    batched = loop_gradients(layer, (x.reshape(20, 1), edges), lambda y: y.square().sum())
    wide = loop_gradients(layer, x, lambda y: y.square().sum())
    torch.testing.assert_close(batched.gradient, wide.gradient)


def test_they_are_there_where_the_caller_wants_none():
    layer = GraphLayer(graphs.grid_local(5, 1), 2)
    with torch.no_grad():
        found = loop_gradients(layer, torch.randn(2, 5), lambda y: y.sum())
    assert float(found.norm[-1]) == pytest.approx(10**0.5)
    assert layer.weight.grad is None


def test_bad_losses_are_refused():
    layer, x = GraphLayer(graphs.grid_local(5, 1)), torch.randn(2, 5)
    with pytest.raises(
        ValueError, match=r"one real number as a tensor, got Tensor of shape \(2, 5\).*add \.mean"
    ):
        loop_gradients(layer, x, lambda y: y)
    with pytest.raises(ValueError, match="one real number as a tensor, got .*of type float"):
        loop_gradients(layer, x, lambda y: 1.0)
    with pytest.raises(ValueError, match="does not depend on the model's output"):
        loop_gradients(layer, x, lambda y: y.detach().sum())


def test_the_picture_shows_the_norm():
    layer = GraphLayer(graphs.grid_local(5, 1), 4)
    found = loop_gradients(layer, torch.randn(2, 5), lambda y: y.sum())
    ax = found.plot()
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), found.norm)
    assert ax.get_yscale() == "log"
