import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import graphs
from sparsebrain import GraphLayer
from sparsebrain.diagnostics import saturation
from sparsebrain.kernels.activations import ACTIVATIONS


@pytest.fixture
def selves():
    """Four neurons with nothing but a self-loop of weight 1: a loop is f, value by value."""
    number = torch.arange(4)
    return Data(edge_index=torch.stack((number, number)), num_nodes=4, edge_weight=torch.ones(4))


X = torch.tensor([[0.0, 1.0, -3.0, 5.0], [0.5, -1.0, -0.5, 0.0]])

BY_HAND = {
    # 1 - tanh^2 is below 0.05 from 2.179 on.
    "tanh": [0, 0, 0.5, 0.5],
    # s (1 - s) is below 0.05 from 2.887 on.
    "sigmoid": [0, 0, 0.5, 0.5],
    # 0 at u <= 0.
    "relu": [0.5, 0.5, 1, 0.5],
    # 0.01 at u <= 0.
    "leaky_relu": [0.5, 0.5, 1, 0.5],
    # Phi(u) + u phi(u) is -0.012 at -3 and -0.083 at -1.
    "gelu": [0, 0, 0.5, 0],
    # s (1 + u (1 - s)) is -0.088 at -3.
    "silu": [0, 0, 0, 0],
    # s is 0.047 at -3.
    "softplus": [0, 0, 0.5, 0],
    # 0 from -1 down and from 1 up.
    "hardtanh": [0, 1, 0.5, 0.5],
    None: [0, 0, 0, 0],
}


def test_no_activation_was_left_out():
    assert set(BY_HAND) == {None, *ACTIVATIONS} - {"none"}


@pytest.mark.parametrize("activation", BY_HAND)
def test_it_counts_as_one_would_by_hand(selves, activation):
    layer = GraphLayer(selves, 1, activation=activation, init="edge_weight")
    found = saturation(layer, X)
    assert found.saturated.tolist() == [BY_HAND[activation]]
    assert found.saturated_share.tolist() == [pytest.approx(sum(BY_HAND[activation]) / 4)]
    dead = [False, False, activation == "relu", False]
    assert found.dead.tolist() == [dead]
    assert found.dead_share.tolist() == [sum(dead) / 4]


def test_the_threshold_is_of_the_slope(selves):
    layer = GraphLayer(selves, 1, activation="leaky_relu", init="edge_weight")
    assert saturation(layer, X, threshold=0.01).saturated.sum() == 0
    assert saturation(layer, X, threshold=0.0101).saturated.sum() == 2.5


def test_every_layer_is_counted_at_its_own_states(layer):
    x = 3 * torch.randn(6, 20, dtype=torch.float64)
    _, states = layer(x, return_states=True)
    found = saturation(layer, x, threshold=0.2)
    assert found.saturated.shape == found.dead.shape == (4, 20)
    slopes = {"tanh": lambda y: 1 - y**2, "sigmoid": lambda y: y * (1 - y)}
    if layer.activation in slopes:
        after = states[1:]
        if layer.leak is not None:
            after = (after - (1 - layer.leak) * states[:-1]) / layer.leak
        slope = slopes[layer.activation](after)
        torch.testing.assert_close(found.saturated, (slope < 0.2).float().mean(1))
    assert torch.equal(found.dead, (states[1:] == 0).all(1))


def test_a_step_passes_no_gradient(selves):
    layer = GraphLayer(selves, 1, activation=lambda u: (u > 0).to(u), init="edge_weight")
    assert saturation(layer, X).saturated.tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("mixing", [lambda u: u.softmax(-1), lambda u: u / u.norm()])
def test_an_activation_that_mixes_neurons_is_refused(selves, mixing):
    layer = GraphLayer(selves, 1, activation=mixing, init="edge_weight")
    with pytest.raises(ValueError, match="activation that is not elementwise"):
        saturation(layer, X)


@pytest.mark.parametrize("threshold", [0, -1, float("nan")])
def test_a_threshold_that_means_nothing_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold must be a finite number > 0"):
        saturation(GraphLayer(graphs.grid_local(5, 1)), torch.ones(5), threshold=threshold)


def test_the_picture_shows_both_shares():
    layer = GraphLayer(graphs.small_world(40, 6, 0.2, seed=0), 5, activation="relu")
    found = saturation(layer, torch.randn(3, 40))
    saturated, dead = found.plot().get_lines()
    assert saturated.get_xdata().tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(saturated.get_ydata(), found.saturated_share)
    np.testing.assert_array_equal(dead.get_ydata(), found.dead_share)
