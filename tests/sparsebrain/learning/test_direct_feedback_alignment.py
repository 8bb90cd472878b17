"""Against the equations in NumPy, and against autograd where both are one."""

import numpy as np
import pytest
import torch
from torch import nn

import graphs
from sparsebrain import Equilibrium, GraphLayer
from sparsebrain.learning import DirectFeedbackAlignment
from sparsebrain.models import classifier
from tests.sparsebrain.learning.feedback import GRID, SIZE, gradients, make, wanted


def test_three_layers_by_hand():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 6), nn.Sigmoid(), nn.Linear(6, 3)
    ).double()
    rule = DirectFeedbackAlignment(model, loss="quadratic")
    x, y = torch.randn(6, 4).double(), torch.arange(6) % 3
    W1, b1, W2, b2, W3, b3 = (each.detach().numpy() for each in model.parameters())
    _, B1, B2 = (each.numpy() for each in rule.feedback)
    h1 = np.tanh(x.numpy() @ W1.T + b1)
    h2 = 1 / (1 + np.exp(-(h1 @ W2.T + b2)))
    e = (h2 @ W3.T + b3 - np.eye(3)[y]) / 6
    d2, d1 = e @ B2.T * h2 * (1 - h2), e @ B1.T * (1 - h1**2)
    expected = [d1.T @ x.numpy(), d1.sum(0), d2.T @ h1, d2.sum(0), e.T @ h2, e.sum(0)]
    rule(x, y)
    for found, each in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(found.grad, each, rtol=1e-12, atol=1e-15)


def test_every_loop_hears_of_the_same_error():
    """States before each of three loops get B e, the last one what the next layer sends back."""
    torch.manual_seed(0)
    connectome = graphs.small_world(10, 4, 0.5, seed=0)
    model = nn.Sequential(
        nn.Linear(10, 10), GraphLayer(connectome, 3, activation="tanh"), nn.Linear(10, 3)
    ).double()
    rule = DirectFeedbackAlignment(model, loss="quadratic")
    x, y = torch.randn(6, 10).double(), torch.arange(6) % 3
    W = np.zeros((10, 10))
    source, target = connectome.edge_index.numpy()
    W[target, source] = model[1].weight.detach().numpy()
    W2, b2 = (each.detach().numpy() for each in model[2].parameters())
    states = [model[0](x).detach().numpy()]
    for _ in range(3):
        states.append(np.tanh(states[-1] @ W.T))
    e = (states[3] @ W2.T + b2 - np.eye(3)[y]) / 6
    here, after = (each.numpy() for each in rule.feedback[1:])
    grad = sum(
        (e @ (after if last else here).T * (1 - state**2)).T @ before
        for before, state, last in zip(states[:3], states[1:], (False, False, True), strict=True)
    )
    rule(x, y)
    np.testing.assert_allclose(model[1].weight.grad, grad[target, source], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(model[0].bias.grad, (e @ here.T).sum(0), rtol=1e-12, atol=1e-15)


def test_with_the_products_of_all_transposes_it_is_backpropagation():
    """Of a linear model, sparse and dense, through which each error passes once."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(SIZE, SIZE), GraphLayer(GRID), nn.Linear(SIZE, 7), nn.Linear(7, 3)
    ).double()
    x, y = torch.randn(6, SIZE).double(), torch.arange(6) % 3
    sparse = torch.zeros(SIZE, SIZE).double()
    sparse[GRID.edge_index[1], GRID.edge_index[0]] = model[1].weight.detach()
    rule = DirectFeedbackAlignment(model)
    product = torch.eye(3).double()
    for place, weight in ((3, model[3].weight), (2, model[2].weight), (1, sparse)):
        product = weight.detach().T @ product
        rule.feedback[place].copy_(product)
    expected = wanted(model, x, y)
    angles = rule.alignment(x, y)
    rule(x, y)
    torch.testing.assert_close(gradients(model), expected)
    assert max(angles.values()) < 1e-6


def test_a_deep_model_needs_no_large_weights_in_between():
    """A layer of zeros lets no error pass; this one goes around it."""
    model, x, y = make("dense")
    nn.init.zeros_(model[3].weight)
    assert wanted(model, x, y)["0.weight"].abs().max() == 0
    DirectFeedbackAlignment(model)(x, y)
    assert model[0].weight.grad.abs().max() > 0


def test_an_equilibrium_settles_back_at_once():
    torch.manual_seed(0)
    layer = GraphLayer(GRID, Equilibrium(tol=1e-6), activation="tanh")
    rule = DirectFeedbackAlignment(nn.Sequential(layer, nn.Linear(SIZE, 3)))
    rule(torch.randn(8, SIZE), torch.arange(8) % 3)
    assert layer.report.gradient.converged.all()
    assert layer.report.gradient.loops.max() <= 2


def test_further_dimensions_share_the_error_of_their_sample():
    torch.manual_seed(0)
    first, second = nn.Linear(SIZE, SIZE), GraphLayer(GRID)
    model = nn.Sequential(first, second, nn.Flatten(), nn.Linear(5 * SIZE, 3)).double()
    rule = DirectFeedbackAlignment(model)
    x, y = torch.randn(4, 5, SIZE).double(), torch.arange(4) % 3
    e = (model(x).softmax(1) - nn.functional.one_hot(y, 3)).detach() / 4
    rule(x, y)
    torch.testing.assert_close(first.bias.grad, 5 * (rule.feedback[1] @ e.T).sum(1))
    expected = torch.einsum("bi,btj->ij", e @ rule.feedback[1].T, x)
    torch.testing.assert_close(first.weight.grad, expected)


def test_the_number_of_classes_can_be_told():
    worm = graphs.layered([6, 5, 4])
    model = nn.Sequential(*classifier(worm, 3, loops=2, outputs=[11, 12, 13], in_features=6)[:-3])
    x, y = torch.randn(4, 6), torch.arange(4) % 3
    with pytest.raises(ValueError, match="scores of 3 classes.*pass num_classes=3"):
        DirectFeedbackAlignment(model)(x, y)
    DirectFeedbackAlignment(model, num_classes=3)(x, y)


def test_samples_must_stay_apart():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), Halves(), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="a layer ran on 5 rows for 2 samples"):
        DirectFeedbackAlignment(model)(torch.randn(5, 4), torch.arange(2))


class Halves(nn.Module):
    """Some samples are joined to others, and one is lost."""

    def forward(self, x):
        return x[:4].reshape(2, 8)
