"""Both ways take one step: their difference shrinks as the decay says, exactly."""

import pytest
import torch
from torch import nn

from sparsebrain.learning import KolenPollack
from tests.sparsebrain.learning.feedback import MODELS, make, parameter_of

# Its parametrization maps both, and shrinks no difference of what they are mapped to.
LINEAR = sorted(set(MODELS) - {"parametrized", "contraction"})


def gaps(rule):
    return [
        (parameter_of(layer) - feedback).detach().clone()
        for layer, feedback in zip(rule.layers.values(), rule.feedback, strict=True)
    ]


@pytest.mark.parametrize("name", LINEAR)
def test_the_difference_shrinks_by_the_decay(name):
    model, x, y = make(name)
    rule = KolenPollack(model)
    if name == "dale":
        # Magnitudes learn alike: let both start on the same side of zero.
        with torch.no_grad():
            rule.feedback[1].abs_()
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.05, weight_decay=0.4)
    expected = gaps(rule)
    for _ in range(5):
        optimizer.zero_grad()
        rule(x, y)
        optimizer.step()
        expected = [(1 - 0.05 * 0.4) * gap for gap in expected]
        torch.testing.assert_close(gaps(rule), expected, rtol=1e-9, atol=1e-12)


def test_without_a_decay_it_stays():
    model, x, y = make("grid")
    rule = KolenPollack(model)
    first = gaps(rule)
    optimizer = torch.optim.Adam(rule.parameters(), lr=0.01)
    for _ in range(5):
        optimizer.zero_grad()
        rule(x, y)
        optimizer.step()
    torch.testing.assert_close(gaps(rule), first, rtol=1e-9, atol=1e-12)


def test_decoupled_decay_brings_the_angle_down():
    model, x, y = make("small world")
    rule = KolenPollack(model)
    optimizer = rule.make_optimizer(0.02)
    decaying, others = (len(group["params"]) for group in optimizer.param_groups)
    assert (decaying, others) == (6, 4)
    before = rule.alignment(x, y)
    for _ in range(200):
        optimizer.zero_grad()
        rule(x, y)
        optimizer.step()
    after = rule.alignment(x, y)
    assert all(after[name] < before[name] / 3 for name in before)


def test_dale_keeps_the_signs_of_both_alike():
    model, x, y = make("dale")
    rule = KolenPollack(model)
    optimizer = torch.optim.SGD(rule.parameters(), lr=2.0, weight_decay=0.1)
    layer = model[3]
    for _ in range(20):
        before = (parameter_of(layer).abs() - rule.feedback[1].abs()).abs().detach()
        optimizer.zero_grad()
        rule(x, y)
        optimizer.step()
        # A magnitude that goes past zero is reflected, which brings two nearer and never apart.
        after = (parameter_of(layer).abs() - rule.feedback[1].abs()).abs().detach()
        assert (after <= (1 - 0.2) * before + 1e-9).all()


def test_the_feedback_of_frozen_weights_is_frozen():
    model, x, y = make("grid")
    model[3].weight.requires_grad_(False)
    rule = KolenPollack(model)
    rule(x, y)
    assert rule.feedback[1].grad is None
    assert rule.feedback[2].grad is not None


def test_a_weight_of_several_parameters_is_refused():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    with pytest.raises(ValueError, match="computed from several parameters"):
        KolenPollack(model)
