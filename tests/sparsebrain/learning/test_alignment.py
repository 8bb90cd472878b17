"""What the whole family keeps: with W^T in the place of B it is backpropagation, on any model."""

import copy
import math

import pytest
import torch
from torch import nn

from sparsebrain import GraphLayer
from sparsebrain.learning import FeedbackAlignment, KolenPollack, SignSymmetry, WeightMirror
from tests.sparsebrain.learning.feedback import (
    GRID,
    MODELS,
    SIZE,
    around,
    gradients,
    make,
    parameter_of,
    wanted,
)

KINDS = [FeedbackAlignment, SignSymmetry, KolenPollack, WeightMirror]


def symmetric(kind, model):
    """A rule whose way back has the weights of the way forward."""
    rule = kind(model)
    with torch.no_grad():
        for layer, feedback in zip(rule.layers.values(), rule.feedback, strict=True):
            feedback.copy_(parameter_of(layer) if kind is KolenPollack else layer.weight)
    return rule


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_with_the_transpose_it_is_backpropagation(kind, name):
    model, x, y = make(name)
    rule = symmetric(kind, model)
    expected = wanted(model, x, y)
    loss = rule(x, y)
    torch.testing.assert_close(gradients(model), expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(model(x), y).detach())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_the_angle_of_the_transpose_is_exactly_zero(kind, name):
    model, x, y = make(name)
    angles = symmetric(kind, model).alignment(x, y)
    assert set(angles.values()) == {0.0}
    assert list(angles) == [n for n, each in model.named_modules() if n in angles]
    assert set(angles) == set(symmetric(kind, model).layers) - {"0", "encode"}


def test_random_directions_are_at_right_angles():
    """In 2000 dimensions an angle is 90 +- 1.3 degrees; of 200 samples with one B the mean stays
    within 6 such widths of it, a false alarm in 10^8."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 2000), nn.Tanh(), nn.Linear(2000, 3))
    (angle,) = (
        FeedbackAlignment(model).alignment(torch.randn(200, 4), torch.arange(200) % 3).values()
    )
    assert abs(angle - 90) < 6 * 1.3


def test_the_angle_is_that_of_both_products():
    model, x, y = make("dense")
    rule = FeedbackAlignment(model)
    last = model[5]
    delta = (model(x).softmax(1) - nn.functional.one_hot(y, 3)).detach()
    cosine = nn.functional.cosine_similarity(delta @ rule.feedback[2], delta @ last.weight)
    assert rule.alignment(x, y)["5"] == pytest.approx(
        float(cosine.detach().acos().rad2deg().mean())
    )


def test_samples_without_an_error_have_no_angle():
    model = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 3)).double()
    with torch.no_grad():
        for each in model.parameters():
            each.zero_()
        model[1].bias[1] = 1e4  # softmax is exactly one-hot
    rule = FeedbackAlignment(model)
    x = torch.randn(6, 2).double()
    angle = rule.alignment(x, torch.ones(6).long())["1"]
    assert math.isnan(angle)


def test_telling_the_angle_changes_nothing():
    model, x, y = make("grid")
    rule = FeedbackAlignment(model)
    before = copy.deepcopy(rule.state_dict())
    rule(x, y)
    first = {name: each.clone() for name, each in gradients(model).items()}
    model.load_state_dict({k[6:]: v for k, v in before.items() if k.startswith("model.")})
    rule.alignment(x, y)
    torch.testing.assert_close(rule.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(gradients(model), first, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_leading_dimensions_are_batch(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(SIZE, SIZE), GraphLayer(GRID, 2), nn.Linear(SIZE, 3)).double()
    x, y = torch.randn(4, 2, SIZE).double(), torch.arange(4) % 3
    pooled = nn.Sequential(model, Mean())
    expected = wanted(pooled, x, y)
    symmetric(kind, pooled)(x, y)
    torch.testing.assert_close(gradients(pooled), expected)


class Mean(nn.Module):
    """Over all but the first and the last dimension."""

    def forward(self, x):
        return x.mean(1)


@pytest.mark.parametrize("kind", KINDS)
def test_signs_stay_and_no_synapse_is_made(kind):
    model, x, y = make("dale")
    rule, layer = kind(model), model[3]
    signs, synapses = layer.weight.sign().clone(), layer.edge_index.clone()
    optimizer = torch.optim.SGD(rule.parameters(), lr=3.0)
    for _ in range(20):
        optimizer.zero_grad()
        rule(x, y)
        optimizer.step()
        assert (layer.weight.sign() * signs >= 0).all()
    assert layer.weight.shape == signs.shape
    assert torch.equal(layer.edge_index, synapses)


@pytest.mark.parametrize("kind", KINDS)
def test_the_way_back_stays_in_the_rule(kind):
    """Outside of a step the model is what it was, for autograd and for everyone else."""
    model, x, y = make("grid")
    expected = wanted(model, x, y)
    rule = kind(model)
    with pytest.raises(ValueError, match="y must lie in"):
        rule(x, y + 3)
    rule(x, y)
    assert wanted(model, x, y).keys() == expected.keys()
    model.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    torch.testing.assert_close(gradients(model), expected)


def test_a_generator_draws_the_feedback():
    model = around(nn.Linear(SIZE, SIZE))
    drawn = [
        list(FeedbackAlignment(model, generator=torch.Generator().manual_seed(seed)).feedback)
        for seed in (1, 1, 2)
    ]
    assert all(torch.equal(*pair) for pair in zip(*drawn[:2], strict=True))
    assert not torch.equal(drawn[0][0], drawn[2][0])


def test_the_rule_can_be_saved_and_loaded():
    model, x, y = make("grid")
    rule = FeedbackAlignment(model)
    again = FeedbackAlignment(make("grid", seed=1)[0])
    again.load_state_dict(rule.state_dict())
    rule(x, y)
    again(x, y)
    torch.testing.assert_close(gradients(again.model), gradients(model))


class Doubled(nn.Linear):
    """A Linear in name."""

    def forward(self, x):
        return 2 * super().forward(x)


def test_layers_whose_way_forward_is_another_are_refused():
    with pytest.raises(ValueError, match=r"Doubled overrides forward.*use nn\.Linear itself"):
        FeedbackAlignment(nn.Sequential(Doubled(2, 2)))
    with pytest.raises(ValueError, match="use aggr='sum'"):
        FeedbackAlignment(nn.Sequential(GraphLayer(GRID, aggr="max")))


def test_a_rule_tells_what_it_is():
    model = nn.Sequential(nn.Linear(2, 3))
    assert "loss='quadratic'" in repr(FeedbackAlignment(model, loss="quadratic"))
    assert "uniform=True" in repr(SignSymmetry(model, uniform=True))
    assert "noise=2, decay=4" in repr(WeightMirror(model, noise=2.0))
