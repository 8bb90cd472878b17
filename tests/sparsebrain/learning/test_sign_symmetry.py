"""The way back has the signs of now and the magnitudes of the beginning."""

import pytest
import torch
from torch import nn

from sparsebrain.learning import SignSymmetry
from tests.sparsebrain.learning.feedback import gradients, make, wanted


def test_signs_follow_the_weights():
    torch.manual_seed(0)
    hidden, out = nn.Linear(4, 5), nn.Linear(5, 3)
    rule = SignSymmetry(nn.Sequential(hidden, out), loss="quadratic")
    x, y = torch.randn(6, 4), torch.arange(6) % 3
    for _ in range(2):
        hidden.zero_grad()
        e = (rule.predict(x) - nn.functional.one_hot(y, 3)).detach() / 6
        magnitude = rule.feedback[1]
        assert (magnitude >= 0).all()
        rule(x, y)
        expected = e @ (out.weight.detach().sign() * magnitude)
        torch.testing.assert_close(hidden.bias.grad, expected.sum(0))
        with torch.no_grad():
            out.weight *= -3


def test_uniform_magnitudes_are_as_large_as_the_weights():
    model, _, _ = make("grid")
    rule = SignSymmetry(model, uniform=True)
    for layer, magnitude in zip(rule.layers.values(), rule.feedback, strict=True):
        assert magnitude.unique().numel() == 1
        size = layer.weight.detach().square().mean().sqrt()
        torch.testing.assert_close(magnitude[0].max(), size, rtol=0.5, atol=0)


def test_weights_of_one_magnitude_have_the_uniform_way_back():
    model, x, y = make("small world")
    with torch.no_grad():
        for layer in (model[0], model[3], model[5]):
            layer.weight.copy_(0.2 * layer.weight.sign())
    rule = SignSymmetry(model, uniform=True)
    for magnitude in rule.feedback:
        magnitude.fill_(0.2)
    expected = wanted(model, x, y)
    rule(x, y)
    torch.testing.assert_close(gradients(model), expected)


def test_angles_are_sharp():
    """Signs alone make the cosine E|w||b| / sqrt(E w^2 E b^2) or so, 2/pi of two normal laws."""
    model, x, y = make("grid")
    assert max(SignSymmetry(model).alignment(x, y).values()) < 75


def test_only_a_bool_is_uniform():
    with pytest.raises(TypeError, match="uniform must be True or False"):
        SignSymmetry(nn.Linear(2, 2), uniform="no")
